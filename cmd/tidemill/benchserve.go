package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/process"
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
				return bench.Serve(cmd.Context(), cmd.InOrStdin(), os.Stdout, flags.members, func(ctx context.Context, q bench.Request) (bench.Reply, error) {
					return p.serve(ctx, session, q)
				})
			})
		},
	}
	flags.register(cmd)
	return cmd
}

// members are the processes of the cluster that the flags name by up's data directory;
// none of one that is elsewhere, and of an embedded engine.
func (f *clusterFlags) members() (pids []int) {
	if f.cluster == "" {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(f.cluster, "*", "address.json"))
	if err != nil { // of a malformed name
		return nil
	}
	for _, file := range files {
		if a, err := process.ReadAddress(filepath.Dir(file)); err == nil { // or it has just ended
			pids = append(pids, a.PID)
		}
	}
	return pids
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
	if q.SQL == "" {
		r.CSV, r.Version = "", version
	}
	return r, nil
}
