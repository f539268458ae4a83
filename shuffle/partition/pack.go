package partition

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/tidemill/tidemill/shuffle"
)

// pack is one append-only file of blocks. Its store's lock guards it; reads go
// without, as bytes once written never change.
type pack struct {
	tier *Tier
	name string
	file *os.File
	size int64
	gone atomic.Bool
}

func newPack(t *Tier) (*pack, error) {
	name := t.packName()
	f, err := t.options.Dir.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create spill file: %w", err)
	}
	return &pack{tier: t, name: name, file: f}, nil
}

// append writes data, in pieces that page caches like, and returns its offset.
func (p *pack) append(data []byte) (int64, error) {
	const piece = 256 << 10
	if err := p.tier.reserveDisk(int64(len(data))); err != nil {
		return 0, err
	}
	start := p.size
	p.size += int64(len(data))
	for at := start; len(data) > 0; {
		n, err := p.file.WriteAt(data[:min(piece, len(data))], at)
		if err != nil {
			return 0, fmt.Errorf("spill to %s: %w", p.name, err)
		}
		at += int64(n)
		data = data[n:]
	}
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

func (p *pack) remove() error {
	if p.gone.Swap(true) {
		return nil
	}
	p.tier.give(0, p.size)
	closeErr := p.file.Close()
	if err := p.tier.options.Dir.Remove(p.name); err != nil {
		return fmt.Errorf("remove spill file: %w", err)
	}
	return closeErr
}
