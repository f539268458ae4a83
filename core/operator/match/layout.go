package match

import (
	"fmt"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator/aggregate"
)

// anyVariable stands for all variables.
const anyVariable = -1

// layout is what partial matches keep: rows in registers, and accumulators.
type layout struct {
	registers int
	firsts    []ends // by variable + 1
	lasts     []ends
	sums      []sum
}

// ends are the registers of some rows of a variable, counted from the first one or back
// from the last.
type ends struct{ at, depth int }

// sum is an aggregate over the rows of a variable.
type sum struct {
	variable int32
	call     *jobgraph.AggregateCall
	acc      *aggregate.Accumulators
}

// reference is where the value of a jobgraph.MatchReference is.
type reference struct {
	register int // -1: it is an aggregate
	column   int
	sum      int
}

// variable is a pattern variable with its condition.
type variable struct {
	name string
	mask int       // column that must be true; -1: none
	rest expr.Expr // over the input, then references; nil: true
	// reads are the input columns of the row itself that rest reads, by column.
	reads []int
	refs  []reference
}

// planner finds the layout of a spec.
type planner struct {
	layout
	in   datatype.Schema
	vars []variable
}

func (p *planner) plan(spec *jobgraph.MatchRecognize) (measures []reference, err error) {
	p.firsts, p.lasts = make([]ends, len(spec.Variables)+1), make([]ends, len(spec.Variables)+1)
	p.lasts[0].depth = 1 // the row that the match ends with
	all := spec.Measures
	for _, v := range spec.Variables {
		all = append(all[:len(all):len(all)], v.References...)
	}
	for _, r := range all {
		if err := p.note(r, len(spec.Variables)); err != nil {
			return nil, err
		}
	}
	for i := range p.firsts {
		for _, e := range []*ends{&p.firsts[i], &p.lasts[i]} {
			e.at = p.registers
			p.registers += e.depth
		}
	}
	for i, v := range spec.Variables {
		one, err := p.condition(v)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", v.Name, err)
		}
		p.vars[i] = one
	}
	return p.places(spec.Measures)
}

// maxOffset bounds how many rows of a variable are kept by number.
const maxOffset = 1 << 12

// note makes room for what r reads.
func (p *planner) note(r *jobgraph.MatchReference, variables int) error {
	switch {
	case r.Variable < anyVariable || int(r.Variable) >= variables:
		return failure.Errorf(failure.Internal, "a reference to variable %d of %d", r.Variable, variables)
	case r.Aggregate != nil:
		return nil
	case int(r.Column) >= len(p.in):
		return failure.Errorf(failure.Internal, "a reference to column %d of %d", r.Column, len(p.in))
	case r.Offset >= maxOffset:
		return failure.Errorf(failure.InvalidSQL, "a reference over %d rows, at most %d are kept", r.Offset, maxOffset-1)
	}
	e := &p.lasts[r.Variable+1]
	if r.First {
		e = &p.firsts[r.Variable+1]
	}
	e.depth = max(e.depth, int(r.Offset)+1)
	return nil
}

func (p *planner) places(refs []*jobgraph.MatchReference) (out []reference, err error) {
	for _, r := range refs {
		place := reference{register: p.lasts[r.Variable+1].at + int(r.Offset), column: int(r.Column)}
		switch {
		case r.Aggregate != nil:
			place.register = -1
			if place.sum, err = p.sum(r); err != nil {
				return nil, err
			}
		case r.First:
			place.register = p.firsts[r.Variable+1].at + int(r.Offset)
		}
		out = append(out, place)
	}
	return out, nil
}

// sum is the place of an aggregate, made when it is new.
func (p *planner) sum(r *jobgraph.MatchReference) (int, error) {
	for i, s := range p.sums {
		if s.variable == r.Variable && same(s.call, r.Aggregate) {
			return i, nil
		}
	}
	if !aggregate.Splittable(r.Aggregate) {
		return 0, failure.Errorf(failure.InvalidSQL, "%s over rows of a pattern is not supported", r.Aggregate.Function)
	}
	for _, c := range r.Aggregate.Args {
		if int(c) >= len(p.in) {
			return 0, failure.Errorf(failure.Internal, "%s of column %d of %d", r.Aggregate.Function, c, len(p.in))
		}
	}
	acc, err := aggregate.NewAccumulators([]*jobgraph.AggregateCall{r.Aggregate})
	if err != nil {
		return 0, err
	}
	p.sums = append(p.sums, sum{r.Variable, r.Aggregate, acc})
	return len(p.sums) - 1, nil
}

func same(a, b *jobgraph.AggregateCall) bool {
	if a.Function != b.Function || len(a.Args) != len(b.Args) || a.Filter != b.Filter || a.Distinct != b.Distinct {
		return false
	}
	for i := range a.Args {
		if a.Args[i] != b.Args[i] {
			return false
		}
	}
	return true
}

// condition tells a mask, which is a column of the row, from what reads other rows.
func (p *planner) condition(v *jobgraph.MatchVariable) (out variable, err error) {
	out = variable{name: v.Name, mask: -1}
	if out.refs, err = p.places(v.References); err != nil || v.Define == nil {
		return out, err
	}
	e, err := expr.FromProto(v.Define)
	if err != nil {
		return out, err
	}
	var rest []expr.Expr
	for _, term := range expr.Conjuncts(e) {
		c, column := term.(*expr.Column)
		if column && out.mask < 0 && c.Index < len(p.in) && c.T.Kind == datatype.Boolean {
			out.mask = c.Index
			continue
		}
		rest = append(rest, term)
	}
	if len(rest) == 0 {
		return out, nil
	}
	out.rest = expr.And(rest...)
	for _, c := range expr.Columns(out.rest) {
		switch {
		case c < len(p.in):
			out.reads = append(out.reads, c)
		case c >= len(p.in)+len(out.refs):
			return out, failure.Errorf(failure.Internal, "column %d of %d and %d references", c, len(p.in), len(out.refs))
		}
	}
	return out, nil
}
