package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
)

// rescalePause is how often it is looked whether a job has been rescaled.
const rescalePause = 50 * time.Millisecond

func newRescale() *cobra.Command {
	var parallelism uint32
	var wait bool
	cmd := newOperating(&cobra.Command{
		Use: "rescale JOB [-p N]", Short: "Run a streaming job with another parallelism, from a checkpoint taken for it",
		Long: `Run a streaming job with another parallelism. All vertices that their plan does not bind to
one subtask get N of them, or as many as there are slots for; more come with the slots. The
job stops for a moment and goes on from a checkpoint that is taken for it. It is remembered
for the rest of the job. Without -p the bounds are shown as they are.`,
		Example: `  tidemill rescale 0192f1c4a5b6c7d8e9f0a1b2c3d4e5f6 -p 4 -w`,
		Args:    cobra.ExactArgs(1),
	}, true, func(ctx context.Context, c rpc.ClusterClient, o *operating, args []string) error {
		job, err := jobID(args[0])
		if err != nil {
			return err
		}
		r, err := c.Rescale(ctx, &rpc.RescaleRequest{Job: job, Parallelism: parallelism, Read: parallelism == 0})
		if err != nil {
			return err
		}
		if wait && parallelism > 0 {
			if err := awaitBounds(ctx, c, job, r.GetVertices()); err != nil {
				return err
			}
		}
		return o.show(r.GetVertices(), func(w io.Writer) {
			fmt.Fprintln(w, "VERTEX\tLEAST\tMOST")
			for _, b := range r.GetVertices() {
				fmt.Fprintf(w, "%d\t%d\t%d\n", b.GetVertex(), b.GetLeast(), b.GetMost())
			}
		})
	})
	cmd.Flags().Uint32VarP(&parallelism, "parallelism", "p", 0, "`subtasks` of each vertex")
	cmd.Flags().BoolVarP(&wait, "wait", "w", false, "return when the job runs with as many")
	return cmd
}

// awaitBounds waits until a job runs with the most subtasks that its bounds allow.
func awaitBounds(ctx context.Context, c rpc.ClusterClient, job []byte, bounds []*rpc.VertexBounds) error {
	tick := time.NewTicker(rescalePause)
	defer tick.Stop()
	for {
		s, err := c.GetJob(ctx, &rpc.GetJobRequest{Job: job})
		switch {
		case err != nil:
			return err
		case s.GetOver():
			return failure.Errorf(failure.Conflict, "the job has ended: %s", s.GetState())
		case runsWith(s, bounds):
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the job: %w", ctx.Err())
		}
	}
}

func runsWith(s *rpc.JobStatus, bounds []*rpc.VertexBounds) bool {
	for _, b := range bounds {
		if int(b.GetVertex()) >= len(s.GetVertices()) {
			return false
		}
		v := s.GetVertices()[b.GetVertex()]
		if v.GetParallelism() != b.GetMost() || v.GetSubtasks()["RUNNING"]+v.GetSubtasks()["FINISHED"] != b.GetMost() {
			return false
		}
	}
	return true
}
