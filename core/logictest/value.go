package logictest

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
)

const (
	typeLetters = "INRTBDCPVXL"
	separator   = " | "
	null        = "NULL"
	empty       = "(empty)"
	tolerance   = 1e-9 // of floats, relative
)

// letterOf is the letter of a type in a query record.
func letterOf(t datatype.Type) byte {
	switch {
	case t.IsInteger():
		return 'I'
	case t.IsString(), t.Kind == datatype.Null:
		return 'T'
	case t.IsBinary():
		return 'X'
	case t.IsTimestamp():
		return 'P'
	case t.IsInterval():
		return 'V'
	}
	switch t.Kind {
	case datatype.Decimal:
		return 'N'
	case datatype.Float, datatype.Double:
		return 'R'
	case datatype.Boolean:
		return 'B'
	case datatype.Date:
		return 'D'
	case datatype.Time:
		return 'C'
	default:
		return 'L'
	}
}

var escapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\t", `\t`, "\r", `\r`, "|", `\|`)

// escape writes a text so that it is one value of one line.
func escape(text string) string {
	switch text {
	case "":
		return empty
	case null, empty:
		return `\` + text
	}
	text = escapes.Replace(text)
	if strings.HasPrefix(text, " ") {
		text = `\s` + text[1:]
	}
	if strings.HasSuffix(text, " ") {
		text = text[:len(text)-1] + `\s`
	}
	return text
}

// canonical is a form of a printed value that is equal for equal values,
// floats apart.
func canonical(letter byte, value string) string {
	if value == null {
		return value
	}
	switch letter {
	case 'I', 'N':
		if x, ok := new(big.Rat).SetString(value); ok {
			return x.RatString()
		}
	case 'B':
		return strings.ToUpper(value)
	case 'C', 'P':
		if strings.Contains(value, ".") {
			value = strings.TrimRight(strings.TrimRight(value, "0"), ".")
		}
		return strings.TrimSuffix(value, "+00")
	case 'R':
		if x, err := strconv.ParseFloat(value, 64); err == nil {
			return strconv.FormatFloat(x, 'g', 9, 64)
		}
	}
	return value
}

// same reports whether two printed values of a type are equal.
func same(letter byte, a, b string) bool {
	if canonical(letter, a) == canonical(letter, b) {
		return true
	}
	if letter != 'R' {
		return false
	}
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err1 == nil && err2 == nil && math.Abs(x-y) <= tolerance*max(math.Abs(x), math.Abs(y))
}

// arrange brings rows into the order in which they are compared and printed.
func arrange(rows [][]string, types string, by order) [][]string {
	switch by {
	case rowOrder:
		rows = slices.Clone(rows)
		slices.SortStableFunc(rows, func(a, b []string) int {
			for i := range min(len(a), len(b)) {
				if c := compare(letterAt(types, i), a[i], b[i]); c != 0 {
					return c
				}
			}
			return 0
		})
	case valueOrder:
		var values [][]string
		for _, row := range rows {
			for i, v := range row {
				values = append(values, []string{canonical(letterAt(types, i), v)})
			}
		}
		slices.SortFunc(values, func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
		return values
	}
	return rows
}

func letterAt(types string, i int) byte {
	if i < len(types) {
		return types[i]
	}
	return 'T'
}

// compare orders values of one column: NULL first, numbers by value.
func compare(letter byte, a, b string) int {
	switch {
	case a == b:
		return 0
	case a == null:
		return -1
	case b == null:
		return 1
	}
	if strings.IndexByte("INR", letter) >= 0 {
		x, ok1 := new(big.Rat).SetString(a)
		y, ok2 := new(big.Rat).SetString(b)
		if ok1 && ok2 {
			return x.Cmp(y)
		}
	}
	return cmp.Compare(canonical(letter, a), canonical(letter, b))
}

// splitRow is the inverse of joining values by the separator.
func splitRow(line string) []string { return strings.Split(line, separator) }

func joinRows(rows [][]string) []string {
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = strings.Join(row, separator)
	}
	return lines
}

const maxShown = 20 // rows of a difference

// difference tells how rows differ from the wanted lines, "" if they do not.
func difference(types string, by order, want []string, got [][]string) string {
	wanted := make([][]string, len(want))
	for i, line := range want {
		wanted[i] = splitRow(line)
	}
	if by == valueOrder {
		types = "T" // values are in their canonical form
	}
	wanted = arrange(wanted, types, by)
	var out strings.Builder
	for i := range max(len(wanted), len(got)) {
		if i < len(wanted) && i < len(got) && sameRow(types, wanted[i], got[i]) {
			continue
		}
		if out.Len() == 0 {
			fmt.Fprintf(&out, "%d rows wanted, %d came", len(wanted), len(got))
		}
		if strings.Count(out.String(), "\n") > maxShown {
			out.WriteString("\n  ...")
			break
		}
		if i < len(wanted) {
			fmt.Fprintf(&out, "\n  row %d want %s", i+1, strings.Join(wanted[i], separator))
		}
		if i < len(got) {
			fmt.Fprintf(&out, "\n  row %d got  %s", i+1, strings.Join(got[i], separator))
		}
	}
	return out.String()
}

func sameRow(types string, a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !same(letterAt(types, i), a[i], b[i]) {
			return false
		}
	}
	return true
}
