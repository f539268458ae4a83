package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/checkpoint/storage"
	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/state/pebblestate"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/fs"
)

// Restored is what restoring a table has shown.
type Restored struct {
	From, To int           // subtasks
	Took     time.Duration // until all of these can go on, one after the other
	First    time.Duration // what the first batch of the first one takes then, of keys all over
}

// restoring restores tiered state from checkpoints of one kind.
type restoring struct {
	bench *bench
	home  pebblestate.Options
	store *storage.Store
	job   id.Job
	taken id.Checkpoint
}

// restore measures how long it takes until tiered state can go on after a restart, from pieces
// that are read and from sorted tables that are read when they are asked for.
func (b *bench) restore(ctx context.Context, p place, out io.Writer) error {
	for _, kind := range []struct{ name, backend string }{{"reading", "hashmap"}, {"adopting", "tiered"}} {
		r := &restoring{bench: b, home: *p.home, job: id.NewJob()}
		registry := fs.NewRegistry()
		if err := registry.Register(fs.DefaultScheme, p.home.Remote); err != nil {
			return err
		}
		settings, err := config.FromMap(map[string]string{config.StateBackend.Key(): kind.backend, config.CheckpointDir.Key(): filepath.Join(filepath.Dir(p.home.Dir), "checkpoints", kind.backend)}, "bench")
		if err == nil {
			r.store, _, err = storage.Open(registry, settings, memory.DefaultAllocator)
		}
		if err != nil {
			return err
		}
		if err := r.run(ctx, kind.name, out); err != nil {
			return err
		}
	}
	return nil
}

func (r *restoring) run(ctx context.Context, name string, out io.Writer) error {
	began := time.Now()
	chain, err := r.snapshot(ctx, r.bench.backend)
	if err != nil {
		return err
	}
	wrote := time.Since(began)
	bytes := int64(0)
	for _, h := range chain.Handles {
		bytes += h.GetLength()
	}
	if _, err := fmt.Fprintf(out, "%-9s  checkpoint of everything: %s in %v\n", name, mb(bytes), wrote.Round(time.Millisecond)); err != nil {
		return err
	}
	for from, to := 1, 1; to > 0; from, to = to, next(from, to) {
		m, after, err := r.restored(ctx, chain, from, to)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%-9s  restore %d -> %d: %v, first batch %v\n", name, from, to, m.Took.Round(100*time.Microsecond), m.First.Round(100*time.Microsecond)); err != nil {
			return err
		}
		chain = after
	}
	return nil
}

// next is how many subtasks come after from that were restored as to: 1, 1, 2, 1.
func next(from, to int) int {
	switch {
	case from == 1 && to == 1:
		return 2
	case to == 2:
		return 1
	default:
		return 0
	}
}

// snapshot writes all that a backend has.
func (r *restoring) snapshot(ctx context.Context, b *memstate.Backend) (checkpoint.Chain, error) {
	var chain checkpoint.Chain
	s, err := b.Snapshot(state.Everything)
	if err != nil {
		return chain, err
	}
	defer s.Release()
	if err := state.Complete(s); err != nil {
		return chain, err
	}
	r.taken++
	handles, err := r.store.Write(ctx, r.job, r.taken, "sums", s)
	chain.Add(handles, s.Whole(), groups)
	return chain, err
}

// restored restores a chain into so many backends, and returns a chain of what they have.
func (r *restoring) restored(ctx context.Context, chain checkpoint.Chain, from, to int) (m Restored, after checkpoint.Chain, err error) {
	m.From, m.To = from, to
	r.home.Dir += "x" // the one before is still there
	home, err := pebblestate.Open(r.home)
	if err != nil {
		return m, after, err
	}
	owners, err := keygroup.Even(groups, to)
	if err != nil {
		return m, after, errors.Join(err, home.Close())
	}
	tables := r.bench.opts.budget() - r.home.Held()
	var all []*memstate.Backend
	began := time.Now()
	for i := range to {
		b := home.New(groups, owners.Range(i), memory.DefaultAllocator, &account{}, tables/int64(to))
		all = append(all, b)
		err = errors.Join(err, r.store.Restore(ctx, chain, groups, b))
	}
	m.Took = time.Since(began)
	for i, b := range all {
		if err == nil {
			err = r.goOn(b, owners.Range(i), &m)
		}
		if err == nil {
			var part checkpoint.Chain
			part, err = r.snapshot(ctx, b)
			after.Handles, after.Shares = append(after.Handles, part.Handles...), append(after.Shares, part.Shares...)
		}
		err = errors.Join(err, b.Close())
	}
	return m, after, errors.Join(err, home.Close())
}

// goOn asks for keys all over.
func (r *restoring) goOn(b *memstate.Backend, of keygroup.Range, m *Restored) error {
	table, err := b.Table(r.bench.spec())
	if err != nil {
		return err
	}
	rows, err := table.Namespace(0)
	if err != nil {
		return err
	}
	one := &bench{opts: r.bench.opts, backend: b, rows: rows, slots: make([]int32, stream.TargetRows)}
	one.keys = owned(r.bench.opts.Keys, of)
	before := b.Traffic()
	if err := one.update(); err != nil {
		return err
	}
	if m.First == 0 {
		m.First = one.took
	}
	if now := b.Traffic(); now.Read == before.Read && now.Hits == before.Hits {
		return failure.Errorf(failure.Internal, "none of the keys was restored")
	}
	return nil
}

// owned draws keys of groups: about a batch.
func owned(n int64, of keygroup.Range) (out []int64) {
	drawn, some := newKeys(n, 0, 5), array.NewInt64Builder(memory.DefaultAllocator)
	defer some.Release()
	for range stream.TargetRows * groups / of.Len() {
		some.Append(drawn.next())
	}
	column := some.NewArray()
	defer column.Release()
	for i, h := range compute.HashColumns([]arrow.Array{column}, nil, nil) {
		if of.Contains(keygroup.Of(h, groups)) && len(out) < stream.TargetRows {
			out = append(out, column.(*array.Int64).Value(i))
		}
	}
	return out
}
