package physical

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr/exprpb"
	"github.com/tidemill/tidemill/core/jobgraph"
)

// A column's meaning is a text that says what its values are computed of: columns of tables,
// and what operators with state have made. It does not depend on places or names, so that it
// is the same in plans of other shapes. A leaf begins with a mark, behind which it can be said
// which of two readings of one table it is.
//
//	Calc a + 1 over Scan t [b, a]      (+ ·t.a 1)
//	SUM of it, by b                    (·group-by 5f1e SUM (+ ·t.a 1))
const leaf = "\x01"

// mostMeaning is how long a meaning gets before a hash of it takes its place.
const mostMeaning = 512

// part is an operator of the graph with what flows into and out of it.
type part struct {
	op       *jobgraph.Operator
	in       []*part
	out      []reader
	columns  []string        // meanings of what it emits
	calls    []string        // of a partial phase: what its accumulators are of
	filters  []string        // meanings of the conditions that its rows fulfil
	residual []string        // of a join
	tables   map[string]bool // that its rows are made of
	// base is what its state means, as loosely as it can be said; "": it has none.
	base string
	// origins are the bases of the part, or of those with state before it; holds the
	// conditions that hold for what it emits, back to those.
	origins, holds []string
	above          string // all of the plan before it, projections aside
	crossed        bool   // a join whose second side, in the order of meanings, is the left one
	twice          bool   // a join of which both sides read a table
}

// reader is an operator that reads another one, at one of its inputs.
type reader struct {
	part  *part
	input int
}

func digest(parts ...any) string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%q", parts)))
	return hex.EncodeToString(sum[:uidBytes])
}

func call(function string, args ...string) string {
	text := "(" + function + " " + strings.Join(args, " ") + ")"
	if len(text) > mostMeaning {
		return leaf + "#" + digest(text)
	}
	return text
}

// marked is a meaning of the second reading of a table.
func marked(meaning string) string { return strings.ReplaceAll(meaning, leaf, leaf+"'") }

func markedAll(all []string) []string {
	out := make([]string, len(all))
	for i, m := range all {
		out[i] = marked(m)
	}
	return out
}

// partsOf are the graph's operators, in topological order.
func partsOf(g *jobgraph.Graph) []*part {
	var all []*part
	last := make([]*part, len(g.Vertices)) // by vertex
	for i, v := range g.Vertices {
		var in []*part
		for _, x := range v.Inputs {
			from := last[g.Exchanges[x].Producer]
			if g.Exchanges[x].Side > 0 { // who reads a side is no reader of the part's rows
				apart := *from
				apart.out, from = nil, &apart
			}
			in = append(in, from)
		}
		for _, op := range v.Chain {
			p := &part{op: op, in: in}
			for k, from := range in {
				from.out = append(from.out, reader{p, k})
			}
			p.trace()
			p.settle()
			all, in = append(all, p), []*part{p}
			last[i] = p
		}
	}
	return all
}

// expression is the meaning of an expression over columns.
func expression(e *exprpb.Expr, columns []string) string {
	switch n := e.GetNode().(type) {
	case *exprpb.Expr_Column:
		return at(columns, n.Column)
	case *exprpb.Expr_Call:
		args := make([]string, 0, len(n.Call.Args)+1)
		for _, a := range n.Call.Args {
			args = append(args, expression(a, columns))
		}
		if name, ok := fieldName(n.Call); ok {
			args[1] = name
		}
		return call(n.Call.Function, append(args, untyped(e.Type))...)
	default:
		return call("literal", spelled(e.GetLiteral()), untyped(e.GetType()))
	}
}

// fieldName is the field of a row that a call takes: its place is another one where other
// fields are left out.
func fieldName(c *exprpb.Call) (string, bool) {
	if c.Function != "." || len(c.Args) != 2 {
		return "", false
	}
	row, err := datatype.Parse(c.Args[0].Type)
	at, ok := c.Args[1].GetLiteral().GetValue().(*exprpb.Literal_Integer)
	if err != nil || !ok || at.Integer < 0 || at.Integer >= int64(len(row.Fields)) {
		return "", false
	}
	return row.Fields[at.Integer].Name, true
}

// at is a column's meaning; a plan that names one that there is not is refused later.
func at(columns []string, i uint32) string {
	if int(i) < len(columns) {
		return columns[i]
	}
	return leaf + "?"
}

func allAt(columns []string, which []uint32) []string {
	out := make([]string, len(which))
	for i, c := range which {
		out[i] = at(columns, c)
	}
	return out
}

// spelled is a message as text that is the same for equal ones.
func spelled(m proto.Message) string {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return ""
	}
	return hex.EncodeToString(data)
}

// conditions are the meanings of what a condition demands at once, sorted.
func conditions(e *exprpb.Expr, columns []string) []string {
	var out []string
	for _, c := range conjuncts(e) {
		out = append(out, expression(c, columns))
	}
	return set(out)
}

func callText(c *jobgraph.AggregateCall, columns []string) string {
	args := allAt(columns, c.Args)
	if c.Distinct {
		args = append(args, "DISTINCT")
	}
	if c.Growing {
		args = append(args, "GROWING")
	}
	if c.Filter >= 0 {
		args = append(args, "FILTER", at(columns, uint32(c.Filter)))
	}
	return call(c.Function, args...)
}

func orderTexts(keys []*jobgraph.SortKey, columns []string) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = fmt.Sprint(at(columns, k.Column), k.Descending, k.NullsFirst)
	}
	return out
}

// state begins what an operator's state means with that of what it reads.
func (p *part) state(kind string, parts ...any) {
	p.base = kind + "-" + digest(append(parts, p.sources())...)
}

// sources are the operators with state before the part, of each input, those of a join in the
// order of their meanings.
func (p *part) sources() [][]string {
	out := make([][]string, len(p.in))
	for i, in := range p.in {
		out[i] = in.origins
	}
	if p.crossed {
		slices.Reverse(out)
	}
	return out
}

// settle finds out what flows on from a part that is traced.
func (p *part) settle() {
	above := make([]string, len(p.in))
	for i, in := range p.in {
		above[i] = in.above
	}
	if p.crossed {
		slices.Reverse(above)
	}
	if p.above = digest(p.base, p.filters, p.residual, above); p.base == "" && len(p.filters) == 0 && len(p.in) == 1 {
		p.above = above[0]
	}
	if p.base != "" {
		p.origins = []string{p.base}
		return
	}
	p.holds = slices.Clone(p.filters)
	for i, in := range p.in {
		p.origins = append(p.origins, in.origins...)
		if i > 0 {
			continue
		}
		for _, c := range in.holds { // of a union: what holds for all
			if !slices.ContainsFunc(p.in[1:], func(other *part) bool { return !slices.Contains(other.holds, c) }) {
				p.holds = append(p.holds, c)
			}
		}
	}
	p.origins, p.holds = set(p.origins), set(p.holds)
}

// set sorts texts and keeps one of equal ones.
func set(all []string) []string {
	slices.Sort(all)
	return slices.Compact(all)
}

// given are the conditions that hold for what a part with state reads, of all inputs.
func (p *part) given() []string {
	var out []string
	for i, in := range p.in {
		holds := in.holds
		if p.twice && p.second() == i {
			holds = markedAll(holds)
		}
		out = append(out, holds...)
	}
	return set(out)
}

// second is the input of a join that comes second in the order of meanings.
func (p *part) second() int {
	if p.crossed {
		return 0
	}
	return 1
}

// behind is what is behind a part.
type behind struct {
	asked []string // conditions
	next  []string // operators with state, and at which of their inputs
	below string   // all of it, projections aside
}

// look finds what is behind each part.
func look(all []*part) map[*part]behind {
	out := map[*part]behind{}
	for _, p := range slices.Backward(all) {
		b := behind{asked: slices.Clone(p.residual)}
		var below []string
		for _, r := range p.out {
			then, input := out[r.part], r.input
			if r.part.crossed {
				input = 1 - input
			}
			b.asked = append(append(b.asked, r.part.filters...), then.asked...)
			if r.part.base == "" {
				b.next = append(b.next, then.next...)
			} else {
				b.next = append(b.next, fmt.Sprint(r.part.base, input))
			}
			text := then.below
			if r.part.base != "" || len(r.part.filters) > 0 {
				text = digest(r.part.base, input, r.part.filters, text)
			}
			below = append(below, text)
		}
		b.asked, b.next, b.below = set(b.asked), set(b.next), digest(set(below))
		out[p] = b
	}
	return out
}
