package state

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
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
	"github.com/tidemill/tidemill/fs/faultfs"
	"github.com/tidemill/tidemill/fs/local"
)

// Options are those of a run. Zero values mean the defaults.
type Options struct {
	Keys     int64   // 10,000,000
	Columns  int     // sums of each key; 21: with the key about 200 bytes
	Rows     int64   // that are run of each distribution; half as many as there are keys
	Warm     int64   // rows that are run before, of the first distribution; as many
	Budget   float64 // part of the state that memory is given, for everything; 0.25
	Runs     int     // of each distribution, of which the one in the middle counts; 3
	Every    int64   // rows between snapshots; a quarter of Rows
	Zipf     float64 // exponent; 0.99
	Changed  float64 // part of the keys that change between the last snapshots; 0.01
	Repeated int     // how many of these there are; 20
	Dir      string  // directory; the system's
	// Places are where state is measured, in memory first: disk, tiered; both.
	Places []string
	// Latency is that of each read of tiered state's home, which is a directory.
	Latency time.Duration
	// Local is how much of local disk tiered state has beside the state; 3: half of it at least for tables.
	Local float64
}

func (o Options) complete() Options {
	o.Keys, o.Columns = cmp.Or(o.Keys, 10_000_000), cmp.Or(o.Columns, 21)
	o.Rows = cmp.Or(o.Rows, max(o.Keys/2, 1))
	o.Warm, o.Every = cmp.Or(o.Warm, o.Rows), cmp.Or(o.Every, max(o.Rows/4, 1))
	o.Runs = cmp.Or(o.Runs, 3)
	o.Budget, o.Zipf = cmp.Or(o.Budget, 0.25), cmp.Or(o.Zipf, 0.99)
	o.Changed, o.Repeated = cmp.Or(o.Changed, 0.01), cmp.Or(o.Repeated, 20)
	if len(o.Places) == 0 {
		o.Places = []string{"disk", "tiered"}
	}
	o.Local = cmp.Or(o.Local, 3)
	return o
}

// stateBytes is what the keys and their sums take, without room to spare and a directory:
// key, hash, and of each sum the number and whether there is one.
func (o Options) stateBytes() int64 { return o.Keys * (8 + 8 + int64(o.Columns)*9) }

// budget is what memory is given.
func (o Options) budget() int64 { return int64(o.Budget * float64(o.stateBytes())) }

// home are the parts of the budget that a Pebble gets, and what remains for the tables, with
// room for what a batch brings.
func (o Options) home(dir string) (h pebblestate.Options, tables int64) {
	h = pebblestate.Sized(o.budget())
	h.Dir = dir
	return h, o.budget() - h.Held() - o.budget()/64
}

const (
	groups  = 1024
	written = 4 // columns that each row adds to
)

// Measured is what running rows of one distribution has shown.
type Measured struct {
	Keys    string // how they are drawn
	Rows    int64
	Took    time.Duration // of looking up, adding and moving keys out of memory
	Hits    float64       // of look-ups, in memory; 1 where memory is all
	Read    int64         // bytes from disk
	Written int64         // bytes to disk
	// Recent is how many reads found what was written lately.
	Recent int64
	// Of tiered state: reads of its home, and reads that local disk has answered.
	Remote, Local int64
}

// Rate is rows a second.
func (m Measured) Rate() float64 { return float64(m.Rows) / m.Took.Seconds() }

// Changed is what snapshots of a small part of the keys have shown.
type Changed struct {
	Pause     time.Duration // longest
	Uploaded  int64         // bytes of a snapshot, on average
	Amplified float64       // bytes of these beside bytes of the keys that had changed
}

// account counts.
type account struct{ used, most int64 }

func (a *account) Grow(n int64) error {
	a.used += n
	a.most = max(a.most, a.used)
	return nil
}

func (a *account) Shrink(n int64) { a.used -= n }

// Run measures both distributions in memory and on disk, and prints as it goes.
func Run(ctx context.Context, o Options, out io.Writer) error {
	o = o.complete()
	if i := slices.IndexFunc(o.Places, func(p string) bool { return p != "disk" && p != "tiered" }); i >= 0 {
		return failure.Errorf(failure.Usage, "%q is none of the places: disk, tiered", o.Places[i])
	}
	if o.Keys < 100 || o.Columns < written || o.Rows < 0 || o.Budget <= 0 {
		return failure.Errorf(failure.Usage, "%d keys with %d columns, %d rows and a budget of %g", o.Keys, o.Columns, o.Rows, o.Budget)
	}
	dir, err := os.MkdirTemp(o.Dir, "tidemill-state-")
	if err != nil {
		return failure.Errorf(failure.Usage, "directory of the benchmark: %w", err)
	}
	defer os.RemoveAll(dir)
	if _, err := fmt.Fprintf(out, "%d keys, %s; a snapshot after each %d of %d rows\n", o.Keys, mb(o.stateBytes()), o.Every, o.Rows); err != nil {
		return err
	}
	inMemory, err := o.measure(ctx, place{name: "in memory"}, nil, out)
	if err != nil {
		return err
	}
	for _, name := range o.Places {
		home, tables := o.home(filepath.Join(dir, name))
		p := place{name: "on disk", home: &home, tables: tables}
		if name == "tiered" {
			p.name = name
			disk, err := local.New(local.Options{})
			if err != nil {
				return err
			}
			home.Remote, home.RemoteDir = faultfs.Slow(disk, o.Latency), filepath.Join(dir, "home")
			home.LocalBytes = int64(o.Local * float64(o.stateBytes()))
		}
		if _, err := o.measure(ctx, p, inMemory, out); err != nil {
			return err
		}
	}
	return nil
}

func mb(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }

// place is where state is kept.
type place struct {
	name   string
	home   *pebblestate.Options // nil: memory is all
	tables int64                // bytes that the tables may take
}

// bench is one table under load.
type bench struct {
	opts    Options
	account account
	home    *pebblestate.Home // nil: memory is all
	backend *memstate.Backend
	rows    state.Rows
	keys    []int64
	hashes  []uint64
	slots   []int32
	took    time.Duration
	writing chan error // of the snapshot that is being written; nil: there is none
}

// measure runs all distributions in one place, and prints them beside those of another.
func (o Options) measure(ctx context.Context, p place, beside []Measured, out io.Writer) (all []Measured, err error) {
	b := &bench{opts: o, keys: make([]int64, stream.TargetRows), slots: make([]int32, stream.TargetRows)}
	if err := b.open(p); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	started := time.Now()
	if err := b.load(ctx); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(out, "%-9s  loaded in %v\n", p.name, time.Since(started).Round(time.Millisecond)); err != nil {
		return nil, err
	}
	for i, theta := range []float64{o.Zipf, 0} {
		drawn, runs := newKeys(o.Keys, theta, 1), make([]Measured, o.Runs)
		if theta > 0 {
			if err := b.run(ctx, drawn, o.Warm); err != nil { // keys that are asked for find their place
				return nil, err
			}
		}
		for i := range runs {
			if runs[i], err = b.measure(ctx, drawn); err != nil {
				return nil, err
			}
		}
		slices.SortFunc(runs, func(x, y Measured) int { return cmp.Compare(x.Rate(), y.Rate()) })
		m := runs[len(runs)/2]
		if m.Keys = "uniform"; theta > 0 {
			m.Keys = fmt.Sprintf("Zipf %g", theta)
		}
		all = append(all, m)
		ratio, remote := "", ""
		if beside != nil {
			ratio = fmt.Sprintf(" (%.2f of in memory)", m.Rate()/beside[i].Rate())
			remote = fmt.Sprintf("; %d records found among the latest", m.Recent)
		}
		if p.home != nil && p.home.Remote != nil {
			remote += fmt.Sprintf("; %d reads of objects, %.1f%% of all", m.Remote, 100*float64(m.Remote)/float64(max(m.Remote+m.Local, 1)))
		}
		if _, err := fmt.Fprintf(out, "%-9s  %s: %.2f M rows/s (%.2f to %.2f)%s; hits %.1f%%, read %s, written %s%s\n",
			p.name, m.Keys, m.Rate()/1e6, runs[0].Rate()/1e6, runs[len(runs)-1].Rate()/1e6, ratio, 100*m.Hits, mb(m.Read), mb(m.Written), remote); err != nil {
			return nil, err
		}
	}
	c, err := b.change(ctx)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(out, "%-9s  %g%% changed: pause %v, snapshot %s, %.2f of what has changed; memory %s at most\n",
		p.name, 100*o.Changed, c.Pause.Round(10*time.Microsecond), mb(c.Uploaded), c.Amplified, mb(b.account.most))
	if err == nil && p.home != nil && p.home.Remote != nil {
		err = b.restore(ctx, p, out)
	}
	return all, err
}

func (b *bench) open(p place) (err error) {
	all := keygroup.Range{Last: groups}
	if p.home == nil {
		b.backend = memstate.New(groups, all, memory.DefaultAllocator, &b.account)
	} else {
		if b.home, err = pebblestate.Open(*p.home); err != nil {
			return err
		}
		if err := b.account.Grow(p.home.Held()); err != nil {
			return err
		}
		b.backend = b.home.New(groups, all, memory.DefaultAllocator, &b.account, p.tables)
	}
	table, err := b.backend.Table(b.spec())
	if err == nil {
		b.rows, err = table.Namespace(0)
	}
	if err != nil {
		return errors.Join(err, b.close())
	}
	return nil
}

// spec is the table.
func (b *bench) spec() state.TableSpec {
	number := datatype.Of(datatype.BigInt).NotNull()
	spec := state.TableSpec{ID: 1, Name: "sums", Keys: datatype.Schema{{Name: "k", Type: number}}, Evictable: true}
	for i := range b.opts.Columns {
		spec.Values = append(spec.Values, datatype.Field{Name: fmt.Sprint("sum", i), Type: number})
	}
	return spec
}

func (b *bench) close() error {
	err := errors.Join(b.wait(), b.backend.Close())
	if b.home != nil {
		err = errors.Join(err, b.home.Close())
	}
	return err
}

// wait waits for the snapshot that is being written.
func (b *bench) wait() error {
	if b.writing == nil {
		return nil
	}
	err := <-b.writing
	b.writing = nil
	return err
}

// measure runs rows and notes what they took.
func (b *bench) measure(ctx context.Context, drawn *keys) (m Measured, err error) {
	if err := b.wait(); err != nil {
		return m, err
	}
	before, traffic := b.stats(), b.backend.Traffic()
	b.took = 0
	if err := b.run(ctx, drawn, b.opts.Rows); err != nil {
		return m, err
	}
	after, now := b.stats(), b.backend.Traffic()
	m = Measured{
		Rows: b.opts.Rows, Took: b.took, Hits: 1, Read: after.Read - before.Read, Written: after.Written - before.Written,
		Recent: after.Recent - before.Recent, Remote: after.Remote - before.Remote, Local: after.Local - before.Local,
	}
	if asked := now.Asked - traffic.Asked; asked > 0 {
		m.Hits = float64(now.Hits-traffic.Hits) / float64(asked)
	}
	return m, nil
}

func (b *bench) stats() pebblestate.Stats {
	if b.home == nil {
		return pebblestate.Stats{}
	}
	return b.home.Stats()
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
// its bytes. The pause is the longest that elements would wait.
func (b *bench) snapshot(ctx context.Context, scope state.Scope, size *int64) (pause time.Duration, err error) {
	if err := b.wait(); err != nil {
		return 0, err
	}
	started := time.Now()
	s, err := b.backend.Snapshot(scope)
	if err != nil {
		return 0, err
	}
	pause = time.Since(started)
	for done := false; !done && err == nil; {
		step := time.Now()
		done, err = s.Copy(state.CopyRows)
		pause = max(pause, time.Since(step))
	}
	b.took += time.Since(started)
	if err != nil {
		s.Release()
		return 0, err
	}
	done := make(chan error, 1)
	b.writing = done
	go func() {
		err := s.Write(ctx, func(p state.Piece) error {
			if size != nil {
				*size += bytesOf(p.Rows)
			}
			return nil
		})
		s.Release()
		done <- err
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
func (b *bench) change(ctx context.Context) (c Changed, err error) {
	drawn, changed := newKeys(b.opts.Keys, 0, 7), int64(b.opts.Changed*float64(b.opts.Keys))
	if _, err := b.snapshot(ctx, state.Changes, nil); err != nil {
		return c, err
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
				return c, err
			}
		}
		distinct += int64(len(seen))
		pause, err := b.snapshot(ctx, state.Changes, &uploaded)
		if err != nil {
			return c, err
		}
		c.Pause = max(c.Pause, pause)
	}
	err = b.wait() // and with it for what it counts
	c.Uploaded = uploaded / int64(b.opts.Repeated)
	c.Amplified = float64(uploaded) / float64(distinct*int64(b.opts.Columns+2)*8)
	return c, err
}
