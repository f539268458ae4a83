package datatype

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"pgregory.net/rapid"
)

func genType(depth int) *rapid.Generator[Type] {
	return rapid.Custom(func(t *rapid.T) Type {
		last := int(Row)
		if depth == 0 {
			last = int(IntervalSecond)
		}
		k := Kind(rapid.IntRange(int(Null), last).Draw(t, "kind"))
		out := Of(k)
		out.Nullable = rapid.Bool().Draw(t, "nullable")
		switch k {
		case Decimal:
			out.Precision = rapid.IntRange(1, MaxDecimalPrecision).Draw(t, "p")
			out.Scale = rapid.IntRange(0, out.Precision).Draw(t, "s")
		case Time, Timestamp, TimestampLTZ:
			out.Precision = rapid.IntRange(0, 9).Draw(t, "p")
		case Char, Varchar, Binary, Varbinary:
			out.Precision = rapid.SampledFrom([]int{1, 7, MaxLength}).Draw(t, "n")
		case Array, Multiset, Map:
			e := genType(depth-1).Draw(t, "elem")
			out.Elem = &e
			if k == Map {
				key := genType(0).Draw(t, "key")
				out.Key = &key
			}
		case Row:
			for range rapid.IntRange(0, 3).Draw(t, "fields") {
				out.Fields = append(out.Fields, Field{
					Name: rapid.StringN(1, 6, -1).Draw(t, "name"),
					Type: genType(depth-1).Draw(t, "type"),
				})
			}
		}
		return out
	})
}

// Plans carry types as text: what is printed must be read back as the same type.
func TestParseInvertsString(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genType(3).Draw(t, "type")
		got, err := Parse(want.String())
		if err != nil {
			t.Fatal(err)
		}
		if !got.Equal(want) || !got.Same(want) {
			t.Fatalf("%s came back as %s", want, got)
		}
	})
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{"", "INTT", "DECIMAL(", "DECIMAL(x)", "ARRAY<INT", "ROW<a>", "ROW<`a INT>", "INT NULL", "MAP<INT>"} {
		if _, err := Parse(s); err == nil {
			t.Errorf("Parse(%q) gave no error", s)
		}
	}
}

// Every type has an Arrow layout; where the layout keeps all parameters, it
// leads back to the same type.
func TestArrowRoundTrip(t *testing.T) {
	for _, s := range []string{
		"BOOLEAN", "TINYINT", "SMALLINT", "INT NOT NULL", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL(18, 3)", "DECIMAL(38, 10)",
		"STRING", "BYTES", "DATE", "TIME(3)", "TIME(6)", "TIMESTAMP(3)", "TIMESTAMP(9)", "TIMESTAMP_LTZ(6)",
		"INTERVAL YEAR TO MONTH", "INTERVAL DAY TO SECOND", "ARRAY<INT NOT NULL>", "MAP<STRING NOT NULL, DOUBLE>",
		"ROW<a INT, `b c` ARRAY<STRING>>", "NULL",
	} {
		want, err := Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		got, err := FromArrow(want.Arrow(), want.Nullable)
		if err != nil || !got.Equal(want) {
			t.Errorf("%s came back as %s, %v", want, got, err)
		}
	}
}

func TestDecimalWidth(t *testing.T) {
	if id := DecimalOf(18, 0).Arrow().ID(); id != arrow.DECIMAL64 {
		t.Errorf("DECIMAL(18) is %v", id)
	}
	if id := DecimalOf(19, 0).Arrow().ID(); id != arrow.DECIMAL128 {
		t.Errorf("DECIMAL(19) is %v", id)
	}
}
