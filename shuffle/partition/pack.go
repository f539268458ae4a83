package partition

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/tidemill/tidemill/shuffle"
)

// pack is one append-only file of blocks. Its store's lock guards it; reads go
// without, as bytes that somebody may read never change.
type pack struct {
	tier *Tier
	name string
	file *os.File
	size int64
	live int64 // bytes of blocks that are read from here
	held int64 // bytes of disk that are reserved
	gone atomic.Bool
}

func newPack(t *Tier) (*pack, error) {
	name := t.packName()
	f, err := t.options.Dir.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, t.fullBy(fmt.Errorf("create spill file: %w", err))
	}
	return &pack{tier: t, name: name, file: f}, nil
}

// append writes data, in pieces that page caches like, and returns its offset. After an
// error the pack is as it was.
func (p *pack) append(data []byte) (int64, error) {
	const piece = 256 << 10
	length := int64(len(data))
	if err := p.tier.reserveDisk(length); err != nil {
		return 0, err
	}
	start := p.size
	for at := start; len(data) > 0; {
		n, err := p.file.WriteAt(data[:min(piece, len(data))], at)
		if err != nil {
			_ = p.file.Truncate(start) // the next block is written over it anyway
			p.tier.give(0, length)
			return 0, p.tier.fullBy(fmt.Errorf("spill to %s: %w", p.name, err))
		}
		at += int64(n)
		data = data[n:]
	}
	p.size += length
	p.live += length
	p.held += length
	p.tier.wrote()
	return start, nil
}

// read fills data with what lies at offset.
func (p *pack) read(offset int64, data []byte) error {
	_, err := p.file.ReadAt(data, offset)
	switch {
	case err == io.EOF:
		return fmt.Errorf("%w: %s ends before byte %d", shuffle.ErrDataLoss, p.name, offset+int64(len(data)))
	case err != nil:
		return fmt.Errorf("%w: read back %s: %w", shuffle.ErrDataLoss, p.name, err)
	}
	return nil
}

// punch gives a range back that nobody is told of any more. Who was told before reads zeros,
// and looks again.
func (p *pack) punch(from, to int64) {
	if punch(p.file, from, to) {
		p.held -= to - from
		p.tier.give(0, to-from)
	}
}

func (p *pack) remove() error {
	if p.gone.Swap(true) {
		return nil
	}
	p.tier.give(0, p.held)
	err := p.file.Close()
	if gone := p.tier.options.Dir.Remove(p.name); gone != nil {
		err = errors.Join(err, fmt.Errorf("remove spill file: %w", gone))
	}
	return err
}
