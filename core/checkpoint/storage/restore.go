package storage

import (
	"context"
	"fmt"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/fs"
)

// Restore gives what a chain names to a backend of a job with so many key groups: one that
// adopts it where it lies, or else reads it.
func (s *Store) Restore(ctx context.Context, chain checkpoint.Chain, groups int, into state.Backend) error {
	if done, err := s.adopt(ctx, chain, groups, into); done || err != nil {
		return err
	}
	if stager, ok := into.(state.Stager); ok {
		rows := map[uint16]int{}
		for _, h := range chain.Handles {
			if state.Kind(h.Kind) == state.PutKey {
				rows[uint16(h.Table)] += int(h.Rows)
			}
		}
		stager.Foresee(rows)
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	read := make(chan readPart, readAhead)
	go func() {
		defer close(read)
		s.readChain(reading, chain, groups, into, read)
	}()
	var err error
	for part := range read { // to the end, also of what is read in vain
		if err == nil {
			err = part.finish()
		}
		part.release()
		if err != nil {
			stop()
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// readAhead is how many pieces are read, decoded and staged while one is restored.
const readAhead = 2

// readPart is a piece on its way to a backend, or why it cannot be read.
type readPart struct {
	handle  *checkpoint.Handle
	stale   []bool
	piece   state.Piece
	restore func() error
	err     error
}

func (p readPart) finish() error {
	err := p.err
	if err == nil {
		err = p.restore()
	}
	if err != nil {
		return fmt.Errorf("restore state file %s, byte %d: %w", p.handle.Path, p.handle.Offset, err)
	}
	return nil
}

func (p readPart) release() {
	if p.err == nil {
		p.piece.Rows.Release()
	}
}

// readChain reads and stages what a chain names, up to the first error, or until nobody takes more.
func (s *Store) readChain(ctx context.Context, chain checkpoint.Chain, groups int, into state.Backend, to chan<- readPart) {
	files := map[string]fs.File{}
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	var part readPart
	for i, h := range chain.Handles {
		if i == 0 || h.Snapshot != part.handle.Snapshot {
			part.stale = chain.Stale(h.Snapshot, groups)
		}
		part.handle = h
		part.err = s.readInto(ctx, &part, files, into)
		select {
		case to <- part:
		case <-ctx.Done():
			part.release()
			return
		}
		if part.err != nil {
			return
		}
	}
}

// readInto reads and stages a part. No task's goroutine is below to recover a panic, which
// memory that is exhausted is, too.
func (s *Store) readInto(ctx context.Context, part *readPart, files map[string]fs.File, into state.Backend) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if err = memory.Recovered("read ahead", r); part.piece.Rows != nil {
				part.piece.Rows.Release()
			}
		}
	}()
	h := part.handle
	part.piece = state.Piece{}
	f := files[h.Path]
	if f == nil {
		if f, err = s.openState(ctx, h.Path); err != nil {
			return err
		}
		files[h.Path] = f
	}
	if part.piece, err = s.readChunk(f, h); err == nil {
		part.restore = state.Stage(into, part.piece, part.stale)
	}
	return err
}
