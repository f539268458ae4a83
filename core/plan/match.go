package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// Match finds runs of rows of a partition, in order, that a pattern describes. Output: the
// partition columns, then one column a measure; a row for each match.
type Match struct {
	Place     ast.Span
	Input     Node
	Partition []int
	Order     []SortKey // the first is the time column, ascending
	Pattern   *Pattern
	Variables []MatchVariable
	Measures  []MatchReference
	After     ast.SkipKind
	// AfterVariable is the one to whose row AFTER MATCH skips.
	AfterVariable int
	// WithinMillis is the time from the first to the last row, exclusive; 0: any.
	WithinMillis int64
}

// Pattern is a regular expression over rows: a variable or parts, repeated.
type Pattern struct {
	Kind      PatternKind
	Parts     []*Pattern
	Variable  int
	Least     int
	Most      int // -1: any number
	Reluctant bool
}

// PatternKind tells patterns apart.
type PatternKind uint8

// The kinds of patterns.
const (
	PatternInvalid PatternKind = iota
	PatternVariable
	PatternSequence
	PatternAlternation
	PatternPermutation
)

// String is the kind in a word.
func (k PatternKind) String() string {
	return name(k, "variable", "sequence", "alternation", "permutation")
}

// MatchVariable is a pattern variable. Define is its condition over the input columns of
// the row, then its references; nil: true.
type MatchVariable struct {
	Name       string
	Define     expr.Expr
	References []MatchReference
}

// MatchReference is a column of the first or last row of a variable so far, or an
// aggregate over all its rows.
type MatchReference struct {
	Variable int // -1: any
	First    bool
	Offset   int
	Column   int
	// Call is the aggregate, instead of a column; its Function is empty where it is none.
	Call Call
	Name string
	Type datatype.Type
}

// Label implements Node.
func (n *Match) Label() string {
	in := n.Input.Schema()
	s := "Match "
	if len(n.Partition) > 0 {
		s += "partition by " + pick(in, n.Partition) + " "
	}
	s += "order by " + OrderText(in, n.Order) + " pattern (" + n.patternText(n.Pattern, false) + ")"
	if n.WithinMillis > 0 {
		s += " within " + Duration(n.WithinMillis)
	}
	var defines, measures []string
	for _, v := range n.Variables {
		if v.Define == nil {
			continue
		}
		scope := slices.Clone(in)
		for _, r := range v.References {
			scope = append(scope, datatype.Field{Name: n.referenceText(in, r), Type: r.Type})
		}
		text := expr.String(ReplaceColumns(v.Define, func(c *expr.Column) expr.Expr { return &expr.Column{Index: c.Index, Name: scope[c.Index].Name, T: c.T} }))
		defines = append(defines, v.Name+" as "+strings.ReplaceAll(text, "`", ""))
	}
	for _, r := range n.Measures {
		measures = append(measures, n.referenceText(in, r))
	}
	if len(defines) > 0 {
		s += " define " + strings.Join(defines, ", ")
	}
	return s + ": " + strings.Join(measures, ", ")
}

// referenceText is a reference as it is written.
func (n *Match) referenceText(in datatype.Schema, r MatchReference) string {
	of := ""
	if r.Variable >= 0 {
		of = n.Variables[r.Variable].Name + "."
	}
	if r.Call.Function != "" {
		args := []string{of + "*"}
		if len(r.Call.Args) > 0 {
			args = nil
			for _, a := range r.Call.Args {
				args = append(args, of+in[a].Name)
			}
		}
		return r.Call.Function + "(" + strings.Join(args, ", ") + ")"
	}
	function := "LAST"
	if r.First {
		function = "FIRST"
	}
	offset := ""
	if r.Offset > 0 {
		offset = fmt.Sprintf(", %d", r.Offset)
	}
	return function + "(" + of + in[r.Column].Name + offset + ")"
}

func (n *Match) patternText(p *Pattern, inner bool) string {
	var parts []string
	for _, part := range p.Parts {
		parts = append(parts, n.patternText(part, true))
	}
	once := p.Least == 1 && p.Most == 1
	var s string
	switch p.Kind {
	case PatternVariable:
		s = n.Variables[p.Variable].Name
	case PatternSequence:
		s = strings.Join(parts, " ")
	case PatternAlternation:
		s = strings.Join(parts, " | ")
	default:
		s = "PERMUTE(" + strings.Join(parts, ", ") + ")"
	}
	if (inner || !once) && (p.Kind == PatternSequence || p.Kind == PatternAlternation) {
		s = "(" + s + ")"
	}
	if once {
		return s
	}
	switch {
	case p.Least == 0 && p.Most < 0:
		s += "*"
	case p.Least == 1 && p.Most < 0:
		s += "+"
	case p.Least == 0 && p.Most == 1:
		s += "?"
	case p.Most < 0:
		s += fmt.Sprintf("{%d,}", p.Least)
	case p.Least == p.Most:
		s += fmt.Sprintf("{%d}", p.Least)
	default:
		s += fmt.Sprintf("{%d,%d}", p.Least, p.Most)
	}
	if p.Reluctant {
		s += "?"
	}
	return s
}

// rowTime reports whether a measure is the time of a match's last row.
func (n *Match) rowTime(r MatchReference) bool {
	return r.Call.Function == "" && r.Variable < 0 && !r.First && r.Offset == 0 && r.Column == n.Order[0].Column
}

// matchTimes are of the measures that are the time of the match: matches are told in its
// order, as the operator holds the watermark back.
func (f *inference) matchTimes(n *Match) []closing {
	out := make([]closing, len(n.Schema()))
	in := f.timesOf(n.Input)[n.Order[0].Column]
	for i, r := range n.Measures {
		if n.rowTime(r) && in.ok {
			out[len(n.Partition)+i] = closing{ok: true, after: max(in.after, 0), moment: fmt.Sprintf("%p", n)}
		}
	}
	return out
}

func (*Match) node() {}

// At implements Node.
func (n *Match) At() ast.Span { return n.Place }

// Inputs implements Node.
func (n *Match) Inputs() []Node { return []Node{n.Input} }

// WithInputs implements Node.
func (n *Match) WithInputs(in ...Node) Node {
	c := *n
	c.Input = in[0]
	return &c
}

// Schema implements Node.
func (n *Match) Schema() datatype.Schema {
	in := n.Input.Schema()
	s := make(datatype.Schema, 0, len(n.Partition)+len(n.Measures))
	for _, p := range n.Partition {
		s = append(s, in[p])
	}
	for _, r := range n.Measures {
		s = append(s, datatype.Field{Name: r.Name, Type: r.Type})
	}
	return s
}

var _ Node = (*Match)(nil)
