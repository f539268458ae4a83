package csv

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/internal/cells"
)

// dialects are forms of files that a number chooses among.
func dialectOf(n uint8) dialect {
	d := dialect{delimiter: ',', quote: '"', quoting: n&1 == 0, hasNull: n&2 != 0, nullLiteral: "-", lenient: n&4 != 0, comments: n&8 != 0}
	if n&16 != 0 {
		d.delimiter, d.quote = 0, '\''
	}
	return d
}

// slowly is what records does, made of record.
func (s *splitter) slowly(text []byte, most int, final bool) (used int, err error) {
	for i := range s.columns {
		s.columns[i] = s.columns[i][:0]
	}
	s.starts = s.starts[:0]
	for used < len(text) && len(s.starts) < most {
		end, err := s.record(text, used, final)
		if errors.Is(err, errPartial) {
			return used, nil
		}
		if err == nil && len(s.fields) > 0 && len(s.fields) != s.width {
			err = fmt.Errorf("%d fields instead of %d", len(s.fields), s.width)
		}
		if err != nil {
			if !s.lenient || end <= used {
				return used, &recordError{used, err}
			}
			s.bad++
		} else if len(s.fields) > 0 {
			for i, slot := range s.slots {
				if slot >= 0 {
					s.columns[slot] = append(s.columns[slot], s.fields[i])
				}
			}
			s.starts = append(s.starts, uint32(used))
		}
		used = end
	}
	return used, nil
}

// checkSplit compares records with slowly.
func checkSplit(t *testing.T, text []byte, form, width uint8, most int, final bool) {
	t.Helper()
	make := func() *splitter {
		s := &splitter{dialect: dialectOf(form), width: int(width), columns: make([][]cells.Cell, 0)}
		for i := range s.width {
			if i%3 == 1 {
				s.slots = append(s.slots, -1)
				continue
			}
			s.slots = append(s.slots, len(s.columns))
			s.columns = append(s.columns, nil)
		}
		return s
	}
	fast, slow := make(), make()
	used, err := fast.records(text, most, final)
	wantUsed, wantErr := slow.slowly(text, most, final)
	if used != wantUsed || fmt.Sprint(err) != fmt.Sprint(wantErr) || fast.bad != slow.bad || fmt.Sprint(fast.starts) != fmt.Sprint(slow.starts) {
		t.Fatalf("%q: %d bytes, %v, %d bad, records at %v, want %d, %v, %d, %v", text,
			used, err, fast.bad, fast.starts, wantUsed, wantErr, slow.bad, slow.starts)
	}
	if got, want := fmt.Sprint(fast.columns), fmt.Sprint(slow.columns); got != want {
		t.Fatalf("%q: cells %s, want %s", text, got, want)
	}
}

// checkBorders compares the two ways to find where records begin.
func checkBorders(t *testing.T, text []byte, form uint8, target int64, final bool) {
	t.Helper()
	walk := func(step func(b *borders) (int, error)) int {
		b := &borders{in: formats.Input{Size: int64(len(text))}, split: splitter{dialect: dialectOf(form), width: -1}, text: text}
		for b.offset < target {
			used, err := step(b)
			if err != nil {
				t.Fatal(err)
			}
			if used == 0 {
				break
			}
			b.text = b.text[used:]
			b.offset += int64(used)
		}
		return int(b.offset)
	}
	got := walk(func(b *borders) (int, error) { return b.advance(final, target) })
	want := walk(func(b *borders) (int, error) { return b.advanceByRecord(final, target) })
	if got != want {
		t.Fatalf("%q: the record at or behind %d begins at %d, want %d (final %t)", text, target, got, want, final)
	}
}

func FuzzSplit(f *testing.F) {
	for _, text := range []string{
		"", "a,b\n", "a,b\r\nc,d\r\n", "\"a\"\"b\",\"\n\"\n", "a\"b,c\n#x\n\n\r\n1,2,3\n", "\"x\"y,1\n2,3\n", "\"open\n1,2\n", "-,\r\n,-",
		"a\x00'b'\x00\x01\n", "\"a\"\r", "\"a\"\r\n", "1,\"2\"\n\"3\",4\n",
	} {
		f.Add([]byte(text), uint8(0), uint8(2), uint8(3), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, form, width, most uint8, final bool) {
		checkSplit(t, text, form, width%5+1, int(most)+1, final)
		checkBorders(t, text, form, int64(most), final)
	})
}

// Random text of few letters, so that most of them mean something, with fields on
// both sides of the 64 bytes that are looked at together.
func TestSplitRandomly(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	pieces := []string{",", ",", "\"", "\"\"", "\n", "\r\n", "\r", "#", "-", "x", "\x00", "'", "0123456789", "\",\"", ",\"", "\"\n", "\x01", "\x0b\x2d"}
	for range 20_000 {
		var text []byte
		for range rnd.IntN(60) {
			if rnd.IntN(40) == 0 {
				text = append(text, bytes.Repeat([]byte("y"), rnd.IntN(150))...)
			}
			text = append(text, pieces[rnd.IntN(len(pieces))]...)
		}
		form, final := uint8(rnd.IntN(32)), rnd.IntN(2) == 0
		checkSplit(t, text, form, uint8(rnd.IntN(4)+1), rnd.IntN(30)+1, final)
		checkBorders(t, text, form, int64(rnd.IntN(len(text)+3)), final)
	}
}
