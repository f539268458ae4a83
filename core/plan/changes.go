package plan

import (
	"slices"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/sql/ast"
)

// Changelog is the kinds of changes that a node may emit.
type Changelog uint8

// The changelog modes.
const (
	ChangelogInvalid Changelog = iota
	InsertOnly                 // every row is final
	Retract                    // rows may be taken back
	Upsert                     // rows replace those of their key and take nothing back
)

// String is the mode as EXPLAIN shows it.
func (c Changelog) String() string { return name(c, "insert-only", "retract", "upsert") }

// ChangelogOf returns what a node emits in streaming mode. Operators that see rows one
// by one emit what their inputs do; those that sum rows up take results back, unless
// they wait until the rows of a key, or of a time, are complete.
func ChangelogOf(n Node) Changelog { return newInference().changelog(n) }

// inference remembers what was found out of a plan's nodes while one question is
// answered: times depend on changelogs and changelogs on times at every level.
type inference struct {
	changelogs map[Node]Changelog
	times      map[Node][]closing
}

func newInference() *inference {
	return &inference{changelogs: map[Node]Changelog{}, times: map[Node][]closing{}}
}

func (f *inference) changelog(n Node) Changelog {
	c, known := f.changelogs[n]
	if !known {
		c = f.findChangelog(n)
		f.changelogs[n] = c
	}
	return c
}

func (f *inference) findChangelog(n Node) Changelog {
	switch n := n.(type) {
	case *Scan:
		if n.Known.Changes == connector.Upserts {
			return Upsert
		}
	case *Aggregate:
		different := len(n.Calls) == 0 && f.changelog(n.Input) == InsertOnly // a key is told once
		return finalIf(different || f.closingKey(n.Input, n.Keys) >= 0)
	case *GroupTop:
		return finalIf(f.closingKey(n.Input, n.Groups) >= 0)
	case *Over:
		return finalIf(f.closingOrder(n))
	case *Join:
		if n.Kind != Inner && n.Kind != Semi && !f.atClosing(n) {
			return Retract
		}
	case *Materialize:
		return finalIf(n.AtEnd)
	case *Sort, *TopN, *WindowAggregate, *TemporalJoin, *Match: // they are given inserts only, or emit no more
		return InsertOnly
	}
	changes := InsertOnly
	for _, in := range n.Inputs() {
		changes = max(changes, f.changelog(in)) // above a scan of upserts nothing has two inputs
	}
	return changes
}

func finalIf(final bool) Changelog {
	if final {
		return InsertOnly
	}
	return Retract
}

// ClosingKey is the place in columns of one of n that is closing; -1: there is none.
func ClosingKey(n Node, columns []int) int { return newInference().closingKey(n, columns) }

func (f *inference) closingKey(n Node, columns []int) int {
	times := f.timesOf(n)
	return slices.IndexFunc(columns, func(c int) bool { return times[c].ok })
}

// ClosingOrder reports whether the rows of a window function come in the order of an
// event time and see no rows after their own, so that results are final once that time
// has passed.
func ClosingOrder(n *Over) bool { return newInference().closingOrder(n) }

func (f *inference) closingOrder(n *Over) bool {
	if len(n.Order) == 0 || n.Order[0].Descending || f.changelog(n.Input) == Retract || !f.timesOf(n.Input)[n.Order[0].Column].ok {
		return false
	}
	for _, c := range n.Calls {
		switch c.Function {
		case "PERCENT_RANK", "CUME_DIST", "NTILE", "LEAD":
			return false
		case "ROW_NUMBER", "RANK", "DENSE_RANK", "LAG":
		default:
			if c.Frame.To.Kind != ast.BoundCurrentRow && c.Frame.To.Kind != ast.BoundPreceding {
				return false
			}
		}
	}
	return true
}

// UpsertKeys are the sets of columns by which a row of n's output is unique, so that a
// change of it replaces the row of the same values; an empty set where there is one row
// at most. None: nothing is known.
func UpsertKeys(n Node) [][]int {
	switch n := n.(type) {
	case *Aggregate:
		return [][]int{first(len(n.Keys))}
	case *WindowAggregate:
		return windowKeys(n)
	case *GroupTop:
		return topKeys(n)
	case *Materialize:
		if len(n.Keys) > 0 {
			return [][]int{n.Keys}
		}
		return UpsertKeys(n.Input)
	case *Filter, *Watermark, *Sort, *Limit, *TopN, *Over, *Sink:
		return UpsertKeys(n.Inputs()[0])
	case *Project:
		return movedKeys(UpsertKeys(n.Input), func(c int) int {
			return slices.IndexFunc(n.Exprs, func(e expr.Expr) bool {
				column, ok := e.(*expr.Column)
				return ok && column.Index == c
			})
		})
	case *WindowTVF:
		var keys [][]int
		for _, k := range UpsertKeys(n.Input) {
			keys = append(keys, append(slices.Clone(k), len(n.Input.Schema())+1))
		}
		return keys
	case *Join:
		return joinKeys(n)
	case *LookupJoin:
		return lookupKeys(n)
	case *TemporalJoin: // a row has one version at most
		return UpsertKeys(n.Left)
	}
	return nil
}

func first(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func windowKeys(n *WindowAggregate) [][]int {
	at := slices.IndexFunc(n.Properties, func(p Property) bool { return p != WindowStart || n.Window.Kind != Cumulate })
	if at < 0 {
		return nil
	}
	return [][]int{append(first(len(n.Keys)), len(n.Keys)+len(n.Calls)+at)}
}

func topKeys(n *GroupTop) [][]int {
	keys := slices.Clone(UpsertKeys(n.Input))
	if n.Function != "ROW_NUMBER" {
		return keys
	}
	switch {
	case n.Count == 1: // by this alone: the row before one of another input key is not deleted
		return [][]int{slices.Clone(n.Groups)}
	case n.Rank:
		keys = append(keys, append(slices.Clone(n.Groups), len(n.Input.Schema())))
	}
	return keys
}

func movedKeys(keys [][]int, place func(int) int) (out [][]int) {
	for _, k := range keys {
		moved := make([]int, len(k))
		for i, c := range k {
			moved[i] = place(c)
		}
		if !slices.Contains(moved, -1) {
			out = append(out, moved)
		}
	}
	return out
}

// joinKeys are pairs of a key of each side; of the side alone whose rows find one
// partner at most.
func joinKeys(n *Join) [][]int {
	left := UpsertKeys(n.Left)
	if n.Kind == Semi || n.Kind == Anti {
		return left
	}
	width := len(n.Left.Schema())
	right := movedKeys(UpsertKeys(n.Right), func(c int) int { return c + width })
	var out [][]int
	if oneOf(UpsertKeys(n.Right), n.RightKeys) && n.Kind != Right && n.Kind != Full {
		out = append(out, left...)
	}
	if oneOf(left, n.LeftKeys) && n.Kind != Left && n.Kind != Full {
		out = append(out, right...)
	}
	for _, l := range left {
		for _, r := range right {
			out = append(out, slices.Concat(l, r))
		}
	}
	return out
}

// oneOf reports whether columns contain one of keys.
func oneOf(keys [][]int, columns []int) bool {
	return slices.ContainsFunc(keys, func(k []int) bool {
		return !slices.ContainsFunc(k, func(c int) bool { return !slices.Contains(columns, c) })
	})
}
