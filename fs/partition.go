package fs

import "strings"

// DefaultPartition is the directory name by which Hive, Spark and Flink spell
// a partition value that is null.
const DefaultPartition = "__HIVE_DEFAULT_PARTITION__"

// PartitionValue is one k=v part of a partitioned table's path, decoded.
type PartitionValue struct {
	// Key is the column's name.
	Key string
	// Value is the text of the value; empty when Null.
	Value string
	// Null is true for the default partition.
	Null bool
}

// ParsePartitions returns the k=v directories of a path, outermost first. The
// last part counts as the file's name and is not looked at; parts without an
// equals sign are passed over.
func ParsePartitions(p string) []PartitionValue {
	_, p = SplitURI(p)
	var values []PartitionValue
	for {
		part, rest, more := strings.Cut(p, "/")
		if !more {
			return values
		}
		p = rest
		key, value, ok := strings.Cut(part, "=")
		if !ok || key == "" {
			continue
		}
		v := PartitionValue{Key: unescape(key), Value: unescape(value)}
		if value == DefaultPartition {
			v = PartitionValue{Key: v.Key, Null: true}
		}
		values = append(values, v)
	}
}

// PartitionPath is the inverse of ParsePartitions: the directories k=v/k2=v2,
// escaped as Hive escapes them. Empty text and null both become the default
// partition, as Hive has it.
func PartitionPath(values []PartitionValue) string {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteByte('/')
		}
		escape(&b, v.Key)
		b.WriteByte('=')
		if v.Null || v.Value == "" {
			b.WriteString(DefaultPartition)
			continue
		}
		escape(&b, v.Value)
	}
	return b.String()
}

const (
	// escaped is the set of Hive's FileUtils.escapePathName.
	escaped = "\"#%'*/:=?\\\x7f{}[]^"
	hexa    = "0123456789ABCDEF"
)

func escape(b *strings.Builder, s string) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < ' ' || strings.IndexByte(escaped, c) >= 0 {
			b.WriteByte('%')
			b.WriteByte(hexa[c>>4])
			b.WriteByte(hexa[c&15])
			continue
		}
		b.WriteByte(c)
	}
}

// unescape decodes %XX; a percent sign without two hex digits stands for itself.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, ok1 := unhex(s[i+1])
			lo, ok2 := unhex(s[i+2])
			if ok1 && ok2 {
				b = append(b, hi<<4|lo)
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}
