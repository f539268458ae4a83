package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
)

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure the engine, beside a peer where there is one",
		Args:  knownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchQueries(), newBenchTPCH())
	return cmd
}

func newBenchQueries() *cobra.Command {
	var o bench.Options
	cmd := &cobra.Command{
		Use:     "queries",
		Short:   "Scan, filter, group and join six million rows of Parquet",
		Example: `  tidemill bench queries --peer .tools/duckdb`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			binary, err := os.Executable()
			if err != nil {
				return err
			}
			o.Binary, o.Out = binary, cmd.OutOrStdout()
			return bench.Queries(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Dir, "data", filepath.Join(os.TempDir(), "tidemill-bench"), "`directory` of the generated tables")
	cmd.Flags().Int64Var(&o.Rows, "rows", 6_000_000, "rows of the fact table")
	cmd.Flags().StringVar(&o.Peer, "peer", "", "`path` of DuckDB's command line")
	cmd.Flags().IntVar(&o.Runs, "runs", 5, "counted runs of each statement")
	cmd.Flags().IntVar(&o.Threads, "threads", 2, "parallelism of both")
	return cmd
}

func newBenchTPCH() *cobra.Command {
	var o bench.Options
	cmd := &cobra.Command{
		Use:     "tpch",
		Short:   "Run the 22 queries of TPC-H over Parquet files",
		Example: `  tidemill bench tpch --data sf1 --peer .tools/duckdb`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			binary, err := os.Executable()
			if err != nil {
				return err
			}
			o.Binary, o.Out = binary, cmd.OutOrStdout()
			return bench.TPCH(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Dir, "data", "", "`directory` of TABLE.parquet files")
	cmd.Flags().StringVar(&o.Peer, "peer", "", "`path` of DuckDB's command line, to check answers and time beside")
	cmd.Flags().IntVar(&o.Runs, "runs", 5, "counted runs of each query")
	cmd.Flags().IntVar(&o.Threads, "threads", 2, "parallelism of both")
	return cmd
}
