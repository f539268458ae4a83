package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/rest"
)

func newNodes() *cobra.Command {
	return newOperating(&cobra.Command{
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
}

func remark(n rest.Node) string {
	switch {
	case n.Leader:
		return "leads"
	case n.Draining:
		return "drains"
	}
	return ""
}

func newDrain() *cobra.Command {
	return newOperating(&cobra.Command{
		Use:   "drain NODE",
		Short: "Have a shuffle server take nothing new; it ends when it keeps nothing any more",
		Args:  cobra.ExactArgs(1),
	}, false, func(ctx context.Context, c rpc.ClusterClient, _ *operating, args []string) error {
		_, err := c.DrainNode(ctx, &rpc.DrainNodeRequest{Id: args[0]})
		return err
	})
}
