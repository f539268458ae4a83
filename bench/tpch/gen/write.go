package gen

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/parquet"
	"github.com/tidemill/tidemill/fs"
)

// maxScale is the largest scale whose keys are drawn from one number of 31 bits.
const maxScale = 1_000

// Options are what Write makes.
type Options struct {
	// Scale is the specification's scale factor: 1 is a gigabyte of text, 0.01 the
	// smallest that all queries have answers on.
	Scale float64
	// Parallelism is how many tables are written at once; zero means one a core.
	Parallelism int
	// TextBytes is how much text comments are cut from. Zero means as much as the
	// specification's generator has, 300 MiB, which makes comments the official
	// ones; less is sooner there.
	TextBytes int
	// Alloc owns the batches; nil means Go's heap.
	Alloc memory.Allocator
}

// Check refuses a scale that cannot be made.
func (o Options) Check() error {
	if math.IsNaN(o.Scale) || o.Scale < 0.001 || o.Scale > maxScale {
		return failure.Errorf(failure.Usage, "scale %v: want 0.001 to %d", o.Scale, maxScale)
	}
	return nil
}

func (o Options) complete() (Options, error) {
	if err := o.Check(); err != nil {
		return o, err
	}
	if o.Parallelism <= 0 {
		o.Parallelism = runtime.GOMAXPROCS(0)
	}
	if o.TextBytes <= 0 {
		o.TextBytes = officialTextBytes
	}
	if o.Alloc == nil {
		o.Alloc = memory.DefaultAllocator
	}
	return o, nil
}

// Write makes the eight tables as dir/TABLE.parquet, without nullable columns. Each
// file becomes visible when it is whole; a file that is there is replaced.
func Write(ctx context.Context, fsys fs.FileSystem, dir string, o Options) error {
	o, err := o.complete()
	if err != nil {
		return err
	}
	g := newGenerator(o.Scale, o.TextBytes)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, o.Parallelism)
	var all sync.WaitGroup
	for _, t := range g.tables() {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			if err := t.write(ctx, fsys, fs.Join(dir, t.name+".parquet"), o.Alloc); err != nil {
				cancel(fmt.Errorf("generate table %s: %w", t.name, err))
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

func (t table) write(ctx context.Context, fsys fs.FileSystem, path string, alloc memory.Allocator) (err error) {
	schema, err := t.schema()
	if err != nil {
		return err
	}
	out, err := fsys.Create(ctx, path, fs.CreateOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Abort(context.WithoutCancel(ctx))) }()
	w, err := parquet.Format{}.NewWriter(out, schema, formats.WriteOptions{Alloc: alloc})
	if err != nil {
		return err
	}
	if err := errors.Join(t.rows(ctx, schema.Arrow(), alloc, w), w.Close()); err != nil {
		return err
	}
	return out.Commit(ctx)
}

// rows makes the pieces ahead of the writer, which takes them in order: encoding
// takes as long as making.
func (t table) rows(ctx context.Context, schema *arrow.Schema, alloc memory.Allocator, w formats.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	pieces := make(chan arrow.RecordBatch, 1)
	var maker sync.WaitGroup
	maker.Go(func() {
		defer close(pieces)
		b := array.NewRecordBuilder(alloc, schema)
		defer b.Release()
		for first := int64(0); first < t.units && ctx.Err() == nil; first += t.piece {
			t.make(first, min(t.piece, t.units-first), columns{b})
			pieces <- b.NewRecordBatch()
		}
	})
	defer maker.Wait()
	defer cancel()
	var err error
	for piece := range pieces {
		if err == nil {
			err = w.Write(ctx, piece)
		}
		if err != nil {
			cancel()
		}
		piece.Release()
	}
	return errors.Join(err, context.Cause(ctx))
}
