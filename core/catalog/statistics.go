package catalog

import (
	"maps"
	"slices"
)

// maxStatistics bounds the partitions of one table whose statistics are kept; those
// analysed longest ago are forgotten first.
const maxStatistics = 1000

// Statistics is what ANALYZE found out about a table or some of its partitions. It is
// immutable, and only good for estimates: the table may have changed since.
type Statistics struct {
	// Partition names the partitions that were looked at, as k=v joined by slashes;
	// empty: the whole table.
	Partition string
	// Version is connector.Description's of what was looked at: another one now means
	// that the table has changed.
	Version string
	Rows    int64
	Bytes   int64 // as stored; negative: unknown
	Columns map[string]ColumnStatistics
}

// ColumnStatistics is what ANALYZE found out about one column.
type ColumnStatistics struct {
	Nulls int64
	// Distinct estimates the different values, null not counted; negative: unknown.
	Distinct int64
	// Min and Max are in physical form (core/predicate), nil for unknown.
	Min, Max any
	// Length is the average of a text or bytes, in bytes; 0 for other types.
	Length float64
}

// StatisticsOf returns the statistics about what has the version, or else those of the
// whole table, which may be older than the table; nil: there are none.
func StatisticsOf(all []Statistics, version string) *Statistics {
	var whole *Statistics
	for i := range all {
		s := &all[i]
		if s.Version == version && version != "" {
			return s
		}
		if s.Partition == "" {
			whole = s
		}
	}
	return whole
}

// withStatistics returns a copy of t with one more statement's findings. Columns that
// it did not look at keep what is known of them, as long as the files are the same.
func (t *Table) withStatistics(found Statistics) *Table {
	c := *t
	c.Statistics = slices.DeleteFunc(slices.Clone(t.Statistics), func(old Statistics) bool {
		if old.Partition != found.Partition {
			return false
		}
		if old.Version == found.Version && found.Version != "" {
			columns := maps.Clone(old.Columns)
			maps.Copy(columns, found.Columns)
			found.Columns = columns
		}
		return true
	})
	c.Statistics = append(c.Statistics, found)
	if over := len(c.Statistics) - maxStatistics; over > 0 {
		c.Statistics = slices.Delete(c.Statistics, 0, over)
	}
	return &c
}

// KeepStatistics adds what ANALYZE found out about a table, and reports false where the
// table is gone or defined differently by now.
func (s *Session) KeepStatistics(of *Table, found Statistics) bool {
	return s.replace(of, func(t *Table) Object { return t.withStatistics(found) })
}
