package state

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/state/pebblestate"
	"github.com/tidemill/tidemill/core/stream"
)

// Options are those of a run. Zero values mean the defaults.
type Options struct {
	Keys     int64   // 10,000,000
	Columns  int     // sums of each key; 18: with the key about 200 bytes
	Rows     int64   // that are run, after as many to warm up; twice the keys
	Budget   float64 // part of the state that memory is given; 0.25
	Every    int64   // rows between snapshots; a tenth of Rows
	Zipf     float64 // exponent; 0.99
	Changed  float64 // part of the keys that change between the last snapshots; 0.01
	Repeated int     // how many of these there are; 20
	Dir      string  // directory; the system's
}

func (o Options) complete() Options {
	o.Keys, o.Columns = cmp.Or(o.Keys, 10_000_000), cmp.Or(o.Columns, 18)
	o.Rows = cmp.Or(o.Rows, 2*o.Keys)
	o.Budget, o.Every = cmp.Or(o.Budget, 0.25), cmp.Or(o.Every, max(o.Rows/10, 1))
	o.Zipf, o.Changed, o.Repeated = cmp.Or(o.Zipf, 0.99), cmp.Or(o.Changed, 0.01), cmp.Or(o.Repeated, 20)
	return o
}

const (
	groups  = 1024
	written = 4 // columns that each row adds to
)

// Measured is what a run has shown.
type Measured struct {
	Keys      string // how they are drawn
	Disk      bool
	Bytes     int64 // of the tables in memory, at the end
	Rows      int64
	Took      time.Duration // of looking up, adding and moving keys out of memory
	Hits      float64       // of distinct look-ups, in memory; 1 where memory is all
	Read      int64         // bytes from disk while rows were run
	Written   int64         // bytes to disk
	Pause     time.Duration // longest of the last snapshots
	Uploaded  int64         // bytes of a snapshot of the last ones, on average
	Amplified float64       // bytes of these beside bytes of the keys that had changed
}

// Rate is rows a second.
func (m Measured) Rate() float64 { return float64(m.Rows) / m.Took.Seconds() }

// account counts.
type account struct{ used int64 }

func (a *account) Grow(n int64) error { a.used += n; return nil }
func (a *account) Shrink(n int64)     { a.used -= n }

// Run measures both distributions in memory and on disk, and prints as it goes.
func Run(ctx context.Context, o Options, out io.Writer) error {
	o = o.complete()
	if o.Keys < 100 || o.Columns < written || o.Budget <= 0 {
		return failure.Errorf(failure.Usage, "%d keys with %d columns and a budget of %g", o.Keys, o.Columns, o.Budget)
	}
	dir, err := os.MkdirTemp(o.Dir, "tidemill-state-")
	if err != nil {
		return failure.Errorf(failure.Usage, "directory of the benchmark: %w", err)
	}
	defer os.RemoveAll(dir)
	for _, theta := range []float64{o.Zipf, 0} {
		name := "uniform"
		if theta > 0 {
			name = fmt.Sprintf("Zipf %g", theta)
		}
		inMemory, err := o.measure(ctx, name, theta, 0, "")
		if err != nil {
			return err
		}
		if err := inMemory.print(out, Measured{}); err != nil {
			return err
		}
		onDisk, err := o.measure(ctx, name, theta, int64(o.Budget*float64(inMemory.Bytes)), filepath.Join(dir, "state"))
		if err != nil {
			return err
		}
		if err := onDisk.print(out, inMemory); err != nil {
			return err
		}
	}
	return nil
}

func mb(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }

func (m Measured) print(out io.Writer, beside Measured) error {
	where, ratio := "in memory", ""
	if m.Disk {
		where, ratio = "on disk  ", fmt.Sprintf(" (%.2f of in memory)", m.Rate()/beside.Rate())
	}
	_, err := fmt.Fprintf(out, "%-9s %s  %s in tables; %.2f M rows/s%s; hits %.1f%%, read %s, written %s; snapshot of changes: pause %v, %s, %.2f of what has changed\n",
		m.Keys, where, mb(m.Bytes), m.Rate()/1e6, ratio, 100*m.Hits, mb(m.Read), mb(m.Written), m.Pause.Round(10*time.Microsecond), mb(m.Uploaded), m.Amplified)
	return err
}

// bench is one table under load.
type bench struct {
	opts    Options
	account account
	backend *memstate.Backend
	rows    state.Rows
	keys    []int64
	hashes  []uint64
	slots   []int32
	took    time.Duration
	writing chan error // of the snapshot that is being written; nil: there is none
}

// measure runs one way; without a budget all stays in memory.
func (o Options) measure(ctx context.Context, name string, theta float64, budget int64, dir string) (m Measured, err error) {
	b := &bench{opts: o, keys: make([]int64, stream.TargetRows), slots: make([]int32, stream.TargetRows)}
	m = Measured{Keys: name, Disk: budget > 0, Rows: o.Rows, Hits: 1}
	var home *pebblestate.Home
	all := keygroup.Range{Last: groups}
	if budget == 0 {
		b.backend = memstate.New(groups, all, memory.DefaultAllocator, &b.account)
	} else {
		if home, err = pebblestate.Open(pebblestate.Options{Dir: dir}); err != nil {
			return m, err
		}
		b.backend = home.New(groups, all, memory.DefaultAllocator, &b.account, budget)
	}
	defer func() {
		if b.writing != nil {
			err = cmp.Or(err, <-b.writing)
		}
		err = cmp.Or(err, b.backend.Close())
		if home != nil {
			err = cmp.Or(err, home.Close())
		}
	}()
	if err := b.open(); err != nil {
		return m, err
	}
	if err := b.load(ctx); err != nil {
		return m, err
	}
	drawn := newKeys(o.Keys, theta, 1)
	if err := b.run(ctx, drawn, o.Rows); err != nil { // keys that are asked for find their place
		return m, err
	}
	before, traffic := stats(home), b.backend.Traffic()
	b.took = 0
	if err := b.run(ctx, drawn, o.Rows); err != nil {
		return m, err
	}
	after, now := stats(home), b.backend.Traffic()
	m.Took, m.Read, m.Written = b.took, after.Read-before.Read, after.Written-before.Written
	if asked := now.Asked - traffic.Asked; asked > 0 {
		m.Hits = float64(now.Hits-traffic.Hits) / float64(asked)
	}
	err = b.change(ctx, &m)
	m.Bytes = b.account.used
	return m, err
}

func stats(h *pebblestate.Home) pebblestate.Stats {
	if h == nil {
		return pebblestate.Stats{}
	}
	return h.Stats()
}

func (b *bench) open() error {
	number := datatype.Of(datatype.BigInt).NotNull()
	spec := state.TableSpec{ID: 1, Name: "sums", Keys: datatype.Schema{{Name: "k", Type: number}}, Evictable: true}
	for i := range b.opts.Columns {
		spec.Values = append(spec.Values, datatype.Field{Name: fmt.Sprint("sum", i), Type: number})
	}
	table, err := b.backend.Table(spec)
	if err != nil {
		return err
	}
	b.rows, err = table.Namespace(0)
	return err
}

// update adds a batch of rows to the sums of b.keys.
func (b *bench) update() error {
	started := time.Now()
	builder := array.NewInt64Builder(memory.DefaultAllocator)
	builder.AppendValues(b.keys, nil)
	column := builder.NewArray()
	builder.Release()
	defer column.Release()
	columns := []arrow.Array{column}
	b.hashes = compute.HashColumns(columns, nil, b.hashes)
	slots := b.slots[:len(b.keys)]
	if err := b.rows.Resolve(columns, nil, b.hashes, slots); err != nil {
		return err
	}
	for _, c := range b.rows.Values()[:written] {
		for i, s := range slots {
			c.Int64[s] += b.keys[i]
			c.Valid[s] = true
		}
	}
	if b.backend.Crowded() {
		if err := b.backend.Evict(); err != nil {
			return err
		}
	}
	b.took += time.Since(started)
	return nil
}

// load updates each key once.
func (b *bench) load(ctx context.Context) error {
	for from := int64(0); from < b.opts.Keys; from += stream.TargetRows {
		b.keys = b.keys[:min(stream.TargetRows, b.opts.Keys-from)]
		for i := range b.keys {
			b.keys[i] = from + int64(i)
		}
		if err := b.update(); err != nil {
			return err
		}
		for _, c := range b.rows.Values()[written:] {
			for _, s := range b.slots[:len(b.keys)] {
				c.Int64[s], c.Valid[s] = int64(s)<<20, true
			}
		}
	}
	_, err := b.snapshot(ctx, state.Everything, nil)
	return err
}

// run updates keys as they are drawn, with snapshots.
func (b *bench) run(ctx context.Context, drawn *keys, rows int64) error {
	next := b.opts.Every
	for done := int64(0); done < rows; done += int64(len(b.keys)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		b.keys = b.keys[:min(stream.TargetRows, rows-done)]
		for i := range b.keys {
			b.keys[i] = drawn.next()
		}
		if err := b.update(); err != nil {
			return err
		}
		if done >= next {
			next += b.opts.Every
			if _, err := b.snapshot(ctx, state.Changes, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// snapshot takes one and has it written aside, once the one before has been; size gets
// its bytes.
func (b *bench) snapshot(ctx context.Context, scope state.Scope, size *int64) (pause time.Duration, err error) {
	if b.writing != nil {
		if err := <-b.writing; err != nil {
			return 0, err
		}
	}
	started := time.Now()
	s, err := b.backend.Snapshot(scope)
	if err != nil {
		return 0, err
	}
	pause = time.Since(started)
	b.took += pause
	done := make(chan error, 1)
	b.writing = done
	go func() {
		defer s.Release()
		done <- s.Write(ctx, func(p state.Piece) error {
			if size != nil {
				*size += bytesOf(p.Rows)
			}
			return nil
		})
	}()
	return pause, nil
}

// bytesOf is what the values of a batch take.
func bytesOf(rows arrow.RecordBatch) int64 {
	n := int64(0)
	for _, c := range rows.Columns() {
		for _, buf := range c.Data().Buffers() {
			if buf != nil {
				n += int64(buf.Len())
			}
		}
	}
	return n
}

// change measures snapshots of a small part of the keys.
func (b *bench) change(ctx context.Context, m *Measured) error {
	drawn, changed := newKeys(b.opts.Keys, 0, 7), int64(b.opts.Changed*float64(b.opts.Keys))
	if _, err := b.snapshot(ctx, state.Changes, nil); err != nil {
		return err
	}
	uploaded, distinct := int64(0), int64(0)
	for range b.opts.Repeated {
		seen := map[int64]struct{}{}
		for int64(len(seen)) < changed {
			b.keys = b.keys[:0]
			for int64(len(seen)) < changed && len(b.keys) < stream.TargetRows {
				k := drawn.next()
				if _, twice := seen[k]; !twice {
					seen[k] = struct{}{}
					b.keys = append(b.keys, k)
				}
			}
			if err := b.update(); err != nil {
				return err
			}
		}
		distinct += int64(len(seen))
		pause, err := b.snapshot(ctx, state.Changes, &uploaded)
		if err != nil {
			return err
		}
		m.Pause = max(m.Pause, pause)
	}
	err := <-b.writing
	b.writing = nil
	m.Uploaded = uploaded / int64(b.opts.Repeated)
	m.Amplified = float64(uploaded) / float64(distinct*int64(b.opts.Columns+2)*8)
	return err
}
