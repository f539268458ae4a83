package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/core/client"
)

// newBenchServe is our side of bench.TPCH: an engine that answers requests.
func newBenchServe() *cobra.Command {
	var flags engineFlags
	cmd := &cobra.Command{
		Use:    "serve",
		Short:  "Run statements from standard input for a benchmark",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.with(cmd.Context(), func(session client.Session, _ map[string]string, p printing) error {
				return bench.Serve(cmd.Context(), cmd.InOrStdin(), os.Stdout, func(ctx context.Context, q bench.Request) (bench.Reply, error) {
					return p.serve(ctx, session, q)
				})
			})
		},
	}
	flags.register(cmd)
	return cmd
}

func (p printing) serve(ctx context.Context, session client.Session, q bench.Request) (bench.Reply, error) {
	text := q.SQL
	for _, name := range slices.Sorted(maps.Keys(q.Views)) {
		text += fmt.Sprintf("CREATE VIEW %s AS SELECT * FROM '%s';\n", name, strings.ReplaceAll(q.Views[name], "'", "''"))
	}
	s := script{text: text}
	if err := s.parse(nil); err != nil {
		return bench.Reply{}, err
	}
	var rows bytes.Buffer
	p.out, p.format = &rows, "csv"
	before := p.storage()
	if err := p.all(ctx, session, s); err != nil {
		return bench.Reply{}, err
	}
	r := bench.Reply{CSV: rows.String(), Storage: p.storage().Minus(before)}
	if len(q.Views) > 0 {
		r.CSV, r.Version = "", version
	}
	return r, nil
}
