package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/rest"
)

func newNodes() *cobra.Command {
	cmd := newOperating(&cobra.Command{
		Use: "nodes", Short: "List masters, workers and shuffle servers", Args: cobra.NoArgs,
	}, true, func(ctx context.Context, c rpc.ClusterClient, o *operating, _ []string) error {
		r, err := c.Nodes(ctx, &rpc.NodesRequest{})
		if err != nil {
			return err
		}
		all := rest.NodesOf(r)
		return o.show(all, func(w io.Writer) {
			fmt.Fprintln(w, "ROLE\tNODE\tADDRESS\tSLOTS\tFREE\tMEMORY\tUSED\tHEARD\t")
			for _, n := range all {
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%sB\t%sB\t%s\t%s\n", n.Role, n.ID, n.Address, n.Slots, n.FreeSlots,
					short(float64(n.MemoryBytes)), short(float64(n.MemoryUsed)), after(n.HeardMillis), remark(n))
			}
		})
	})
	cmd.AddCommand(newRemove())
	return cmd
}

func newRemove() *cobra.Command {
	cmd := newOperating(&cobra.Command{
		Use:   "remove NODE",
		Short: "Take a master that is lost out of the cluster, for good; or forget a server that was drained",
		Args:  usage(cobra.ExactArgs(1)),
	}, false, func(ctx context.Context, c rpc.ClusterClient, _ *operating, args []string) error {
		_, err := c.Remove(ctx, &rpc.RemoveRequest{Id: args[0]})
		return err
	})
	return cmd
}

func remark(n rest.Node) string {
	switch {
	case n.Leader:
		return "leads"
	case n.Lost:
		return "lost"
	case n.Joining:
		return "joins"
	case n.Drained:
		return "drained"
	case n.Draining:
		return fmt.Sprintf("drains: %d exchanges, %sB left; %s", n.KeptExchanges, short(float64(n.KeptBytes)), n.Waits)
	case n.Full != "":
		return "full: " + n.Full
	}
	return ""
}

func newDrain() *cobra.Command {
	var wait bool
	var timeout time.Duration
	cmd := newOperating(&cobra.Command{
		Use:   "drain NODE",
		Short: "Have a shuffle server hand over what it keeps; it ends when nobody needs it any more",
		Args:  cobra.ExactArgs(1),
	}, false, func(ctx context.Context, c rpc.ClusterClient, _ *operating, args []string) error {
		if _, err := c.DrainNode(ctx, &rpc.DrainNodeRequest{Id: args[0]}); err != nil || !wait {
			return err
		}
		within := ctx
		if timeout > 0 {
			var stop context.CancelFunc
			within, stop = context.WithTimeout(ctx, timeout)
			defer stop()
		}
		err := awaitDrained(within, c, args[0])
		if err != nil && within.Err() != nil && ctx.Err() == nil {
			return &codeError{timeoutCode, failure.Errorf(failure.Transient, "%s is not drained after %v", args[0], timeout)}
		}
		return err
	})
	cmd.Flags().BoolVar(&wait, "wait", false, "return when nothing is left at the server")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "with --wait: longest `time` to wait, such as 30s; the exit code is 124 then")
	return cmd
}

// drainPause is how often a server that drains is looked at.
const drainPause = 200 * time.Millisecond

// awaitDrained waits until nobody needs a server, and tells what it waits for when that
// changes.
func awaitDrained(ctx context.Context, c rpc.ClusterClient, node string) error {
	tick := time.NewTicker(drainPause)
	defer tick.Stop()
	for told := ""; ; {
		r, err := c.Nodes(ctx, &rpc.NodesRequest{})
		if err != nil {
			return err
		}
		all := rest.NodesOf(r)
		at := slices.IndexFunc(all, func(n rest.Node) bool { return n.ID == node })
		switch {
		case at < 0:
			return failure.Errorf(failure.Transient, "%s is gone, and had not drained: %s", node, told)
		case all[at].Drained:
			return nil
		}
		if now := all[at].Waits; now != told {
			fmt.Fprintln(os.Stderr, remark(all[at]))
			told = now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
