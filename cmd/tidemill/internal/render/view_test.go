package render

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/stream"
)

// screen understands what a view uses of a terminal: lines, going up, clearing below.
type screen struct {
	mu     sync.Mutex
	lines  []string
	at     int
	frames int
	broken error
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return 0, s.broken
	}
	s.frames++
	text := string(p)
	if up, rest, ok := strings.Cut(strings.TrimPrefix(text, "\x1b["), "A"); ok && strings.HasPrefix(text, "\x1b[") && len(up) <= 2 {
		n := 0
		for _, c := range up {
			n = 10*n + int(c-'0')
		}
		s.at -= n
		text = rest
	}
	body, ok := strings.CutPrefix(text, "\r\x1b[J")
	if !ok || s.at < 0 {
		s.broken = errors.New("a frame that does not begin as it should")
		return 0, s.broken
	}
	s.lines = s.lines[:s.at]
	for line := range strings.SplitSeq(strings.TrimSuffix(body, "\r\n"), "\r\n") {
		s.lines = append(s.lines, line)
	}
	s.at = len(s.lines)
	return len(p), nil
}

func (s *screen) pictures() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.frames
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

func testView(t *testing.T, s *screen, columns, lines int) (Printer, func(rows string, kinds ...stream.RowKind)) {
	t.Helper()
	schema := datatype.Schema{{Name: "name", Type: datatype.Of(datatype.Varchar)}, {Name: "n", Type: datatype.Of(datatype.BigInt)}}
	p, err := New(&bytes.Buffer{}, schema, nil, Options{
		Format: "table", Live: true, Changelog: true, Screen: &Screen{Out: s, Size: func() (int, int) { return columns, lines }},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, func(rows string, kinds ...stream.RowKind) {
		t.Helper()
		b := batch(t, memory.DefaultAllocator, schema, rows)
		defer b.Release()
		b.Kinds = kinds
		if err := p.Batch(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
}

// Changes become the table that they make, ordered, drawn over its last picture; what comes
// too soon for a picture of its own is drawn a moment later.
func TestView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &screen{}
		p, change := testView(t, s, 80, 24)
		change(`[{"name": "b", "n": 10}, {"name": "a", "n": 9}, {"name": "a", "n": 10}, {"name": "a", "n": 9}]`)
		if want := " name | n\n------+----\n a    |  9\n a    |  9\n a    | 10\n b    | 10\n4 rows, 4 changes; Ctrl-C ends the query"; s.String() != want {
			t.Errorf("\n%s", s)
		}
		change(`[{"name": "a", "n": 9}, {"name": "b", "n": 10}, {"name": "b", "n": 11}, {"name": "c", "n": 0}]`, stream.Delete, stream.UpdateBefore, stream.UpdateAfter, stream.Delete)
		if s.pictures() != 1 {
			t.Errorf("%d pictures at once", s.pictures())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if want := " name | n\n------+----\n a    |  9\n a    | 10\n b    | 11\n3 rows, 8 changes; Ctrl-C ends the query"; s.String() != want || s.pictures() != 2 {
			t.Errorf("%d pictures\n%s", s.pictures(), s)
		}
		change(`[{"name": "d", "n": 1}]`)
		change(`[{"name": "e", "n": 1}]`)
		if err := p.Close(); err != nil || !strings.Contains(s.String(), " e    |  1\n5 rows") {
			t.Errorf("%v\n%s", err, s)
		}
		frames := s.pictures()
		time.Sleep(time.Second)
		if s.pictures() != frames {
			t.Error("it is drawn after its end")
		}
	})
}

// A table fits its screen: rows that have no room are counted, lines are cut.
func TestViewFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &screen{}
		p, change := testView(t, s, 12, 7)
		change(`[{"name": "日本語日本語日本語", "n": 1}, {"name": "b", "n": 2}, {"name": "a", "n": 3}, {"name": "c", "n": 4}]`)
		want := " name | n\n------+---\n a    | 3\n b    | 2\n ... 2 more\n4 rows, 4 ch"
		lines := strings.Split(s.String(), "\n")
		for i := range lines {
			lines[i] = strings.TrimRight(lines[i], " ")
		}
		if got := strings.Join(lines, "\n"); got != want {
			t.Errorf("\n%s", got)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A terminal that is gone is an error, once somebody looks; it is not drawn on again.
func TestViewOfABrokenScreen(t *testing.T) {
	s := &screen{broken: errors.New("gone")}
	p, _ := testView(t, s, 80, 24)
	b := batch(t, memory.DefaultAllocator, datatype.Schema{{Name: "name", Type: datatype.Of(datatype.Varchar)}, {Name: "n", Type: datatype.Of(datatype.BigInt)}}, `[{"name": "a", "n": 1}]`)
	defer b.Release()
	if err := p.Batch(t.Context(), b); err == nil || err.Error() != "gone" {
		t.Errorf("%v", err)
	}
	if err := p.Close(); err == nil || err.Error() != "gone" {
		t.Errorf("closed: %v", err)
	}
}
