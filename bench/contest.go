package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tidemill/tidemill/bench/machine"
	"github.com/tidemill/tidemill/fs"
)

// contest runs trials on engines that take turns; the first one is ours.
type contest struct {
	engines []*engine
	runs    int // that count
	warm    int // before them, that do not
	// served is set when servers on this machine work for the engines: what others
	// take of it then tells nothing, and no run is repeated.
	served bool
	report *report
}

// trial is one thing that every engine does.
type trial struct {
	name string
	// text is an engine's statement.
	text func(engine int) string
	// prepare, if given, makes ready for one run of an engine and is not timed.
	prepare func(engine int) error
	// check, if given, looks at an engine's answer to a run beside ours; ours it
	// looks at first, beside itself.
	check func(engine int, ours, theirs string) error
}

// all runs trials and reports each as it ends. One that fails has its line say so,
// the others still run, and all returns an error.
func (c contest) all(ctx context.Context, trials []trial) error {
	var bad []error
	for _, t := range trials {
		line, err := c.one(ctx, t)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			line.Error = err.Error()
			bad = append(bad, fmt.Errorf("%s: %w", t.name, err))
		}
		c.report.add(line)
	}
	return errors.Join(append(bad, c.report.finish())...)
}

// one runs one trial on every engine in turn. A run which others disturbed is
// repeated, at most as often again as there are runs.
func (c contest) one(ctx context.Context, t trial) (line Line, err error) {
	line.Name = t.name
	line.Engines = make([]Figures, len(c.engines))
	for i, e := range c.engines {
		line.Engines[i].Engine = e.name
	}
	samples := make([][]sample, len(c.engines))
	spare := c.runs
	for run := -c.warm; run < c.runs; {
		round, quiet, err := c.round(ctx, t, line.Engines)
		if err != nil {
			return line, err
		}
		counts := run >= 0 // the first ones read files and load code
		switch {
		case counts && !quiet && spare > 0:
			spare--
			line.Repeated++
			continue
		case counts && !quiet:
			line.Disturbed++
		}
		for i := range c.engines {
			if counts {
				samples[i] = append(samples[i], round[i])
			}
		}
		run++
	}
	for i := range c.engines {
		line.Engines[i].set(samples[i])
	}
	return line, nil
}

// quietShare is the part of the machine that others may take while a run counts as
// undisturbed, in percent of one core.
const quietShare = 15

// round runs a trial once on each engine but for peers that failed before; one that
// fails now (of too little memory, say) is marked and ours goes on.
func (c contest) round(ctx context.Context, t trial, marks []Figures) (round []sample, quiet bool, err error) {
	quiet = true
	var ours string
	for i, e := range c.engines {
		if marks[i].Error != "" {
			round = append(round, sample{})
			continue
		}
		if t.prepare != nil {
			if err := t.prepare(i); err != nil && i > 0 {
				marks[i].Error = err.Error()
				round = append(round, sample{})
				continue
			} else if err != nil {
				return nil, false, err
			}
		}
		answer, undisturbed, err := timed(e, t.text(i))
		if ctx.Err() != nil || err != nil && i == 0 {
			return nil, false, errors.Join(ctx.Err(), err)
		}
		quiet = quiet && (undisturbed || err != nil || c.served)
		round = append(round, answer)
		if err != nil {
			marks[i].Error = err.Error()
			continue
		}
		if i == 0 {
			ours = answer.output
		}
		if t.check == nil {
			continue
		}
		if err := t.check(i, ours, answer.output); err != nil {
			return nil, false, fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return round, quiet, nil
}

// timed asks an engine once and reports whether others left it the machine.
func timed(e *engine, text string) (s sample, quiet bool, err error) {
	before, known := machine.Busy()
	start, own := time.Now(), machine.CPU()
	r, err := e.ask(Request{SQL: text})
	after, _ := machine.Busy()
	others := millis(after-before) - millis(machine.CPU()-own) - r.CPUMillis
	// Writing and reading answers is not in the engine's figures, and the kernel
	// counts in ticks: allow for a few.
	allowed := millis(time.Since(start))*quietShare/100 + 5*millis(machine.Tick)
	s = sample{wall: r.WallMillis, cpu: r.CPUMillis, rss: r.RSSMegas, output: r.CSV, storage: r.Storage}
	return s, !known || others <= allowed, err
}

// set fills the figures: medians, but the largest memory of all runs.
func (f *Figures) set(samples []sample) {
	if f.Error != "" || len(samples) == 0 {
		return
	}
	m := median(samples)
	f.WallMillis, f.CPUMillis, f.RSSMegas = m.wall, m.cpu, m.rss
	for _, s := range samples {
		f.RSSMegas = max(f.RSSMegas, s.rss)
		if s.storage != (fs.Stats{}) {
			f.Requests, f.ReadBytes = s.storage.Requests, s.storage.BytesRead
		}
	}
}
