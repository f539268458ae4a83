package eventtime

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/stream"
)

// longestStep is what a single Tick adds to the silence of splits: when the task stood
// still in between, nobody can say that nothing came.
const longestStep = time.Second

// Splits combines the watermarks of a source's splits, which come and go. A split is
// ACTIVE, IDLE after a time without rows, or FINISHED when it is not in hand any more. The
// rules are the Combiner's; a source without splits is idle after that time too. One
// goroutine uses it.
type Splits struct {
	timeout  time.Duration
	splits   map[string]*split
	combined stream.Watermark
	idle     bool
	quiet    time.Duration // without splits
	last     time.Time     // of Tick
	paused   map[string]bool
}

type split struct {
	status    Status
	watermark stream.Watermark
	busy      bool // rows have come since the last Tick
	quiet     time.Duration
}

// NewSplits returns a combination of none. After timeout without rows a split is left out;
// 0: never.
func NewSplits(timeout time.Duration) *Splits {
	return &Splits{timeout: timeout, splits: map[string]*split{}, combined: stream.MinWatermark}
}

// Watermark is the combined watermark.
func (s *Splits) Watermark() stream.Watermark { return s.combined }

// Hold says which splits are in hand: others have ended.
func (s *Splits) Hold(names []string) Change {
	for name := range s.splits {
		if !slices.Contains(names, name) {
			delete(s.splits, name)
		}
	}
	for _, name := range names {
		if s.splits[name] == nil {
			s.splits[name] = &split{status: Active, watermark: stream.MinWatermark}
			s.quiet = 0
		}
	}
	return s.combine()
}

// Rows says that a split has rows; it is active. A split that has ended with them is none.
func (s *Splits) Rows(name string) Change {
	if p := s.splits[name]; p != nil {
		p.status, p.busy, p.quiet = Active, true, 0
	}
	return s.combine()
}

// Advance says that a split has reached w.
func (s *Splits) Advance(name string, w stream.Watermark) Change {
	if p := s.splits[name]; p != nil {
		p.watermark = max(p.watermark, w)
	}
	return s.combine()
}

// Tick lets splits become idle. Those that are paused wait for others, not for rows.
func (s *Splits) Tick(now time.Time) Change {
	step := min(now.Sub(s.last), longestStep)
	if s.last.IsZero() {
		step = 0
	}
	s.last = now
	if len(s.splits) == 0 {
		s.quiet += step
	}
	for name, p := range s.splits {
		if p.busy || s.paused[name] {
			p.busy, p.quiet = false, 0
			continue
		}
		if p.quiet += step; s.timeout > 0 && p.quiet >= s.timeout {
			p.status = Idle
		}
	}
	return s.combine()
}

// Ahead returns the splits whose watermark is further than drift ahead of the slowest
// active one's, and notes that they are paused. A split that has said nothing yet counts
// as none.
func (s *Splits) Ahead(drift time.Duration) map[string]bool {
	least := stream.MaxWatermark
	for _, p := range s.splits {
		if p.status == Active && p.watermark > stream.MinWatermark {
			least = min(least, p.watermark)
		}
	}
	s.paused = nil
	for name, p := range s.splits {
		if p.watermark > stream.MinWatermark && least < stream.MaxWatermark && p.watermark-least > stream.Watermark(drift.Milliseconds()) {
			if s.paused == nil {
				s.paused = map[string]bool{}
			}
			s.paused[name] = true
		}
	}
	return s.paused
}

func (s *Splits) combine() (change Change) {
	least, most := stream.MaxWatermark, stream.MinWatermark
	active := 0
	for _, p := range s.splits {
		if p.status == Active {
			active++
			least = min(least, p.watermark)
		} else {
			most = max(most, p.watermark)
		}
	}
	next := most
	if active > 0 {
		next = least
	}
	if next > s.combined {
		s.combined = next
		change.Advanced, change.Watermark = true, next
	}
	idle := active == 0 && (len(s.splits) > 0 || s.timeout > 0 && s.quiet >= s.timeout)
	change.ToIdle, change.ToActive = idle && !s.idle, !idle && s.idle
	s.idle = idle
	return change
}

// Behind names the split that holds event time back by its silence: of the active ones
// that have the least watermark the one that has been silent for the longest, and for how
// long; false: none of them has been silent since the Tick before last. A split that may
// not go on, for it is ahead, is not silent.
func (s *Splits) Behind() (name string, quiet time.Duration, ok bool) {
	least := stream.MaxWatermark
	for _, p := range s.splits {
		if p.status == Active {
			least = min(least, p.watermark)
		}
	}
	for n, p := range s.splits {
		if p.status != Active || p.watermark > least || p.quiet == 0 {
			continue
		}
		if longer := cmp.Or(cmp.Compare(p.quiet, quiet), strings.Compare(name, n)) > 0; longer || !ok {
			name, quiet, ok = n, p.quiet, true
		}
	}
	return name, quiet, ok
}
