package tidemill_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/datastream"
)

// A subtask that has several splits of a generator reads all of them in turn: it once read
// the first one to its end, and so never another one where there was none.

// seen are the splits of which rows have come.
type seen struct {
	mu     sync.Mutex
	splits map[int]bool
	want   int
	all    chan struct{} // closed once as many as are wanted were seen
}

func newSeen(want int) *seen {
	return &seen{splits: map[int]bool{}, want: want, all: make(chan struct{})}
}

func (s *seen) note(split int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.splits[split] = true; len(s.splits) == s.want {
		s.want = -1 // once
		close(s.all)
	}
}

func (s *seen) done() bool {
	select {
	case <-s.all:
		return true
	default:
		return false
	}
}

func TestGeneratorReadsItsSplitsInTurn(t *testing.T) {
	const splits = 5 // of two subtasks
	for _, endless := range []bool{false, true} {
		t.Run(fmt.Sprintf("endless=%v", endless), func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			rows := newSeen(splits)
			env := datastream.New(datastream.Options{Parallelism: 2})
			source := datastream.Generate(env, "rows", datastream.Generator[int64]{
				Splits: splits, Endless: endless,
				// A bounded split ends only after all have been read.
				Next: func(split int, _ int64) (int64, bool) { return int64(split), endless || !rows.done() },
			})
			noted := datastream.Map(source, "noted", func(split int64) (int64, error) {
				rows.note(int(split))
				if endless && rows.done() {
					stop()
				}
				return split, nil
			})
			datastream.To(noted, "nowhere", datastream.Table{Options: map[string]string{"connector": "blackhole"}})
			err := tidemill.Run(ctx, env, tidemill.Options{})
			if !rows.done() {
				t.Errorf("only splits %v of %d were read: %v", rows.splits, splits, err)
			}
			if endless != errors.Is(err, context.Canceled) || !endless && err != nil {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}
