package main

import (
	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench/shuffle"
	"github.com/tidemill/tidemill/core/failure"
)

func newBenchShuffle() *cobra.Command {
	var (
		o         shuffle.Options
		megabytes int64
		format    string
	)
	cmd := &cobra.Command{
		Use:   "shuffle",
		Short: "Move batches between tasks, beside sockets, opaque frames and stock Flight",
		Long: `Move the same batches over every path of the exchange and over what it is built on, in one run:
a raw socket copy, opaque frames with a checksum, stock Arrow Flight and a Go channel. Both ends are in
this process: CPU time is that of both. Paths take turns; figures are medians.`,
		Example: `  tidemill bench shuffle
  tidemill bench shuffle --streams 1 --rows 512 --compression lz4,zstd
  tidemill bench shuffle --only tcp --runs 9 --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return failure.Errorf(failure.Usage, "--format %s: want text or json", format)
			}
			o.Bytes, o.JSON, o.Out = megabytes<<20, format == "json", cmd.OutOrStdout()
			return shuffle.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().Int64Var(&megabytes, "megabytes", 256, "`MiB` that each run moves")
	cmd.Flags().IntSliceVar(&o.Rows, "rows", nil, "`rows` of a batch, several by turns; 512,8192 by default: 43 KiB and 696 KiB")
	cmd.Flags().IntSliceVar(&o.Streams, "streams", nil, "`streams` at once, several by turns; 1,2,8 by default")
	cmd.Flags().StringSliceVar(&o.Compression, "compression", nil, "also with compressed bodies: `lz4,zstd`")
	cmd.Flags().StringSliceVar(&o.Only, "only", nil, "`words` of the paths to run, or their transports; all by default")
	cmd.Flags().IntVar(&o.Runs, "runs", 5, "counted runs of each path")
	cmd.Flags().IntVar(&o.Open, "open", 1000, "`streams` to hold open, to see what memory they take; 0 leaves that out")
	cmd.Flags().IntVar(&o.Pings, "pings", 2000, "`batches` of one row to send one by one, to see how long they take; 0 leaves that out")
	cmd.Flags().StringVar(&format, "format", "text", "print text or json")
	return cmd
}
