package join

import (
	"fmt"

	"github.com/tidemill/tidemill/core/spill"
	"github.com/tidemill/tidemill/core/stream"
)

// Of a build side in files, as many partitions as fit are built in memory when it
// has ended; rows of the probe side that belong there are joined as they come, and
// only others are written. Where the memory is wanted, the partitions give it back:
// their files are still there, and the probe rows from then on are written, too.
// Kinds that ask in the end which build rows had a pair keep none.

// What a row takes in memory beside its columns, and how often its columns are there
// while they are joined to one record.
const (
	residentRowBytes = 28
	residentCopies   = 2
)

// resident are the partitions in memory: a bit for each.
type resident uint32

func (r resident) has(part uint32) bool { return r>>part&1 != 0 }

// settle ends the files of the build side and builds those that fit.
func (g *grace) settle() error {
	j := g.join
	if j.keepsBuild() || j.onlyBuild() || len(j.rightKeys) == 0 || j.share == nil {
		return nil
	}
	for i, w := range g.sides[buildInput] {
		if w == nil {
			continue
		}
		g.sides[buildInput][i] = nil
		f, err := g.finish(w)
		if err != nil {
			return fmt.Errorf("join: %w", err)
		}
		g.built[i] = f
	}
	for i, left := 0, j.share.Spare(); i < fan; i++ {
		f := g.built[i]
		if f == nil { // nothing to find there
			g.resident |= 1 << i
			continue
		}
		need := residentCopies*f.Bytes() + residentRowBytes*f.Rows()
		if need > left {
			continue
		}
		left -= need
		fits, err := g.keep(f)
		if err != nil {
			return err
		}
		if !fits {
			break
		}
		g.resident |= 1 << i
	}
	err := j.build.finish()
	if exhausted(err) {
		return g.evict()
	}
	return err
}

// keep adds a file's rows to the build side, or none where memory runs short.
func (g *grace) keep(f *spill.File) (fits bool, err error) {
	j, b := g.join, &g.join.build
	batches, rows := len(b.kept), b.rows
	from, err := openBlocks(f)
	if err != nil {
		return false, fmt.Errorf("join: %w", err)
	}
	defer from.close()
	for {
		next, err := from.next()
		if err != nil {
			return false, err
		}
		if next == nil {
			return true, nil
		}
		if next.Charge(j.ctx.Memory, next.Bytes()) != nil || j.share.Over() {
			next.Release()
			releaseAll(b.kept[batches:])
			b.kept, b.rows = b.kept[:batches], rows
			return false, nil
		}
		b.kept, b.rows = append(b.kept, next), b.rows+next.Len()
	}
}

// evict gives the memory of the resident partitions back.
func (g *grace) evict() error {
	g.resident = 0
	return g.join.resetBuild()
}

// take joins the rows of a probe batch whose partition is resident and writes the
// others; it consumes b.
func (g *grace) take(b *stream.Batch) error {
	if g.resident != 0 && g.join.share.Over() {
		if err := g.evict(); err != nil {
			b.Release()
			return err
		}
	}
	if g.resident == 0 {
		return g.write(&g.sides[probeInput], probeInput, 0, b)
	}
	parts := g.partition(probeInput, 0, b)
	here, there := make([]int32, 0, len(parts)), []int32{}
	for i, p := range parts {
		r := int32(i)
		if b.Sel != nil {
			r = b.Sel[i]
		}
		if g.resident.has(p) {
			here = append(here, r)
		} else {
			there = append(there, r)
		}
	}
	if len(there) > 0 {
		rest := b.Share()
		rest.Sel = there
		if err := g.write(&g.sides[probeInput], probeInput, 0, rest); err != nil {
			b.Release()
			return err
		}
	}
	if len(here) == 0 {
		b.Release()
		return nil
	}
	if len(there) > 0 {
		b.Sel = here
	}
	return g.join.probe.batch(b)
}
