package cells

import "github.com/tidemill/tidemill/core/datatype"

// SampleRows is how many rows of a text file types are guessed from.
const SampleRows = 20480

// Guess narrows down the type of a column by looking at its values.
type Guess struct {
	seen bool
	not  [len(candidates)]bool
}

// candidates in the order of preference; what none fits is a string.
var candidates = [...]struct {
	is   func([]byte) bool
	kind datatype.Kind
}{
	{isInteger, datatype.BigInt},
	{isFloat, datatype.Double},
	{isBool, datatype.Boolean},
	{isDate, datatype.Date},
	{isTimestamp, datatype.Timestamp},
}

// Add looks at one value that is not null.
func (g *Guess) Add(text []byte) {
	g.seen = true
	for i := range candidates {
		if !g.not[i] && !candidates[i].is(text) {
			g.not[i] = true
		}
	}
}

// Fits reports whether text is a value of the guessed type, and whether that is
// more than a string.
func (g *Guess) Fits(text []byte) (fits, typed bool) {
	for i := range candidates {
		if g.seen && !g.not[i] {
			return candidates[i].is(text), true
		}
	}
	return true, false
}

// Type is the type that all values had, nullable.
func (g *Guess) Type() datatype.Type {
	for i := range candidates {
		if g.seen && !g.not[i] {
			return datatype.Of(candidates[i].kind)
		}
	}
	return datatype.Of(datatype.Varchar)
}

// isInteger does not take 007 for a number: its zeros would be lost.
func isInteger(b []byte) bool {
	b = trim(b)
	_, ok := parseInteger(b)
	return ok && !leadingZero(b)
}

func leadingZero(b []byte) bool {
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		b = b[1:]
	}
	return len(b) > 1 && b[0] == '0' && b[1]-'0' <= 9
}

func isFloat(b []byte) bool {
	b = trim(b)
	for _, c := range b {
		if c-'0' > 9 && c != '.' && c != '-' && c != '+' && c|32 != 'e' {
			return false
		}
	}
	_, ok := parseFloat64(b, nil)
	return ok && !leadingZero(b)
}

func isBool(b []byte) bool {
	_, ok := parseBool(b)
	return ok && len(trim(b)) > 1
}

func isDate(b []byte) bool {
	_, ok := parseDate(b, nil)
	return ok
}

var guessedTimestamp = datatype.Of(datatype.Timestamp)

func isTimestamp(b []byte) bool {
	_, ok := parseTimestamp(b, &guessedTimestamp)
	return ok
}
