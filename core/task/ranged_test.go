package task

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/local"
)

// counting refuses to open readers after some.
type counting struct {
	shuffle.Service
	opened []uint32
	most   int
}

var errNoReader = errors.New("no more readers")

func (c *counting) Reader(ctx context.Context, job id.Job, ex id.Exchange, part, attempt uint32) (shuffle.Reader, error) {
	if len(c.opened) == c.most {
		return nil, errNoReader
	}
	c.opened = append(c.opened, part)
	return c.Service.Reader(ctx, job, ex, part, attempt)
}

// A subtask reads the partitions of its range one after the other, except empty ones.
func TestRanges(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	service := local.New(local.Options{Alloc: mem})
	job := id.NewJob()
	written(t, service, mem, job)
	for _, c := range []struct {
		name    string
		ranges  []uint32
		empty   []uint32
		subtask uint32
		most    int
		opened  []uint32
		rows    []int64
		bad     bool
	}{
		{name: "some", ranges: []uint32{0, 3, 5}, empty: []uint32{1, 3}, most: 9, opened: []uint32{0, 2}, rows: []int64{0, 2}},
		{name: "one", ranges: []uint32{0, 3, 5}, empty: []uint32{1, 3}, subtask: 1, most: 9, opened: []uint32{4}, rows: []int64{4}},
		{name: "all", ranges: []uint32{0, 5}, most: 9, opened: []uint32{0, 1, 2, 3, 4}, rows: []int64{0, 2, 4}},
		{name: "none", ranges: []uint32{0, 0, 5}, most: 9},
		{name: "fails at once", ranges: []uint32{0, 5}, most: 0, bad: true},
		{name: "fails later", ranges: []uint32{0, 5}, most: 2, opened: []uint32{0, 1}, rows: []int64{0}, bad: true},
		{name: "no range", ranges: []uint32{0, 5}, subtask: 1, most: 9, bad: true},
		{name: "too many", ranges: []uint32{0, 6}, most: 9, bad: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &counting{Service: service, most: c.most}
			one := &Task{env: Env{Shuffle: s}, d: Descriptor{Job: job, Attempt: id.Attempt{Subtask: id.Subtask{Index: c.subtask}}}}
			rows, err := readRange(t, one, Edge{Exchange: &jobgraph.Exchange{Id: 1}, Partitions: 5, Ranges: c.ranges, Empty: c.empty})
			if !slices.Equal(rows, c.rows) || !slices.Equal(s.opened, c.opened) || (err != nil) != c.bad {
				t.Errorf("rows %v of partitions %v, %v", rows, s.opened, err)
			}
		})
	}
	if err := service.Drop(t.Context(), job, 1); err != nil {
		t.Error(err)
	}
}

// written stores a row in each of partitions 0, 2 and 4 of five.
func written(t *testing.T, service *local.Service, mem memory.Allocator, job id.Job) {
	t.Helper()
	schema := datatype.Schema{{Name: "v", Type: datatype.Of(datatype.BigInt)}}
	spec := shuffle.Spec{Job: job, Exchange: 1, Schema: schema, Lanes: 1, Partitions: 5, Retention: shuffle.RetainJob}
	if err := service.Open(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	w, err := service.Writer(t.Context(), job, 1, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []uint32{0, 2, 4} {
		b := array.NewInt64Builder(mem)
		b.Append(int64(p))
		column := b.NewArray()
		b.Release()
		record := array.NewRecordBatch(schema.Arrow(), []arrow.Array{column}, 1)
		column.Release()
		if err := w.Send(t.Context(), p, stream.NewBatch(record)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func readRange(t *testing.T, one *Task, e Edge) (rows []int64, err error) {
	t.Helper()
	r, err := openRange(t.Context(), one, e)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		e, ok, err := r.Poll()
		if err != nil {
			return rows, err
		}
		if !ok {
			<-r.Ready()
			continue
		}
		switch e.Kind {
		case stream.DataElement:
			rows = append(rows, e.Batch.Column(0).(*array.Int64).Value(0))
			e.Batch.Release()
		case stream.EndOfInput:
			return rows, nil
		}
	}
}
