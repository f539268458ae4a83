package planner

import (
	"path"
	"strconv"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// conflict refuses a statement set in which an INSERT OVERWRITE would take away what
// another INSERT of the set writes: they are one job, and none comes after the other.
// Static partitions that differ keep them apart.
func conflict(sinks []plan.Node) error {
	for i, later := range sinks {
		b, ok := later.(*plan.Sink)
		if !ok {
			continue
		}
		for _, earlier := range sinks[:i] {
			a, ok := earlier.(*plan.Sink)
			if !ok || !a.Overwrite && !b.Overwrite || !sameTarget(a, b) || apart(a, b) {
				continue
			}
			return sqlerr.New(sqlerr.BadClause, b.At(), "table %s is written twice in this statement set, and %s would drop what the other writes",
				b.Table.Name, overwriting(a, b)).Suggest("run the statements one after the other, or name different partitions: PARTITION (column = value)")
		}
	}
	return nil
}

func overwriting(a, b *plan.Sink) string {
	switch {
	case a.Overwrite && b.Overwrite:
		return "each INSERT OVERWRITE"
	case a.Overwrite:
		return "the INSERT OVERWRITE before it"
	}
	return "its INSERT OVERWRITE"
}

// sameTarget compares what tables stand for: two may be about the same files.
func sameTarget(a, b *plan.Sink) bool {
	from, to := a.Table.Options["path"], b.Table.Options["path"]
	if a.Connector != b.Connector || from == "" || to == "" {
		return a.Connector == b.Connector && a.Table.Name == b.Table.Name
	}
	return path.Clean(from) == path.Clean(to)
}

// apart reports whether the static partitions of two inserts have no row in common.
func apart(a, b *plan.Sink) bool {
	for column, x := range a.StaticPartition {
		y, ok := b.StaticPartition[column]
		if ok && plainNumber(x) != plainNumber(y) {
			return true
		}
	}
	return false
}

// plainNumber writes an integer in one way; other texts stay.
func plainNumber(text string) string {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return strconv.FormatInt(n, 10)
	}
	return text
}

// statementSet binds the inserts of a set.
func (r *run) statementSet(s *ast.StatementSet) (sinks []plan.Node, made []*catalog.Table, err error) {
	for _, one := range s.Inserts {
		if c, ok := one.(*ast.CreateTable); ok {
			return nil, nil, sqlerr.New(sqlerr.Unsupported, c, "CREATE TABLE ... AS in a statement set is not supported yet")
		}
		more, _, err := r.sinks(one)
		if err != nil {
			return nil, nil, err
		}
		sinks = append(sinks, more...)
	}
	return sinks, nil, conflict(sinks)
}
