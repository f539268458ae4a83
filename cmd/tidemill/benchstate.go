package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/bench/state"
)

func newBenchState() *cobra.Command {
	var o state.Options
	cmd := &cobra.Command{
		Use:   "state",
		Short: "Measure state that is larger than memory beside state that is all in memory",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return state.Run(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	cmd.Flags().Int64Var(&o.Keys, "keys", 0, "`number` of keys, 200 bytes each; 10,000,000 if 0")
	cmd.Flags().Int64Var(&o.Rows, "rows", 0, "`number` of rows that are measured of each distribution; half the keys if 0")
	cmd.Flags().Float64Var(&o.Budget, "budget", 0.25, "`part` of the state that memory is given for everything")
	cmd.Flags().StringSliceVar(&o.Places, "places", nil, "`places` of state that are measured beside memory: disk, tiered; all if empty")
	cmd.Flags().DurationVar(&o.Latency, "remote-latency", 20*time.Millisecond, "`time` that each read of tiered state's home takes longer")
	cmd.Flags().IntVar(&o.Runs, "runs", 3, "`number` of runs of each distribution, of which the one in the middle counts")
	cmd.Flags().Float64Var(&o.Local, "local", 3, "`part` of the state that local disk may hold of tiered state")
	cmd.Flags().StringVar(&o.Dir, "dir", "", "`directory` for what does not fit; the system's for temporary files if empty")
	return cmd
}
