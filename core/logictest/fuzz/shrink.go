package fuzz

import (
	"context"
	"regexp"
	"strings"
)

// failed begins what is wrong where this engine gives an error.
const failed = "error here: "

// maxTries bounds the statements that shrinking runs.
const maxTries = 600

// shrunk makes a statement that differs as small as it gets.
func (r *round) shrunk(ctx context.Context, number int, s *relation, what string) Difference {
	d := Difference{Seed: r.o.Seed, Round: r.number, Statement: number, Settings: r.settings, Original: s.node.text(ours)}
	tries := maxTries
	for again := true; again && tries > 0; {
		again = false
		for _, move := range s.node.moves() {
			undo := move()
			if undo == nil {
				continue
			}
			tries--
			if now, same := r.still(ctx, s, what); same {
				what, again = now, true
				break
			}
			undo()
			if tries <= 0 || ctx.Err() != nil {
				break
			}
		}
	}
	d.What, d.Ours, d.Duck = what, s.node.text(ours), s.node.text(duck)
	here := r.here(ctx, d.Ours)
	d.OurRows = here.rows
	if there, err := r.duck.ask([]string{d.Duck}, ""); err == nil {
		d.DuckRows = there[0].rows
	}
	for _, t := range r.tables {
		if regexp.MustCompile(`\b` + t.name + `\b`).MatchString(d.Ours) {
			d.Data = append(d.Data, "-- "+t.storage.String(), t.view())
		}
	}
	return d
}

// still reports whether a statement is wrong in the same way as before.
func (r *round) still(ctx context.Context, s *relation, before string) (string, bool) {
	if ctx.Err() != nil || s.order != nil && !reachable(s.node, s.order) && !strings.HasPrefix(before, failed) && !strings.Contains(before, "rows here") {
		return "", false
	}
	there, err := r.duck.ask([]string{s.node.text(duck)}, "")
	if err != nil || there[0].failure != "" {
		return "", false
	}
	now := r.judge(s, r.here(ctx, s.node.text(ours)), there[0])
	return now, now != "" && alike(now) == alike(before)
}

var particular = regexp.MustCompile(`[0-9]+|"[^"]*"|'[^']*'`)

// alike is what a message has in common with others of the same cause.
func alike(what string) string {
	if !strings.HasPrefix(what, failed) {
		return "rows"
	}
	return particular.ReplaceAllString(what, "#")
}
