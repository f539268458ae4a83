package parquet

// On a slow input each read is announced: those of a row group before the first of
// them, and those of the next one that can match while this one is decoded.

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
)

// slowInput notes what it is asked for.
type slowInput struct {
	*bytes.Reader
	log []string
}

func (s *slowInput) ReadAt(p []byte, off int64) (int, error) {
	s.log = append(s.log, fmt.Sprintf("read %d+%d", off, len(p)))
	return s.Reader.ReadAt(p, off)
}

func (s *slowInput) Prefetch(off, length int64) {
	s.log = append(s.log, fmt.Sprintf("prefetch %d+%d", off, length))
}

func TestPrefetch(t *testing.T) {
	ctx := t.Context()
	schema := datatype.Schema{{Name: "a", Type: datatype.Of(datatype.BigInt)}, {Name: "b", Type: datatype.Of(datatype.Varchar)}}
	var out bytes.Buffer
	w, err := Format{}.NewWriter(&out, schema, formats.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		batch := randomBatch(memory.DefaultAllocator, schema, 1000, 100, rand.New(rand.NewPCG(1, 1)))
		if err := w.Write(ctx, batch); err != nil {
			t.Fatal(err)
		}
		batch.Release()
		if err := w.(formats.Flusher).Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	in := &slowInput{Reader: bytes.NewReader(out.Bytes())}
	r, err := Format{}.NewReader(ctx, formats.Input{Path: "x", ReaderAt: in, Size: int64(out.Len())}, formats.ReadOptions{Columns: schema})
	if err != nil {
		t.Fatal(err)
	}
	in.log = nil // the footer's
	for err == nil {
		_, err = r.Read(ctx)
	}
	if err != io.EOF || r.Close() != nil || r.Stats().Groups != 3 {
		t.Fatalf("%v, %d groups", err, r.Stats().Groups)
	}
	var prefetched, read []string
	for _, line := range in.log {
		if rest, ok := bytes.CutPrefix([]byte(line), []byte("read ")); ok {
			read = append(read, string(rest))
			if !slices.Contains(prefetched, string(rest)) {
				t.Errorf("%s was not announced", line)
			}
			continue
		}
		prefetched = append(prefetched, line[len("prefetch "):])
	}
	if len(read) != 3 || len(slices.Compact(slices.Sorted(slices.Values(prefetched)))) != 3 || in.log[1][:4] != "pref" {
		t.Errorf("three row groups took %q", in.log)
	}
}
