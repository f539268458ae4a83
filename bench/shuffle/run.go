package shuffle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tidemill/tidemill/bench/machine"
	"github.com/tidemill/tidemill/core/failure"
)

// Options are what Run measures.
type Options struct {
	// Bytes that each run moves over all streams; zero means 256 MiB.
	Bytes int64
	// Rows of a batch, from 1 to 8,192, each number by itself; empty means 512 and
	// 8,192, which are 43 KiB and 696 KiB.
	Rows []int
	// Streams at once, each number by itself, at most 64; empty means 1, 2 and 8.
	Streams []int
	// Compression adds paths with bodies that are compressed: lz4, zstd.
	Compression []string
	// Only are words of which a path's name or transport has to have one; empty means
	// all paths.
	Only []string
	// Runs is how many are counted, after one that is not; zero means 5.
	Runs int
	// Open is how many streams are open at once to see what they hold, at most 10,000;
	// zero measures none.
	Open int
	// Pings is how many batches of one row are sent, one after the other, to see how
	// long they take; zero measures none.
	Pings int
	// JSON prints the report as JSON instead of tables.
	JSON bool
	Out  io.Writer
}

const (
	mostStreams = 64
	mostBytes   = 8 << 30
	mostOpen    = 10_000
	mostPings   = 1_000_000
)

func (o Options) complete() (Options, error) {
	if o.Bytes == 0 {
		o.Bytes = 256 << 20
	}
	if o.Runs == 0 {
		o.Runs = 5
	}
	if len(o.Rows) == 0 {
		o.Rows = []int{512, wholeRows}
	}
	if len(o.Streams) == 0 {
		o.Streams = []int{1, 2, 8}
	}
	if o.Bytes < 1 || o.Bytes > mostBytes {
		return o, failure.Errorf(failure.Usage, "--megabytes %d: want 1 to %d", o.Bytes>>20, mostBytes>>20)
	}
	if o.Runs < 1 {
		return o, failure.Errorf(failure.Usage, "--runs %d: want more than 0", o.Runs)
	}
	if o.Open < 0 || o.Open > mostOpen {
		return o, failure.Errorf(failure.Usage, "--open %d: want 0 to %d", o.Open, mostOpen)
	}
	if o.Pings < 0 || o.Pings > mostPings {
		return o, failure.Errorf(failure.Usage, "--pings %d: want 0 to %d", o.Pings, mostPings)
	}
	for _, n := range o.Rows {
		if n < 1 || n > wholeRows {
			return o, failure.Errorf(failure.Usage, "--rows %d: want 1 to %d", n, wholeRows)
		}
	}
	for _, n := range o.Streams {
		if n < 1 || n > mostStreams {
			return o, failure.Errorf(failure.Usage, "--streams %d: want 1 to %d", n, mostStreams)
		}
	}
	return o, nil
}

// paths are those that the options ask for.
func (o Options) paths() ([]path, error) {
	var compressed []codec
	for _, name := range o.Compression {
		i := slices.IndexFunc(codecs(), func(c codec) bool { return c.String() == name })
		if i < 0 {
			return nil, failure.Errorf(failure.Usage, "--compression %q: want lz4, zstd", name)
		}
		compressed = append(compressed, codecs()[i])
	}
	all := slices.DeleteFunc(paths(compressed), func(p path) bool {
		return !o.wants(p.String(), p.transport)
	})
	if len(all) == 0 {
		return nil, failure.Errorf(failure.Usage, "--only %s: no path has such a name", strings.Join(o.Only, ","))
	}
	return all, nil
}

// wants reports whether a path of that name is asked for.
func (o Options) wants(name string, t transport) bool {
	return len(o.Only) == 0 || slices.ContainsFunc(o.Only, func(word string) bool {
		return word == t.String() || strings.Contains(name, word)
	})
}

// Run measures all paths at each size of batches and number of streams and prints a
// table for each. It fails if a path does, or loses rows, after the others have run.
func Run(ctx context.Context, o Options) error {
	o, err := o.complete()
	if err != nil {
		return err
	}
	all, err := o.paths()
	if err != nil {
		return err
	}
	r := newReport(o)
	bad := []error{o.still(ctx, r)} // first: later heaps are large
	for _, rows := range o.Rows {
		for _, streams := range o.Streams {
			if err := o.contest(ctx, r, all, rows, streams); err != nil {
				bad = append(bad, err)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return errors.Join(append(bad, r.finish())...)
}

// contest has all paths move one load, in turn, and reports it.
func (o Options) contest(ctx context.Context, r *report, all []path, rows, streams int) error {
	l, err := newLoad(rows, streams, o.Bytes)
	if err != nil {
		return err
	}
	defer l.release()
	rounds := make([][]sample, len(all)) // by path
	failed := make([]error, len(all))
	busy, start := othersBusy(), time.Now()
	for run := -1; run < o.Runs; run++ {
		for i, p := range all {
			if failed[i] != nil {
				continue
			}
			s, err := measure(ctx, p, l)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				failed[i] = fmt.Errorf("%v by %v: %w", p, p.transport, err)
			} else if run >= 0 { // the first one grows heaps
				rounds[i] = append(rounds[i], s)
			}
		}
	}
	others := float64(othersBusy()-busy) / float64(time.Since(start))
	return errors.Join(errors.Join(failed...), r.add(newTable(l, all, rounds, failed, others)))
}

// sample is one run of a path.
type sample struct {
	wall, cpu time.Duration
	bytes     int64
	allocated float64 // allocations a message
}

func (s sample) rate() float64 { return float64(s.bytes) / float64(s.wall) } // GB/s are bytes/ns
func (s sample) cost() float64 { return float64(s.cpu) / float64(s.bytes) }  // s/GB are ns/byte

// measure moves the load once. What earlier runs left behind is collected before.
func measure(ctx context.Context, p path, l *load) (sample, error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, start := machine.CPU(), time.Now()
	rows, err := p.move(ctx, p, l)
	s := sample{wall: time.Since(start), cpu: machine.CPU() - cpu, bytes: l.bytes()}
	if err != nil {
		return s, err
	}
	runtime.ReadMemStats(&after)
	s.allocated = float64(after.Mallocs-before.Mallocs) / float64(l.messages())
	if want := int64(l.messages()) * int64(l.rows); rows != want {
		return s, failure.Errorf(failure.Internal, "%d rows arrived of %d", rows, want)
	}
	return s, nil
}

// othersBusy is the CPU time that other processes have taken; zero if nobody knows.
func othersBusy() time.Duration {
	all, known := machine.Busy()
	if !known {
		return 0
	}
	return all - machine.CPU()
}
