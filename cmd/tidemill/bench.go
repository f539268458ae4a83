package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill"
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
	cmd.AddCommand(newBenchTPCH(), newBenchETL(), newBenchKernels(), newBenchNexmark(), newBenchShuffle(), newBenchServe(), newBenchState(), newBenchFlink())
	return cmd
}

// benchFlags are those of the benchmarks that run engines side by side.
type benchFlags struct {
	settings []string
	python   string
	memory   []string
	format   string
}

func (f *benchFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&f.settings, "set", "D", nil, "setting `key=value` of ours")
	cmd.Flags().StringVar(&f.python, "python", filepath.Join(".tools", "peers", "bin", "python"), "`path` of the peers' Python")
	cmd.Flags().StringSliceVar(&f.memory, "memory", nil, "`limit` of ours and of DuckDB, as 500MB; several compare ours with itself, none is without")
	cmd.Flags().StringVar(&f.format, "format", "text", "print text or json")
}

// programs completes what the flags say.
func (f *benchFlags) programs() (p bench.Programs, json bool, err error) {
	if f.format != "text" && f.format != "json" {
		return p, false, failure.Errorf(failure.Usage, "--format %s: want text or json", f.format)
	}
	p.Python, p.Memory = f.python, f.memory
	if p.Settings, err = pairs("-D", f.settings); err != nil {
		return p, false, err
	}
	p.Binary, err = os.Executable()
	return p, f.format == "json", err
}

func newBenchKernels() *cobra.Command {
	var (
		o     bench.KernelsOptions
		flags benchFlags
	)
	cmd := &cobra.Command{
		Use:   "kernels",
		Short: "Scan, group, join, sort and write, each by itself, beside DuckDB",
		Example: `  make bench-peers && tidemill bench kernels
  tidemill bench kernels --kernels group,sort --runs 9`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Programs, o.JSON, err = flags.programs(); err != nil {
				return err
			}
			registry, err := tidemill.Builtins(o.Settings)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, registry.Close()) }()
			o.FileSystems, o.Out = registry.FileSystems, cmd.OutOrStdout()
			return bench.Kernels(cmd.Context(), o)
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVar(&o.Dir, "data", filepath.Join(os.TempDir(), "tidemill-kernels"), "`directory` of the data, which is made")
	cmd.Flags().Int64Var(&o.Rows, "rows", 6_000_000, "rows of the tables")
	cmd.Flags().StringSliceVar(&o.Kernels, "kernels", nil, "`names` to run, or what they begin with; all by default")
	cmd.Flags().IntVar(&o.Runs, "runs", 5, "counted runs of each kernel")
	cmd.Flags().IntVar(&o.Parallelism, "parallelism", 2, "slots of ours and threads of DuckDB")
	return cmd
}

// ownCluster is the --cluster that is started for a run.
const ownCluster = "own"

func newBenchTPCH() *cobra.Command {
	var (
		o     bench.TPCHOptions
		flags benchFlags
		on    string // a cluster
	)
	cmd := &cobra.Command{
		Use:   "tpch",
		Short: "Run the 22 queries of TPC-H over Parquet files",
		Long: `Run the 22 queries of TPC-H over Parquet files, each engine warm and in a process of its own.

Alone, on data of scale 1, answers are checked against the official ones; beside another engine, or
itself elsewhere, against that one's. What runs side by side takes turns, and a run during which other
processes took much of the machine is repeated. Times are medians, memory is the largest of all runs.`,
		Example: `  tidemill bench tpch --scale 1                       # makes its data, keeps it in the user's cache
  tidemill bench tpch --data sf10 --peer duckdb,polars
  tidemill bench tpch --data sf10 --parallelism 1,2   # speed-up of two slots over one
  tidemill bench tpch --data s3://bucket/sf1 --local sf1 -D s3.endpoint=http://127.0.0.1:9000
  tidemill bench tpch --data sf10 --peer duckdb --memory 500MB --queries 9,18,21
  tidemill bench tpch --data sf10 --memory 500MB,none # what little memory costs
  tidemill bench tpch --data sf1 --cluster            # two workers of its own, beside the embedded engine
  tidemill bench tpch --data sf1 --cluster=$HOME/.tidemill`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Programs, o.JSON, err = flags.programs(); err != nil {
				return err
			}
			switch {
			case on == ownCluster && o.Workers == 0:
				o.Workers = 2
			case on != ownCluster:
				o.Cluster = on
			}
			if cmd.Flags().Changed("scale") && o.Scale <= 0 {
				return failure.Errorf(failure.Usage, "--scale %v: want more than 0", o.Scale)
			}
			if o.Dir == "" && o.Scale > 0 {
				if o.Dir, err = bench.DataDir(o.Scale); err != nil {
					return err
				}
			}
			registry, err := tidemill.Builtins(o.Settings)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, registry.Close()) }()
			o.FileSystems, o.Out = registry.FileSystems, cmd.OutOrStdout()
			return bench.TPCH(cmd.Context(), o)
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVar(&o.Dir, "data", "", "`directory` of TABLE.parquet files, a path or URL")
	cmd.Flags().Float64Var(&o.Scale, "scale", 0, "make data of this `scale` unless it is there")
	cmd.Flags().StringVar(&o.Local, "local", "", "`directory` of the same files to compare with; what --data lacks is copied there")
	cmd.Flags().IntSliceVar(&o.Queries, "queries", nil, "`numbers` of the queries to run, all by default")
	cmd.Flags().StringSliceVar(&o.Peers, "peer", nil, "engines to compare with: `duckdb,polars`")
	cmd.Flags().IntVar(&o.Runs, "runs", 5, "counted runs of each query")
	cmd.Flags().IntSliceVar(&o.Parallelism, "parallelism", []int{2}, "slots of ours and threads of the peers; `several` compare ours with itself")
	cmd.Flags().StringVar(&on, "cluster", "", "compare a cluster with the embedded engine: one started for it, or =`DIR`, the data directory of up")
	cmd.Flags().Lookup("cluster").NoOptDefVal = ownCluster
	cmd.Flags().IntVar(&o.Workers, "workers", 0, "`number` of workers of a cluster that is started, which share the slots; 2 with --cluster alone")
	cmd.Flags().StringVar(&o.RewriteOptional, "rewrite-optional", "", "`directory` for copies by DuckDB, all columns optional, to measure instead")
	return cmd
}

func newBenchETL() *cobra.Command {
	var (
		o     bench.ETLOptions
		flags benchFlags
	)
	cmd := &cobra.Command{
		Use:   "etl",
		Short: "Write Parquet from TPC-H's lineitem, beside DuckDB",
		Long: `Write Parquet from TPC-H's lineitem, beside DuckDB in the same run, and check what both wrote.

  daily   lineitem join orders, filtered, aggregated by day, partitioned by month
  months  all of lineitem in 84 month partitions
  sorted  all of lineitem, sorted, in one file
  csv     lineitem of a CSV file
  json    lineitem of a file of JSON lines`,
		Example: `  make bench-peers && tidemill bench etl --data sf10 --scratch /tmp/etl --memory 2GB --jobs months,sorted`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Programs, o.JSON, err = flags.programs(); err != nil {
				return err
			}
			o.Out = cmd.OutOrStdout()
			return bench.ETL(cmd.Context(), o)
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVar(&o.Data, "data", "", "`directory` of TABLE.parquet files")
	cmd.Flags().StringVar(&o.Scratch, "scratch", filepath.Join(os.TempDir(), "tidemill-etl"), "`directory` to write to")
	cmd.Flags().StringSliceVar(&o.Jobs, "jobs", nil, "`names` of the jobs to run, all by default")
	cmd.Flags().IntVar(&o.Runs, "runs", 1, "counted runs of each job")
	cmd.Flags().IntVar(&o.Parallelism, "parallelism", 2, "slots of ours and threads of DuckDB")
	return cmd
}
