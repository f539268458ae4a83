package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidemill/tidemill/bench/tpch"
)

// TPCH runs the 22 queries of TPC-H over o.Dir/TABLE.parquet and prints a table of
// times, as Queries does: each run is a process, its start counted on both sides.
// With a peer every answer is compared with the peer's; a query that fails or
// differs has its line say so, the others still run, and TPCH returns an error.
func TPCH(ctx context.Context, o Options) error {
	o = o.complete()
	if o.Dir == "" {
		return errors.New("run TPC-H: no directory of data is given")
	}
	o.header()
	var bad []error
	for n := 1; n <= tpch.Count; n++ {
		text, err := tpch.Query(n)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("q%d", n)
		same := func(ours, peers string) error { return tpch.SameAnswer(n, ours, peers) }
		if err := o.one(ctx, name, tpch.Views(o.Dir)+text, same); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			fmt.Fprintf(o.Out, "%-12s %v\n", name, err)
			bad = append(bad, fmt.Errorf("query %s: %w", name, err))
		}
	}
	return errors.Join(bad...)
}
