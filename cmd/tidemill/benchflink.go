package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench"
	"github.com/tidemill/tidemill/bench/flink"
)

// newBenchFlink is Flink's side of bench.Nexmark: an engine that answers requests.
func newBenchFlink() *cobra.Command {
	var (
		o   flink.Options
		set []string
	)
	cmd := &cobra.Command{
		Use:    "flink",
		Short:  "Run statements from standard input on Apache Flink for a benchmark",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Settings, err = pairs("--set", set); err != nil {
				return err
			}
			c, err := flink.Start(cmd.Context(), o)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, c.Close()) }()
			return bench.Serve(cmd.Context(), cmd.InOrStdin(), os.Stdout, c.Workers, func(ctx context.Context, q bench.Request) (r bench.Reply, err error) {
				if q.SQL == "" {
					r.Version, err = c.Version(ctx)
					return r, err
				}
				took, err := c.Run(ctx, q.SQL)
				r.WallMillis = took.Seconds() * float64(time.Second/time.Millisecond)
				return r, err
			})
		},
	}
	cmd.Flags().StringVar(&o.Home, "home", "", "`directory` of the distribution")
	cmd.Flags().StringVar(&o.Dir, "dir", "", "`directory` to work in")
	cmd.Flags().IntVar(&o.Slots, "slots", 2, "`number` of slots")
	cmd.Flags().StringVar(&o.Memory, "memory", "", "`size` of the TaskManager")
	cmd.Flags().StringVar(&o.Checkpoint, "checkpoint", "", "`interval` of checkpoints")
	cmd.Flags().StringArrayVar(&set, "set", nil, "more settings `key=value`")
	cmd.Flags().DurationVar(&o.Limit, "limit", 0, "longest `time` of a job")
	return cmd
}
