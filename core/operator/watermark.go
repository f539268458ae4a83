package operator

import (
	"encoding/binary"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/stream"
)

// SaveWatermark is the state of an operator that must know only how far event time has come;
// Context.RestoredWatermark reads it.
func SaveWatermark(w stream.Watermark) []byte { return binary.AppendVarint(nil, int64(w)) }

// RestoredWatermark is the least watermark that former subtasks have saved: where barriers
// were aligned it is that of all, where they overtook rows the others come again. start is
// the answer where nothing was saved.
func (c *Context) RestoredWatermark(start stream.Watermark) (stream.Watermark, error) {
	least := start
	for i, saved := range c.Restored {
		w, n := binary.Varint(saved)
		if n <= 0 {
			return start, failure.Errorf(failure.BadData, "saved watermark of %d bytes is damaged", len(saved))
		}
		if i == 0 || stream.Watermark(w) < least {
			least = stream.Watermark(w)
		}
	}
	return least, nil
}
