package stream

import (
	"fmt"
	"math"
	"time"

	"github.com/tidemill/tidemill/core/id"
)

// Watermark promises that no row with an earlier event time follows, late ones
// apart. It counts milliseconds since the Unix epoch, in UTC.
type Watermark int64

// The ends of event time. A stream starts at MinWatermark; the end of a bounded
// input is MaxWatermark.
const (
	MinWatermark Watermark = math.MinInt64
	MaxWatermark Watermark = math.MaxInt64
)

// String prints the time, or the name of an end.
func (w Watermark) String() string {
	switch w {
	case MinWatermark:
		return "min"
	case MaxWatermark:
		return "max"
	default:
		return time.UnixMilli(int64(w)).UTC().Format("2006-01-02T15:04:05.000Z")
	}
}

// BarrierKind says what a barrier asks for.
type BarrierKind uint8

// The kinds of barrier.
const (
	InvalidBarrier  BarrierKind = iota
	CheckpointKind              // periodic; a newer one subsumes it
	SavepointKind               // asked for by a user, who owns it
	FinalCheckpoint             // the last one of a stream that ended
	StopSavepoint               // sources are silent after it, until it is given up: the job ends with it
	DrainSavepoint              // StopSavepoint, before which event time comes to its end
)

// Savepoint says that a user has asked for it.
func (k BarrierKind) Savepoint() bool { return k == SavepointKind || k.Stops() }

// Stops says that the job ends with it.
func (k BarrierKind) Stops() bool { return k == StopSavepoint || k == DrainSavepoint }

// String is the kind's name.
func (k BarrierKind) String() string {
	switch k {
	case CheckpointKind:
		return "checkpoint"
	case SavepointKind:
		return "savepoint"
	case FinalCheckpoint:
		return "final checkpoint"
	case StopSavepoint:
		return "savepoint and stop"
	case DrainSavepoint:
		return "savepoint, drain and stop"
	default:
		return fmt.Sprintf("barrier kind %d", uint8(k))
	}
}

// Barrier divides a stream into the rows before and after a checkpoint.
type Barrier struct {
	Checkpoint id.Checkpoint
	Kind       BarrierKind
	// TriggeredAt is when the coordinator opened the checkpoint, in milliseconds
	// since the epoch on its clock; it is reported, never compared.
	TriggeredAt int64
}

// ElementKind tells what an Element is.
type ElementKind uint8

// The kinds of element, in no order of time.
const (
	InvalidElement ElementKind = iota
	DataElement                // Batch
	WatermarkElem              // Watermark advances
	BarrierElement             // Barrier
	IdleElement                // no rows for a while: leave this input out of the minimum
	ActiveElement              // rows again
	EndOfInput                 // nothing follows; implies MaxWatermark when Drained
)

// String is the kind's name.
func (k ElementKind) String() string {
	switch k {
	case DataElement:
		return "data"
	case WatermarkElem:
		return "watermark"
	case BarrierElement:
		return "barrier"
	case IdleElement:
		return "idle"
	case ActiveElement:
		return "active"
	case EndOfInput:
		return "end of input"
	default:
		return fmt.Sprintf("element kind %d", uint8(k))
	}
}

// Element is one thing on an edge. Only the field that belongs to Kind is set.
// A receiver of data owns the batch.
type Element struct {
	Kind      ElementKind
	Batch     *Batch
	Watermark Watermark
	Barrier   Barrier
}

// Data wraps a batch.
func Data(b *Batch) Element { return Element{Kind: DataElement, Batch: b} }

// Advance wraps a watermark.
func Advance(w Watermark) Element { return Element{Kind: WatermarkElem, Watermark: w} }

// Release gives the batch back, if there is one.
func (e Element) Release() {
	if e.Batch != nil {
		e.Batch.Release()
	}
}
