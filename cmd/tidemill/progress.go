package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/client"
)

// How often progress is shown: a bar for people, lines for logs.
const (
	barInterval  = 200 * time.Millisecond
	lineInterval = 5 * time.Second
)

// progressLine is what --progress json prints every few seconds of a job.
type progressLine struct {
	Job progressJob `json:"progress"`
}

type progressJob struct {
	State       string  `json:"state"`
	RowsIn      int64   `json:"rows_in"`
	RowsOut     int64   `json:"rows_out"`
	SplitsDone  int64   `json:"splits_done"`
	SplitsTotal int64   `json:"splits_total"`
	Checkpoints int64   `json:"checkpoints"`
	Seconds     float64 `json:"seconds"`
}

// watcher returns what shows a job's progress while it runs.
func watcher(show string, out io.Writer) func(func() client.Progress) func() {
	switch show {
	case "bar":
		b := &bar{out: out}
		return func(ask func() client.Progress) func() { return every(barInterval, ask, b.draw, b.clear) }
	case "json":
		return func(ask func() client.Progress) func() {
			return every(lineInterval, ask, func(p client.Progress) {
				_ = writeLine(out, progressLine{progressJob{
					State: p.State, RowsIn: p.RowsIn, RowsOut: p.RowsOut, SplitsDone: p.SplitsDone,
					SplitsTotal: p.SplitsTotal, Checkpoints: p.Checkpoints, Seconds: p.Elapsed.Seconds(),
				}})
			}, func() {})
		}
	default:
		return nil
	}
}

// every shows progress at intervals until the returned function is called, which
// waits for the last one.
func every(interval time.Duration, ask func() client.Progress, show func(client.Progress), end func()) func() {
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				show(ask())
			case <-done:
				end()
				return
			}
		}
	})
	return func() {
		close(done)
		wait.Wait()
	}
}

// bar draws one line that overwrites itself:
//
//	[#########.............]  42%  12.3 M rows  4.1 M rows/s  ETA 3 s
type bar struct {
	out   io.Writer
	drawn bool
}

const barWidth = 24

func (b *bar) draw(p client.Progress) {
	b.drawn = true
	var line strings.Builder
	line.WriteString("\r\x1b[K")
	done := 0.0
	if p.SplitsTotal > 0 {
		done = float64(p.SplitsDone) / float64(p.SplitsTotal)
		full := int(done * barWidth)
		fmt.Fprintf(&line, "[%s%s] %3.0f%%  ", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), done*100)
	} else {
		fmt.Fprintf(&line, "%s  ", strings.ToLower(p.State))
	}
	seconds := max(p.Elapsed.Seconds(), 1e-3)
	fmt.Fprintf(&line, "%s rows  %s rows/s", short(float64(p.RowsIn)), short(float64(p.RowsIn)/seconds))
	if done > 0 && done < 1 {
		fmt.Fprintf(&line, "  ETA %.0f s", seconds*(1-done)/done)
	}
	if p.Checkpoints > 0 {
		fmt.Fprintf(&line, "  %d checkpoints", p.Checkpoints)
	}
	_, _ = io.WriteString(b.out, line.String())
}

func (b *bar) clear() {
	if b.drawn {
		_, _ = io.WriteString(b.out, "\r\x1b[K")
	}
	b.drawn = false
}

// short prints a count in three digits or so.
func short(x float64) string {
	switch {
	case x >= 1e9:
		return fmt.Sprintf("%.2f G", x/1e9)
	case x >= 1e6:
		return fmt.Sprintf("%.1f M", x/1e6)
	case x >= 1e4:
		return fmt.Sprintf("%.0f k", x/1e3)
	default:
		return fmt.Sprintf("%.0f", x)
	}
}
