package json

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/formats/internal/cells"
)

// slowly is what members does, without expecting anything.
func (r *reader) slowly(s *scanner, row int) error {
	return s.members(func(key cells.Cell) error {
		v, err := s.value(0)
		name := s.text[key.Start:key.End]
		if key.Kind == cells.Escaped {
			name, _ = unescape(nil, name)
		}
		if i, ok := r.byName[string(name)]; ok {
			r.cells[i][row] = position(v, s.at)
		}
		return err
	})
}

func wanting(names ...string) *reader {
	r := &reader{byName: map[string]int{}}
	for i, name := range names {
		r.byName[name] = i
		r.cells = append(r.cells, make([]cells.Cell, 1))
	}
	return r
}

// checkLines compares the two on the lines of a text, which follow each other as
// those of a file do.
func checkLines(t *testing.T, text []byte) {
	t.Helper()
	fast, slow := wanting("a", "b", "\n"), wanting("a", "b", "\n")
	for at := 0; at < len(text); {
		end := at + bytes.IndexByte(text[at:], '\n') + 1
		if end == at {
			end = len(text)
		}
		for i := range fast.cells {
			fast.cells[i][0], slow.cells[i][0] = cells.Cell{}, cells.Cell{}
		}
		f, s := &scanner{text: text[:end], at: at}, &scanner{text: text[:end], at: at}
		err, want := fast.members(f, 0), slow.slowly(s, 0)
		if fmt.Sprint(err) != fmt.Sprint(want) || f.at != s.at && err == nil {
			t.Fatalf("%q: %v at %d, want %v at %d", text[at:end], err, f.at, want, s.at)
		}
		if err == nil && fmt.Sprint(fast.cells) != fmt.Sprint(slow.cells) {
			t.Fatalf("%q: %v, want %v", text[at:end], fast.cells, slow.cells)
		}
		at = end
	}
}

func FuzzLines(f *testing.F) {
	for _, text := range []string{
		"{}", "{\"a\":1,\"b\":\"x\"}\n{\"a\":1,\"b\":\"x\"}", "{\"a\": 1 , \"b\":-2.5}\n{\"a\":  {\"c\":[1]}, \"b\":null }\n", "{\"a\":1", "{\"a\":\"\\\"\",\"\\u0061\":2}\n",
		"{\"a\":12345678,\"a\":1234567890123.5e3,\"b\":\"a text of more than eight bytes\"}\n", "{\"a\":-.5,\"b\":1.}", "{\"\\n\":true}\n{\"\\n\":tru}\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { checkLines(t, text) })
}

// Lines that are mostly alike, with small differences in each place.
func TestLinesRandomly(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	pick := func(usual string, others ...string) string {
		if rnd.IntN(12) > 0 {
			return usual
		}
		return others[rnd.IntN(len(others))]
	}
	for range 3_000 {
		var text strings.Builder
		usual := [2]string{pick("1", "12345678.25", "\"x\""), pick("\"some text, longer\"", "-7", "null")}
		for range 1 + rnd.IntN(6) {
			text.WriteString(pick("{", "{ ", " {", "", "["))
			for i, key := range []string{"a", "b", "c"}[:1+rnd.IntN(3)] {
				if i > 0 {
					text.WriteString(pick(",", ", ", " ,", "", ",,"))
				}
				text.WriteString(pick("\""+key+"\"", "\"\\u0061\"", "\"b\"", "\"\\n\"", "key", "\"x\\", "\""+strings.Repeat("k", 300)+"\""))
				text.WriteString(pick(":", ": ", ":  ", " :", "", "::"))
				text.WriteString(pick(usual[i%2], "{\"q\":\"}\"}", "[1, 2]", "true", "nul", "\"a\\\"b\"", "\"open", "1.", "-", "--1", "1e5", "12345678901234567", "\"\"", "1.5x", ""))
			}
			text.WriteString(pick("}", " }", "", "}}", ",}"))
			text.WriteString(pick("\n", " \n", "\r\n"))
		}
		checkLines(t, []byte(text.String()))
	}
}
