package main

import (
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
)

func newBenchNexmark() *cobra.Command {
	var (
		o     bench.NexmarkOptions
		flags benchFlags
		flink string
		set   []string
		limit time.Duration
	)
	cmd := &cobra.Command{
		Use:   "nexmark",
		Short: "Run the queries of Nexmark over streams of generated auctions",
		Long: `Run the queries of Nexmark in streaming mode over a bounded number of generated events, and print
events a second for each core that was busy, times and memory. Output is counted and dropped, but for
q10, which writes files. A query that the engine refuses has its line say so.

With --check the rows that each query leaves are compared with DuckDB's of the same events instead.

With --latency the times are measured that rows take to the sink: from their event's making, for
windows and patterns from when the watermark, 4 s behind the events, may have passed their end.
Queries of whose rows none has one time, as averages over all that came, are passed by.`,
		Example: `  tidemill bench nexmark --queries generator,q0,q1,q2
  tidemill bench nexmark --events 1000000 --event-rate 100000 --checkpoint none
  tidemill bench nexmark --latency 60s --queries q0,q18,q7
  tidemill bench nexmark --data events --queries q0     # from Parquet files, which are written first
  make bench-flink && tidemill bench nexmark --peer flink
  tidemill bench nexmark --peer flink --peer-set state.backend.type=hashmap
  make bench-peers && tidemill bench nexmark --check --queries q0,q5,q7`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Programs, o.JSON, err = flags.programs(); err != nil {
				return err
			}
			if o.Flink, err = filepath.Abs(flink); err != nil {
				return err
			}
			if o.FlinkSettings, err = pairs("--peer-set", set); err != nil {
				return err
			}
			o.FlinkLimit = limit
			o.Out = cmd.OutOrStdout()
			return bench.Nexmark(cmd.Context(), o)
		},
	}
	flags.register(cmd)
	cmd.Flags().StringSliceVar(&o.Queries, "queries", nil, "`names` of the queries to run, generator for the source alone; all by default")
	cmd.Flags().Int64Var(&o.Events, "events", 0, "`number` of events, 10 million by default")
	cmd.Flags().Int64Var(&o.EventRate, "event-rate", 0, "events a second of event time, 10 million by default")
	cmd.Flags().IntVar(&o.Runs, "runs", 3, "counted runs of each query")
	cmd.Flags().IntVar(&o.Parallelism, "parallelism", 2, "slots")
	cmd.Flags().StringVar(&o.Checkpoint, "checkpoint", "10s", "`interval` of checkpoints, or none")
	cmd.Flags().StringVar(&o.Peer, "peer", "", "`engine` to compare with, flink: both read the same Parquet files")
	cmd.Flags().StringArrayVar(&set, "peer-set", nil, "setting `key=value` of the peer")
	cmd.Flags().DurationVar(&limit, "peer-limit", 5*time.Minute, "longest `time` of a run of the peer, which is given up then; 0 is none")
	cmd.Flags().StringVar(&flink, "flink", filepath.Join(".tools", "flink"), "`directory` of Apache Flink")
	cmd.Flags().StringVar(&o.Data, "data", "", "`directory` of Parquet files of the events to read, which are written unless they are there")
	cmd.Flags().DurationVar(&o.Latency, "latency", 0, "measure latencies instead, each for this `time`, at half of the highest rate sustained as long")
	cmd.Flags().BoolVar(&o.Check, "check", false, "compare rows with DuckDB's instead of measuring")
	return cmd
}
