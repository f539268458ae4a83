package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/id"
)

// WriteInFlight stores blocks of what was in flight to a subtask, under a name that is
// unique in the checkpoint, and returns a handle of each, without its rows and groups.
// Without blocks there is no file.
func (s *Store) WriteInFlight(ctx context.Context, job id.Job, c id.Checkpoint, name string, blocks iter.Seq2[[]byte, error]) ([]*checkpoint.Handle, error) {
	w := &stateWriter{store: s, path: path.Join(s.stateDir(job), fmt.Sprintf("%d-%s.inflight", c, name)), version: version2, checkpoint: c}
	defer w.abort(ctx)
	for block, err := range blocks {
		if err == nil {
			err = w.addBlock(ctx, block)
		}
		if err != nil {
			return nil, fmt.Errorf("write in-flight file %s: %w", w.path, err)
		}
	}
	if err := w.commit(ctx); err != nil {
		return nil, fmt.Errorf("write in-flight file %s: %w", w.path, err)
	}
	return w.handles, nil
}

func (w *stateWriter) addBlock(ctx context.Context, block []byte) error {
	if err := w.open(ctx); err != nil {
		return err
	}
	w.chunk.Reset()
	w.chunk.Write(block)
	return w.write(&checkpoint.Handle{})
}

// ReadInFlight reads a block that WriteInFlight stored.
func (s *Store) ReadInFlight(ctx context.Context, h *checkpoint.Handle) ([]byte, error) {
	f, err := s.openState(ctx, h.Path)
	if err != nil {
		return nil, fmt.Errorf("read in-flight file %s: %w", h.Path, err)
	}
	defer f.Close()
	if h.Offset < headerBytes || h.Length < 0 || h.Offset+h.Length > f.Size() {
		return nil, fmt.Errorf("read in-flight file %s: %w: %d bytes at %d of a file of %d", h.Path, checkpoint.ErrCorrupt, h.Length, h.Offset, f.Size())
	}
	data := make([]byte, h.Length)
	if _, err := f.ReadAt(data, h.Offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read in-flight file %s, byte %d: %w", h.Path, h.Offset, err)
	}
	if checkpoint.Checksum(data) != h.Crc32C {
		return nil, fmt.Errorf("read in-flight file %s, byte %d: %w: checksum differs", h.Path, h.Offset, checkpoint.ErrCorrupt)
	}
	return data, nil
}
