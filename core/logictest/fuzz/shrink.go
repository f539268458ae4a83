package fuzz

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"
)

// failed begins what is wrong where this engine gives an error.
const failed = "error here: "

// maxTries bounds the statements that shrinking runs, shrinkTime and tryTime how
// long: smaller conditions let more rows through.
const (
	maxTries   = 600
	shrinkTime = 30 * time.Second
	tryTime    = 3 * time.Second
)

// shrunk makes a statement that differs as small as it gets.
func (r *round) shrunk(ctx context.Context, number int, s *relation, what string) Difference {
	d := Difference{Seed: r.o.Seed, Round: r.number, Statement: number, Settings: r.settings, Original: s.node.text(ours)}
	tries, end := maxTries, time.Now().Add(shrinkTime)
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
			if tries <= 0 || ctx.Err() != nil || time.Now().After(end) {
				tries = 0
				break
			}
		}
	}
	used := r.used(s)
	d.What, d.Ours, d.Duck = what, s.node.text(ours), s.node.text(duck)
	d.Stored = !r.fewerRows(ctx, s, used, &d)
	if d.Stored {
		r.answers(ctx, &d)
	}
	for _, t := range used {
		if d.Stored {
			d.Data = append(d.Data, "-- as "+t.storage.String())
		}
		d.Data = append(d.Data, t.view()+";")
	}
	return d
}

// answers asks both sides once more, for the rows to show.
func (r *round) answers(ctx context.Context, d *Difference) {
	d.OurRows = r.here(ctx, d.Ours).rows
	if there, err := r.duck.ask([]string{d.Duck}, ""); err == nil {
		d.DuckRows = there[0].rows
	}
}

// used are copies of the tables in a statement, the original rows in them.
func (r *round) used(s *relation) (used []*table) {
	for _, t := range r.tables {
		if regexp.MustCompile(`\b` + t.name + `\b`).MatchString(s.node.text(ours)) {
			same := *t
			used = append(used, &same)
		}
	}
	return used
}

// maxDataTries bounds how often rows are left out.
const maxDataTries = 80

// fewerRows makes views of the tables and leaves out the rows that the
// difference does not need; false if it needs the tables as they are stored. The
// round has its own tables again afterwards.
func (r *round) fewerRows(ctx context.Context, s *relation, used []*table, d *Difference) (views bool) {
	defer r.restore(ctx, used)
	still := func() bool {
		if err := r.replace(ctx, used); err != nil {
			return false
		}
		now, same := r.still(ctx, s, d.What)
		if same {
			d.What = now
		}
		return same
	}
	if !still() {
		return false
	}
	tries := maxDataTries
	for _, t := range used {
		for n := (len(t.rows) + 1) / 2; n > 0 && tries > 0; n /= 2 {
			for at := 0; at < len(t.rows) && tries > 0; tries-- {
				before := t.rows
				t.rows = slices.Concat(before[:at], before[min(at+n, len(before)):])
				if !still() {
					t.rows, at = before, at+n
				}
			}
		}
	}
	if still() {
		r.answers(ctx, d)
	}
	return true
}

// replace makes views over the rows that are left, on both sides.
func (r *round) replace(ctx context.Context, used []*table) error {
	var b strings.Builder
	for _, t := range used {
		b.WriteString(strings.Join(t.duckTable(), ";\n") + ";\n")
		r.dropView(ctx, t)
		if _, _, err := execute(ctx, r.session, t.view()); err != nil {
			return err
		}
	}
	_, err := r.duck.ask(nil, b.String())
	return err
}

// restore undoes replace. What it cannot undo, the round's next statements tell.
func (r *round) restore(ctx context.Context, used []*table) {
	for _, t := range used {
		own := r.tables[slices.IndexFunc(r.tables, func(o *table) bool { return o.name == t.name })]
		r.dropView(ctx, t)
		if own.storage == values {
			_, _, _ = execute(ctx, r.session, own.view())
		}
		_, _ = r.duck.ask(nil, strings.Join(own.duckTable(), ";\n")+";\n")
	}
}

// still reports whether a statement is wrong in the same way as before.
func (r *round) still(ctx context.Context, s *relation, before string) (string, bool) {
	if ctx.Err() != nil || s.order != nil && !reachable(s.node, s.order) && !strings.HasPrefix(before, failed) && !strings.Contains(before, "rows here") {
		return "", false
	}
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
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

// dropView drops the view of a table; that there is none is no matter.
func (r *round) dropView(ctx context.Context, t *table) {
	_, _, _ = execute(ctx, r.session, "DROP TEMPORARY VIEW "+t.name)
}
