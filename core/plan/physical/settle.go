package physical

import (
	"slices"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// Settle puts into a streaming plan what makes its changes fit those who take them: rows
// are materialized below operators, sinks and, unless it asks for changes, the client,
// that take inserts only, where the input ends; and by primary key below sinks that
// replace rows by other keys than the changes do. What cannot be is refused by name.
func Settle(root plan.Node, changes bool) (plan.Node, error) {
	if err := refuseUnbounded(root); err != nil {
		return nil, err
	}
	var refused error
	settled := plan.Transform(root, func(n plan.Node) plan.Node {
		if refused != nil {
			return n
		}
		var out plan.Node
		if out, refused = settle(n); refused != nil {
			return n
		}
		refused = refuseNested(out)
		return out
	})
	if _, sink := root.(*plan.Sink); refused != nil || sink || changes || !plan.Bounded(root) {
		return settled, refused
	}
	return inserts(settled, root)
}

func settle(n plan.Node) (plan.Node, error) {
	switch n := n.(type) {
	case *plan.Sort:
		if !sortsByTime(n) {
			return atEnd(n)
		}
	case *plan.TopN:
		return atEnd(n)
	case *plan.Limit, *plan.WindowAggregate, *plan.Match:
		in, err := inserts(n.Inputs()[0], n)
		if err != nil {
			return nil, err
		}
		return n.WithInputs(in), nil
	case *plan.LookupJoin:
		return settleLookup(n)
	case *plan.TemporalJoin:
		left, err := inserts(n.Left, n)
		if err != nil {
			return nil, err
		}
		return n.WithInputs(left, n.Right), nil
	case *plan.Sink:
		return settleSink(n)
	}
	return n, nil
}

// atEnd materializes what an operator that keeps all rows reads, also where that inserts
// only: the rows are then part of checkpoints.
func atEnd(n plan.Node) (plan.Node, error) {
	in := n.Inputs()[0]
	if plan.ChangelogOf(in) == plan.InsertOnly && nested(in) != "" {
		return n, nil
	}
	kept, err := materialized(in)
	if err != nil {
		return nil, err
	}
	return n.WithInputs(kept), nil
}

// inserts is n as inserts, for a consumer that takes no more.
func inserts(n, consumer plan.Node) (plan.Node, error) {
	if plan.ChangelogOf(n) != plan.Retract {
		return n, nil
	}
	if plan.Bounded(n) {
		return materialized(n)
	}
	at := updates(n)
	return nil, sqlerr.New(sqlerr.NotBounded, at.At(), "%s takes inserts only, but %s over an unbounded table updates its results", taker(consumer), producer(at)).
		Suggest("aggregate or join per window of time, whose results are final: TABLE(TUMBLE(TABLE t, DESCRIPTOR(time), INTERVAL '1' MINUTE)); or write to a table that takes updates")
}

func taker(n plan.Node) string {
	if s, ok := n.(*plan.Sink); ok {
		return "table " + s.Table.Name
	}
	return n.Label()
}

func producer(n plan.Node) string {
	switch n := n.(type) {
	case *plan.Aggregate:
		if len(n.Calls) == 0 {
			return "DISTINCT"
		}
		return "GROUP BY without a window"
	case *plan.Join:
		return "an outer or anti join"
	case *plan.Over:
		return "a window function"
	case *plan.GroupTop:
		return "a top-n"
	case *plan.Materialize:
		return "the latest row of each key"
	}
	return n.Label()
}

// updates is the lowest node that makes updates of inserts.
func updates(n plan.Node) plan.Node {
	for _, in := range n.Inputs() {
		if plan.ChangelogOf(in) == plan.Retract {
			return updates(in)
		}
	}
	return n
}

// refuseNested refuses to keep what state has no form for.
func refuseNested(n plan.Node) error {
	var what string
	switch n := n.(type) {
	case *plan.Join:
		what = "a join"
	case *plan.TemporalJoin:
		what = "a join as of a time"
	case *plan.Over:
		what = "a window function"
	case *plan.GroupTop:
		what = "a top-n"
	case *plan.Sort:
		if !sortsByTime(n) {
			return nil
		}
		what = "ORDER BY"
	case *plan.Match:
		what = "MATCH_RECOGNIZE"
	case *plan.Sink:
		if _, kept := n.Input.(*plan.Materialize); !kept {
			return nil
		}
		what = "an update by the key of table " + n.Table.Name
	default:
		return nil
	}
	for _, in := range n.Inputs() {
		if column := nested(in); column != "" {
			return sqlerr.New(sqlerr.Unsupported, n.At(), "in streaming mode %s cannot keep rows with column %s, which is an array, a map or a row", what, column).
				Suggest("take what is needed of it as columns before, such as x.field, x[1] or CAST(x AS STRING), or run it in batch mode: SET 'execution.runtime-mode' = 'batch'")
		}
	}
	return nil
}

func materialized(n plan.Node) (plan.Node, error) {
	if column := nested(n); column != "" {
		return nil, sqlerr.New(sqlerr.Unsupported, n.At(), "streaming mode cannot keep rows with column %s, which is an array, a map or a row", column).
			Suggest("run it in batch mode: SET 'execution.runtime-mode' = 'batch'")
	}
	return &plan.Materialize{Input: n, AtEnd: true}, nil
}

// nested is the name of a column that cannot be kept; empty: there is none.
func nested(n plan.Node) string {
	for _, f := range n.Schema() {
		if f.Type.Is(datatype.Array, datatype.Map, datatype.Multiset, datatype.Row) {
			return datatype.QuoteName(f.Name)
		}
	}
	return ""
}

func settleSink(n *plan.Sink) (plan.Node, error) {
	if plan.ChangelogOf(n.Input) != plan.Retract {
		return n, nil
	}
	switch n.Accepts {
	case connector.Retractions:
		return n, nil
	case connector.Upserts:
		if key := primaryKey(n); key != nil {
			if changesByKey(n.Input, key) {
				return n.WithInputs(asTold(n.Input)), nil
			}
			return n.WithInputs(&plan.Materialize{Input: n.Input, Keys: key}), nil
		}
	}
	in, err := inserts(n.Input, n)
	if err != nil {
		return nil, err
	}
	return n.WithInputs(in), nil
}

// asTold is n without what makes full changes of upserts, where nothing else is between
// them and a sink that replaces rows by the same key: it may delete what is not there.
func asTold(n plan.Node) plan.Node {
	switch in := n.(type) {
	case *plan.Project:
		return in.WithInputs(asTold(in.Input))
	case *plan.Materialize:
		if in.Upserts {
			return in.Input
		}
	}
	return n
}

// primaryKey are the columns of a sink's primary key.
func primaryKey(n *plan.Sink) []int {
	var key []int
	for _, name := range n.Table.PrimaryKey {
		key = append(key, n.Input.Schema().Index(name))
	}
	return key
}

// changesByKey reports whether changes of n replace rows by exactly these columns.
func changesByKey(n plan.Node, key []int) bool {
	want := slices.Sorted(slices.Values(key))
	return slices.ContainsFunc(plan.UpsertKeys(n), func(k []int) bool {
		have := slices.Sorted(slices.Values(k))
		return slices.Equal(slices.Compact(have), want)
	})
}

// withoutBefore finds the operator whose updates need no update-before: the sink
// replaces rows by the operator's own key, and nobody else sees them.
func withoutBefore(n *plan.Sink) plan.Node {
	if n.Accepts != connector.Upserts {
		return nil
	}
	in := n.Input
	for {
		switch above := in.(type) {
		case *plan.Project:
			in = above.Input
			continue
		case *plan.Materialize:
			if above.AtEnd {
				return nil
			}
			return above
		case *plan.Aggregate:
			return above
		case *plan.GroupTop:
			if above.Count == 1 && above.Function == "ROW_NUMBER" && !above.Rank {
				return above
			}
		}
		return nil
	}
}
