package bench

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tidemill/tidemill/fs"
)

// command is a process to time.
type command struct{ args []string }

// sample is one run of a command: times in milliseconds, memory in MB.
type sample struct {
	wall, cpu, rss float64
	output         string
	storage        fs.Stats
}

func (c command) run(ctx context.Context) (sample, error) {
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return sample{}, fmt.Errorf("%s: %w: %s", c.args[0], err, strings.TrimSpace(errs.String()))
	}
	s := sample{wall: millis(time.Since(start)), output: out.String()}
	s.cpu = millis(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime())
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		s.rss = float64(usage.Maxrss) / 1024 // Linux counts kilobytes
	}
	return s, nil
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// median takes each figure's median by itself.
func median(samples []sample) sample {
	pick := func(figure func(sample) float64) float64 {
		all := make([]float64, len(samples))
		for i, s := range samples {
			all[i] = figure(s)
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return sample{
		wall: pick(func(s sample) float64 { return s.wall }),
		cpu:  pick(func(s sample) float64 { return s.cpu }),
		rss:  pick(func(s sample) float64 { return s.rss }),
	}
}

func sameValue(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && math.Abs(x-y) <= 1e-9*max(math.Abs(x), math.Abs(y), 1)
}
