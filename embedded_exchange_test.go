//go:build storage

package tidemill_test

import (
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/partition"
)

// Stored exchange data on S3: several parts up, ranges with read-ahead down, compared by rows,
// bytes and digests; a missing object is the lane's loss; nothing is left.
func TestStorageExchangeTier(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	files := newS3(t)
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	dir := storageEnv(t, "TIDEMILL_S3_BUCKET") + "/" + strings.ToLower(rand.Text())
	tier := partition.NewTier(partition.TierOptions{
		MemoryBytes: 1, Dir: root, QuotaBytes: 1 << 30,
		Remote: &partition.RemoteOptions{FS: files, Dir: dir, After: 1e-9, SegmentBytes: 1},
	})
	schema := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)
	s := partition.New(tier, alloc, schema, 2, 2)
	const lanes, batches, rows = 2, 40, 64 << 10
	for lane := range uint32(lanes) {
		writeNumbers(t, alloc, schema, s, lane, batches, rows)
	}
	deadline := time.After(time.Minute)
	for tick := time.NewTicker(10 * time.Millisecond); tier.Usage().Disk > 0; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not moved: %+v", tier.Usage())
		}
	}
	for p := range uint32(2) {
		if n, err := readNumbers(s, p, []uint32{0, 1}); err != nil || n != lanes*batches/2*rows {
			t.Errorf("partition %d: %d rows, %v", p, n, err)
		}
	}
	if err := files.RemoveAll(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := readNumbers(s, 0, []uint32{0}); !errors.Is(err, shuffle.ErrDataLoss) {
		t.Errorf("the objects are gone: %v", err)
	}
	if err := errors.Join(s.Close(), tier.Close()); err != nil {
		t.Error(err)
	}
	err = files.List(t.Context(), dir, fs.ListOptions{Recursive: true, Staged: true}, func(i fs.Info) error { return errors.New("left: " + i.Path) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	goleak.VerifyNone(t, leaks, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

func writeNumbers(t *testing.T, alloc memory.Allocator, schema *arrow.Schema, s *partition.Store, lane uint32, batches, rows int) {
	t.Helper()
	if err := s.Begin(lane, 0); err != nil {
		t.Fatal(err)
	}
	for i := range batches {
		b := array.NewRecordBuilder(alloc, schema)
		for n := range rows {
			b.Field(0).(*array.Int64Builder).Append(int64(i*rows + n))
		}
		err := s.Append(t.Context(), lane, 0, uint32(i%2), stream.NewBatch(b.NewRecordBatch()))
		b.Release()
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Seal(lane, 0); err != nil {
		t.Fatal(err)
	}
}

func readNumbers(s *partition.Store, part uint32, lanes []uint32) (rows int, err error) {
	r := s.Reader(part, lanes)
	defer r.Close()
	for {
		b, end, err := r.Next()
		if err != nil || end {
			return rows, err
		}
		rows += b.Len()
		b.Release()
	}
}
