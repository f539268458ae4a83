package join

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	arrowmemory "github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/stream"
)

// How both sides are divided.
const (
	fanBits  = 4
	fan      = 1 << fanBits
	maxLevel = 8
)

// grace is a join whose build side does not fit memory: both sides are divided by
// the hash of their keys into files, and each pair of files is joined on its own.
type grace struct {
	join   *Join
	sides  [2]divided // by input
	hashes []uint64
	parts  []uint32

	built    [fan]*spill.File // of the build side, where settle ended them
	resident resident
	buffers  int64 // charged for those of writers
}

// divided is one side's files in the making.
type divided [fan]*spill.Writer

// pair is a partition: what of both sides can match.
type pair struct {
	sides     [2]*spill.File // by input; nil: no rows
	level     int            // how often it was divided
	divisible bool
}

func (p pair) remove() (err error) {
	for _, f := range p.sides {
		if f != nil {
			err = errors.Join(err, f.Remove())
		}
	}
	return err
}

// exhausted reports whether err says that there is no memory, or that one column of
// all rows would be too large: dividing them cures both.
func exhausted(err error) bool {
	var e *memory.ExhaustedError
	return errors.As(err, &e) || errors.Is(err, compute.ErrTooLarge)
}

// spill moves what has been built so far to files. From here on both inputs are
// only written.
func (j *Join) spill() error {
	kept := j.build.kept
	j.build.kept = nil
	j.grace = &grace{join: j}
	err := j.resetBuild()
	for _, b := range kept {
		if err == nil {
			err = j.grace.write(&j.grace.sides[buildInput], buildInput, 0, b)
		} else {
			b.Release()
		}
	}
	return err
}

// resetBuild gives the build side's memory back and begins another.
func (j *Join) resetBuild() error {
	j.build.release()
	j.build = build{}
	return j.build.open(j)
}

// write divides a batch of an input; it consumes b.
func (g *grace) write(to *divided, input, level int, b *stream.Batch) error {
	defer b.Release()
	copied := g.join.share.Take(b.Bytes())
	defer g.join.ctx.Memory.Shrink(copied)
	all, err := compute.Cluster(arrowmemory.DefaultAllocator, b, g.partition(input, level, b), fan)
	if err != nil {
		return fmt.Errorf("join: spill: %w", err)
	}
	defer all.Record.Release()
	for i := range to {
		part := all.Partition(i)
		if part == nil {
			continue
		}
		err := g.append(&to[i], input, part.Record)
		part.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// partition is which part each row of a batch belongs to.
func (g *grace) partition(input, level int, b *stream.Batch) []uint32 {
	columns := [2][]int{g.join.leftKeys, g.join.rightKeys}[input]
	g.parts = slices.Grow(g.parts[:0], b.Len())[:b.Len()]
	clear(g.parts)
	if len(columns) > 0 {
		g.hashes = compute.HashColumns(columnsOf(b, columns), b.Sel, g.hashes)
		// The exchange divides by bits of the hash, too: others are needed.
		shift := 64 - fanBits*(level+1)
		for i, h := range g.hashes {
			g.parts[i] = uint32(h*0x9E3779B97F4A7C15>>shift) % fan
		}
	}
	return g.parts
}

func (g *grace) append(to **spill.Writer, input int, record arrow.RecordBatch) (err error) {
	if *to == nil {
		name, schema := "probe", g.join.left
		if input == buildInput {
			name, schema = "build", g.join.right
		}
		if *to, err = g.join.ctx.Spill.Create("join-"+name, schema.Arrow()); err != nil {
			return fmt.Errorf("join: %w", err)
		}
		g.buffers += g.join.share.Take(spill.BufferBytes)
	}
	if err := (*to).Append(record); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	return nil
}

// finish ends a file and gives back what was charged for its buffer.
func (g *grace) finish(w *spill.Writer) (*spill.File, error) {
	g.unbuffer()
	return w.Finish()
}

func (g *grace) unbuffer() {
	n := min(g.buffers, spill.BufferBytes)
	g.buffers -= n
	g.join.ctx.Memory.Shrink(n)
}

// pairs ends what both sides wrote.
func (g *grace) pairs(sides *[2]divided, level int) (out []pair, err error) {
	for i := range fan {
		p := pair{level: level, divisible: level < maxLevel && len(g.join.rightKeys) > 0}
		for input := range sides {
			w := sides[input][i]
			if w == nil {
				continue
			}
			sides[input][i] = nil
			f, e := g.finish(w)
			p.sides[input], err = f, errors.Join(err, e)
		}
		out = append(out, p)
	}
	return out, err
}

// run joins all pairs after both inputs have ended.
func (g *grace) run() error {
	pairs, err := g.pairs(&g.sides, 1)
	if err != nil {
		return err
	}
	for i, f := range g.built {
		if f != nil {
			pairs[i].sides[buildInput] = f
		}
	}
	if err := g.evict(); err != nil {
		return err
	}
	return g.joinAll(pairs)
}

func (g *grace) joinAll(pairs []pair) error {
	for _, p := range pairs {
		if err := g.joinPair(p); err != nil {
			return err
		}
		if err := p.remove(); err != nil {
			return fmt.Errorf("join: %w", err)
		}
	}
	return nil
}

// needed reports whether a pair can bring forth rows.
func (j *Join) needed(p pair) bool {
	if p.sides[probeInput] == nil {
		return p.sides[buildInput] != nil && (j.keepsBuild() || j.kind == jobgraph.JoinType_JOIN_RIGHT_ANTI)
	}
	return p.sides[buildInput] != nil || !j.needsBuild()
}

// joinPair joins a pair in memory, or, where its build side does not fit, divides
// it further. What cannot be divided, because one key has too many rows, is built
// in blocks, and the probe side is read once for each.
func (g *grace) joinPair(p pair) error {
	j := g.join
	if !j.needed(p) {
		return nil
	}
	from, err := openBlocks(p.sides[buildInput])
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	defer from.close()
	defer j.probe.forget()
	for first := true; ; first = false {
		if err := g.load(from); err != nil {
			return err
		}
		if first && !from.ended() {
			if p.divisible {
				if err := j.resetBuild(); err != nil {
					return err
				}
				return g.divide(p)
			}
			if err := j.probe.remember(p.sides[probeInput]); err != nil {
				return err
			}
		}
		if err := g.each(p.sides[probeInput], j.probe.batch); err != nil {
			return err
		}
		if err := j.probe.rest(); err != nil {
			return err
		}
		if err := j.resetBuild(); err != nil {
			return err
		}
		if from.ended() {
			break
		}
	}
	if j.probe.seen == nil || !j.onlyProbe() && !j.fillsProbe() {
		return nil
	}
	return g.each(p.sides[probeInput], j.probe.later)
}

// divide joins a pair by parts.
func (g *grace) divide(p pair) error {
	var sides [2]divided
	defer func() {
		for i := range sides {
			g.abort(&sides[i])
		}
	}()
	for input, f := range p.sides {
		err := g.each(f, func(b *stream.Batch) error { return g.write(&sides[input], input, p.level, b) })
		if err != nil {
			return err
		}
	}
	pairs, err := g.pairs(&sides, p.level+1)
	if err != nil {
		return err
	}
	for i, part := range pairs {
		if f := part.sides[buildInput]; f != nil && f.Rows() == p.sides[buildInput].Rows() {
			pairs[i].divisible = false
		}
	}
	if err := p.remove(); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	return g.joinAll(pairs)
}

func (g *grace) abort(d *divided) {
	for _, w := range d {
		if w != nil {
			w.Abort()
			g.unbuffer()
		}
	}
}

// close throws away what is still being written.
func (g *grace) close() {
	for i := range g.sides {
		g.abort(&g.sides[i])
	}
}

// each gives f the batches of a file, which may be nil; small ones are put
// together. It sets the probe's place in the file.
func (g *grace) each(file *spill.File, f func(*stream.Batch) error) error {
	if file == nil {
		return nil
	}
	j := g.join
	from, err := openBlocks(file)
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	defer from.close()
	for j.probe.base = 0; ; {
		if err := j.ctx.Err(); err != nil {
			return err
		}
		b, err := from.several(j.ctx.BatchRows)
		if b == nil || err != nil {
			return err
		}
		n, read := b.Len(), g.join.share.Take(b.Bytes())
		err = f(b)
		j.ctx.Memory.Shrink(read)
		if err != nil {
			return err
		}
		j.probe.base += n
	}
}

// load builds a block: as many batches as memory allows, one at least.
func (g *grace) load(from *blocks) error {
	j, b := g.join, &g.join.build
	limit, held := j.share.Fair()/4, int64(0)
	for {
		next, err := from.next()
		if err != nil {
			return err
		}
		if next == nil {
			break
		}
		size := next.Charged()
		if size == 0 {
			size = next.Bytes()
			err = next.Charge(j.ctx.Memory, size)
		}
		if len(b.kept) > 0 && (err != nil || j.share.Over() || held+size > limit) {
			from.back(next)
			break
		}
		if err != nil {
			next.Release()
			return fmt.Errorf("join: one batch of the build side: %w", err)
		}
		held += size
		b.kept, b.rows = append(b.kept, next), b.rows+next.Len()
	}
	for {
		err := b.finish()
		if err == nil || !exhausted(err) || len(b.kept) < 2 {
			return err
		}
		// The index and the joined columns need room, too: half the block then.
		half := len(b.kept) / 2
		kept := b.kept
		b.kept = nil
		for _, k := range slices.Backward(kept[half:]) {
			from.back(k)
		}
		if err := j.resetBuild(); err != nil {
			releaseAll(kept[:half])
			return err
		}
		b.kept = kept[:half]
		for _, k := range b.kept {
			b.rows += k.Len()
		}
	}
}

func releaseAll(batches []*stream.Batch) {
	for _, b := range batches {
		b.Release()
	}
}

// blocks reads a file and takes batches back.
type blocks struct {
	reader  *spill.Reader   // nil: an empty file
	pending []*stream.Batch // the next one last
	eof     bool
}

// openBlocks reads a file, nil being an empty one. Batches are not charged: they
// are few at a time, unless their reader charges them.
func openBlocks(f *spill.File) (*blocks, error) {
	if f == nil {
		return &blocks{eof: true}, nil
	}
	r, err := f.Open(arrowmemory.DefaultAllocator)
	return &blocks{reader: r}, err
}

// next returns the next batch, nil at the end.
func (b *blocks) next() (*stream.Batch, error) {
	if n := len(b.pending); n > 0 {
		out := b.pending[n-1]
		b.pending = b.pending[:n-1]
		return out, nil
	}
	if b.eof {
		return nil, nil
	}
	record, err := b.reader.Next()
	if errors.Is(err, io.EOF) {
		b.eof = true
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	return stream.NewBatch(record), nil
}

// several returns about rows rows in a batch, at most as many where a batch of the
// file has no more, nil at the end.
func (b *blocks) several(rows int) (*stream.Batch, error) {
	var all []*stream.Batch
	defer func() { releaseAll(all) }()
	for have := 0; have < rows; {
		next, err := b.next()
		if err != nil {
			return nil, err
		}
		if next == nil {
			break
		}
		if have > 0 && have+next.Len() > rows {
			b.back(next)
			break
		}
		all, have = append(all, next), have+next.Len()
	}
	switch len(all) {
	case 0:
		return nil, nil
	case 1:
		out := all[0]
		all = nil
		return out, nil
	}
	records := make([]arrow.RecordBatch, len(all))
	for i, a := range all {
		records[i] = a.Record
	}
	record, err := compute.ConcatRecords(arrowmemory.DefaultAllocator, records)
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	return stream.NewBatch(record), nil
}

// back makes batch the next one again.
func (b *blocks) back(batch *stream.Batch) { b.pending = append(b.pending, batch) }

// ended reports whether nothing is left; it is known after a next that said so.
func (b *blocks) ended() bool { return b.eof && len(b.pending) == 0 }

func (b *blocks) close() {
	releaseAll(b.pending)
	b.pending = nil
	if b.reader != nil {
		b.reader.Close()
	}
}
