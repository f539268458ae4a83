package match_test

import (
	"cmp"
	"errors"
	"slices"

	"github.com/tidemill/tidemill/core/jobgraph"
)

// The twin finds matches as they are defined: partition by partition, one start after the
// other, with all rows of each way to match at hand. Ways come from derivatives of the
// pattern, not from an automaton.

// item is a part of a pattern that is still to be matched.
type item struct {
	p     *jobgraph.Pattern
	least uint32
	most  int64
	once  bool // without its repetitions
}

// way is a variable for the next row, and what is to follow.
type way struct {
	variable uint32
	rest     []item
}

func whole(p *jobgraph.Pattern) item { return item{p: p, least: p.Least, most: p.Most} }

// ways are those on from c, the preferred ones first.
func ways(c []item, holds func(uint32) bool) []way {
	if len(c) == 0 {
		return nil
	}
	head, rest := c[0], c[1:]
	before := func(items ...item) []way { return ways(slices.Concat(items, rest), holds) }
	p := head.p
	switch {
	case head.once && p.Kind == jobgraph.PatternKind_PATTERN_VARIABLE:
		if !holds(p.Variable) {
			return nil
		}
		return []way{{p.Variable, rest}}
	case head.once && p.Kind == jobgraph.PatternKind_PATTERN_SEQUENCE:
		var parts []item
		for _, part := range p.Parts {
			parts = append(parts, whole(part))
		}
		return before(parts...)
	case head.once && p.Kind == jobgraph.PatternKind_PATTERN_ALTERNATION:
		var all []way
		for _, part := range p.Parts {
			all = append(all, before(whole(part))...)
		}
		return all
	case head.once:
		if len(p.Parts) == 0 {
			return before()
		}
		var all []way
		for i, part := range p.Parts {
			others := &jobgraph.Pattern{Kind: p.Kind, Parts: slices.Delete(slices.Clone(p.Parts), i, i+1)}
			all = append(all, before(whole(part), item{p: others, once: true})...)
		}
		return all
	case head.least > 0:
		return before(item{p: p, once: true}, item{p: p, least: head.least - 1, most: head.most - btoi(head.most > 0)})
	case head.most == 0:
		return before()
	}
	body := func() []way {
		return before(item{p: p, once: true}, item{p: p, most: head.most - btoi(head.most > 0)})
	}
	if p.Reluctant {
		return append(before(), body()...)
	}
	if taken := body(); len(taken) > 0 {
		return taken
	}
	return before()
}

func btoi(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// ended reports whether c needs no more rows.
func ended(c []item) bool {
	return !slices.ContainsFunc(c, func(i item) bool {
		switch {
		case i.once:
			return !nullable(i.p)
		case i.least == 0:
			return false
		}
		return !nullable(i.p)
	})
}

// repeatsNothing reports whether a part of p that may match no rows is repeated.
func repeatsNothing(p *jobgraph.Pattern) bool {
	return (p.Least != 1 || p.Most != 1) && nullable(p) || slices.ContainsFunc(p.Parts, repeatsNothing)
}

func nullable(p *jobgraph.Pattern) bool {
	one := func(part *jobgraph.Pattern) bool { return part.Least == 0 || nullable(part) }
	switch p.Kind {
	case jobgraph.PatternKind_PATTERN_VARIABLE:
		return false
	case jobgraph.PatternKind_PATTERN_ALTERNATION:
		return slices.ContainsFunc(p.Parts, one)
	}
	return !slices.ContainsFunc(p.Parts, func(part *jobgraph.Pattern) bool { return !one(part) })
}

// taken is a row as a variable.
type taken struct {
	row      []any
	variable uint32
}

// maxThreads bounds the ways to match that the twin follows at a time.
const maxThreads = 500

var errThreads = errors.New("too many ways to match")

type thread struct {
	rows []taken
	rest []item
}

// history answers references: rows of a variable (-1: any) of a match.
type history []taken

func (h history) of(variable int32) (rows [][]any) {
	for _, t := range h {
		if variable < 0 || int32(t.variable) == variable {
			rows = append(rows, t.row)
		}
	}
	return rows
}

// ref is the value of a reference, nil for null.
func (h history) ref(r *jobgraph.MatchReference) any {
	rows := h.of(r.Variable)
	if a := r.Aggregate; a != nil {
		return aggregated(a, rows)
	}
	at := int(r.Offset)
	if !r.First {
		at = len(rows) - 1 - at
	}
	if at < 0 || at >= len(rows) {
		return nil
	}
	return rows[at][r.Column]
}

func aggregated(a *jobgraph.AggregateCall, rows [][]any) any {
	if len(a.Args) == 0 {
		return int64(len(rows))
	}
	var values []any
	for _, r := range rows {
		if v := r[a.Args[0]]; v != nil {
			values = append(values, v)
		}
	}
	switch {
	case a.Function == "COUNT":
		return int64(len(values))
	case len(values) == 0:
		return nil
	case a.Function == "SUM":
		sum := int64(0)
		for _, v := range values {
			sum += v.(int64)
		}
		return sum
	}
	return slices.MaxFunc(values, compare)
}

func compare(a, b any) int {
	if s, ok := a.(string); ok {
		return cmp.Compare(s, b.(string))
	}
	return cmp.Compare(a.(int64), b.(int64))
}

// condition says whether the last row of a history may be its variable.
type condition func(h history) bool

// matches are the output rows of a spec, whose conditions are given as functions.
func matches(spec *jobgraph.MatchRecognize, conditions []condition, rows [][]any) (out [][]any) {
	parts := map[string][][]any{}
	for _, r := range rows {
		key, _ := r[0].(string)
		if r[0] == nil {
			key = "\x00"
		}
		parts[key] = append(parts[key], r)
	}
	for _, part := range parts {
		slices.SortStableFunc(part, func(a, b []any) int {
			return cmp.Or(compare(a[1], b[1]), compare(a[4], b[4]))
		})
		for from := 0; from < len(part); {
			found := matchAt(spec, conditions, part[from:])
			if found == nil {
				from++
				continue
			}
			line := []any{part[from][0]}
			for _, m := range spec.Measures {
				line = append(line, history(found).ref(m))
			}
			out = append(out, line)
			from += skip(spec, found)
		}
	}
	return out
}

// skip is how many rows on the next match may start.
func skip(spec *jobgraph.MatchRecognize, found []taken) int {
	is := func(t taken) bool { return t.variable == spec.AfterVariable }
	switch spec.After {
	case jobgraph.AfterMatch_AFTER_MATCH_NEXT_ROW:
		return 1
	case jobgraph.AfterMatch_AFTER_MATCH_TO_FIRST:
		return slices.IndexFunc(found, is)
	case jobgraph.AfterMatch_AFTER_MATCH_TO_LAST:
		for i, t := range slices.Backward(found) {
			if is(t) {
				return i
			}
		}
		return -1
	}
	return len(found)
}

// matchAt is the match that starts with the first row.
func matchAt(spec *jobgraph.MatchRecognize, conditions []condition, rows [][]any) []taken {
	threads := []thread{{rest: []item{whole(spec.Pattern)}}}
	for _, r := range rows {
		if spec.WithinMillis > 0 && r[1].(int64)-rows[0][1].(int64) >= spec.WithinMillis {
			return nil
		}
		var next []thread
		for _, t := range threads {
			holds := func(v uint32) bool {
				return conditions[v] == nil || conditions[v](append(slices.Clip(t.rows), taken{r, v}))
			}
			for _, w := range ways(t.rest, holds) {
				moved := thread{append(slices.Clip(t.rows), taken{r, w.variable}), w.rest}
				if ended(w.rest) {
					return moved.rows
				}
				next = append(next, moved)
			}
		}
		if threads = next; len(threads) == 0 {
			return nil
		}
		if len(threads) > maxThreads {
			panic(errThreads)
		}
	}
	return nil
}
