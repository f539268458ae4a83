package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/core/failure"
)

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure the engine, beside a peer where there is one",
		Args:  knownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchQueries(), newBenchTPCH(), newBenchETL(), newBenchServe())
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
	var (
		o      bench.TPCHOptions
		format string
	)
	cmd := &cobra.Command{
		Use:   "tpch",
		Short: "Run the 22 queries of TPC-H over Parquet files",
		Example: `  make bench-peers && .tools/peers/bin/tpchgen-cli parquet -s 1 --output-dir=sf1
  tidemill bench tpch --data sf1 --peer duckdb,polars
  tidemill bench tpch --data sf10 --peer duckdb --memory "500 mb" --queries 9,18,21`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "table" && format != "json" {
				return failure.Errorf(failure.Usage, "-o %s: want table or json", format)
			}
			binary, err := os.Executable()
			if err != nil {
				return err
			}
			o.Binary, o.Out, o.JSON = binary, cmd.OutOrStdout(), format == "json"
			return bench.TPCH(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Dir, "data", "", "`directory` of TABLE.parquet files")
	cmd.Flags().IntSliceVar(&o.Queries, "queries", nil, "`numbers` of the queries to run, all by default")
	cmd.Flags().StringSliceVar(&o.Peers, "peer", nil, "engines to check answers and time beside: `duckdb,polars`")
	cmd.Flags().StringVar(&o.Python, "python", filepath.Join(".tools", "peers", "bin", "python"), "`path` of the peers' Python")
	cmd.Flags().IntVar(&o.Runs, "runs", 5, "counted runs of each query")
	cmd.Flags().IntVar(&o.Parallelism, "parallelism", 2, "slots of ours and threads of the peers")
	cmd.Flags().StringVar(&o.RewriteOptional, "rewrite-optional", "", "`directory` for copies by DuckDB, all columns optional, to measure instead")
	cmd.Flags().StringVar(&o.Memory, "memory", "", "limit of ours and of DuckDB, as 500MB")
	cmd.Flags().StringVarP(&format, "output", "o", "table", "print table or json")
	return cmd
}

func newBenchETL() *cobra.Command {
	var o bench.ETLOptions
	cmd := &cobra.Command{
		Use:   "etl",
		Short: "Write Parquet from TPC-H's lineitem, beside DuckDB",
		Long: `Write Parquet from TPC-H's lineitem, beside DuckDB in the same run, and compare what both wrote.

  daily   lineitem join orders, filtered, aggregated by day, partitioned by month
  months  all of lineitem in 84 month partitions
  sorted  all of lineitem, sorted, in one file
  csv     lineitem of a CSV file
  json    lineitem of a file of JSON lines`,
		Example: `  make bench-peers && tidemill bench etl --data sf10 --scratch /tmp/etl`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			binary, err := os.Executable()
			if err != nil {
				return err
			}
			o.Binary, o.Out = binary, cmd.OutOrStdout()
			return bench.ETL(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Data, "data", "", "`directory` of TABLE.parquet files")
	cmd.Flags().StringVar(&o.Scratch, "scratch", filepath.Join(os.TempDir(), "tidemill-etl"), "`directory` to write to")
	cmd.Flags().StringSliceVar(&o.Jobs, "jobs", nil, "`names` of the jobs to run, all by default")
	cmd.Flags().StringVar(&o.Python, "python", filepath.Join(".tools", "peers", "bin", "python"), "`path` of DuckDB's Python")
	cmd.Flags().IntVar(&o.Runs, "runs", 1, "counted runs of each job")
	cmd.Flags().IntVar(&o.Parallelism, "parallelism", 2, "slots of ours and threads of DuckDB")
	cmd.Flags().StringVar(&o.Memory, "memory", "", "limit of ours and of DuckDB, as 500MB")
	return cmd
}
