package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/scheduler/rest"
)

// wholePath makes a directory mean on workers what it means here.
func wholePath(dir string) (string, error) {
	if scheme, _ := fs.SplitURI(dir); dir == "" || scheme != "" {
		return dir, nil
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", failure.Wrap(failure.Usage, err)
	}
	return abs, nil
}

// takeSavepoint takes one and prints where it is.
func takeSavepoint(ctx context.Context, c rpc.ClusterClient, o *operating, q *rpc.SavepointRequest, text string) error {
	var err error
	if q.Job, err = jobID(text); err != nil {
		return err
	}
	if q.Directory, err = wholePath(q.GetDirectory()); err != nil {
		return err
	}
	r, err := rpc.AwaitSavepoint(ctx, c, q)
	if err != nil {
		return err
	}
	return o.show(rest.Savepoint{Path: r.GetPath(), Checkpoint: r.GetCheckpoint()}, func(w io.Writer) { fmt.Fprintln(w, r.GetPath()) })
}

func newSavepoint() *cobra.Command {
	return newOperating(&cobra.Command{
		Use: "savepoint JOB [DIR]", Short: "Take a savepoint of a running job and print its directory",
		Long: `Take a savepoint of a running job and print its directory, which is a new one in DIR, or in
state.savepoints.dir. It holds all that a job needs to start from it (run -s, submit -s),
may be moved, and belongs to you: nothing of Tidemill removes it.`,
		Example: `  tidemill savepoint 0192f1c4a5b6c7d8e9f0a1b2c3d4e5f6 /data/savepoints`,
		Args:    cobra.RangeArgs(1, 2),
	}, true, func(ctx context.Context, c rpc.ClusterClient, o *operating, args []string) error {
		q := &rpc.SavepointRequest{}
		if len(args) > 1 {
			q.Directory = args[1]
		}
		return takeSavepoint(ctx, c, o, q, args[0])
	})
}

func newStop() *cobra.Command {
	var dir string
	var drain bool
	cmd := newOperating(&cobra.Command{
		Use: "stop JOB", Short: "Stop a job with a savepoint to go on from, and print its directory",
		Long: `Stop a job with a savepoint to go on from, and print its directory. Sources are silent after
it, all that came before is published, and the job is FINISHED: another one that is started
from the savepoint (run -s, submit -s) goes on exactly there. Should it fail, the job runs on.`,
		Example: `  tidemill stop 0192f1c4a5b6c7d8e9f0a1b2c3d4e5f6 --savepoint-path /data/savepoints`,
		Args:    cobra.ExactArgs(1),
	}, true, func(ctx context.Context, c rpc.ClusterClient, o *operating, args []string) error {
		return takeSavepoint(ctx, c, o, &rpc.SavepointRequest{Directory: dir, Stop: true, Drain: drain}, args[0])
	})
	cmd.Flags().StringVarP(&dir, "savepoint-path", "p", "", "`directory` of the savepoint's; empty: state.savepoints.dir")
	cmd.Flags().BoolVarP(&drain, "drain", "d", false, "bring event time to its end before, so that windows that are open close: for jobs that do not go on")
	return cmd
}

func newCheckpoints() *cobra.Command {
	var path string
	var most uint32
	var settings []string
	cmd := newOperating(&cobra.Command{
		Use: "checkpoints JOB | --path DIR", Short: "List the checkpoints of a job, or show what one in a directory holds",
		Example: `  tidemill checkpoints 0192f1c4a5b6c7d8e9f0a1b2c3d4e5f6
  tidemill checkpoints --path /data/savepoints/savepoint-0192f1c4-0a1b2c3d4e5f`,
		Args: cobra.MaximumNArgs(1),
	}, true, func(ctx context.Context, c rpc.ClusterClient, o *operating, args []string) error {
		job, err := jobID(args[0])
		if err != nil {
			return err
		}
		r, err := c.Checkpoints(ctx, &rpc.CheckpointsRequest{Job: job, Most: most})
		if err != nil {
			return err
		}
		all := rest.CheckpointsOf(r)
		return o.show(all, func(w io.Writer) { listCheckpoints(w, all) })
	})
	ofJob := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if (path == "") == (len(args) == 0) {
			return failure.Errorf(failure.Usage, "name a job, or a directory with --path")
		}
		if path == "" {
			return ofJob(cmd, args)
		}
		output, err := cmd.Flags().GetString("output")
		if err != nil {
			return err
		}
		return inspect(cmd.Context(), &operating{output: output}, path, settings)
	}
	cmd.Flags().StringVar(&path, "path", "", "`directory` of a checkpoint or savepoint to look into, instead of a job")
	cmd.Flags().StringArrayVarP(&settings, "define", "D", nil, "with --path: `KEY=VALUE` of file systems")
	cmd.Flags().Uint32VarP(&most, "limit", "n", 20, "most `checkpoints` to list")
	return cmd
}

func listCheckpoints(w io.Writer, all rest.Checkpoints) {
	fmt.Fprintf(w, "completed\t%d\nfailed\t%d\n", all.Completed, all.Failed)
	if all.RestoredFrom != "" {
		fmt.Fprintf(w, "restored from\t%s\n", all.RestoredFrom)
	}
	fmt.Fprintln(w, "\nCHECKPOINT\tKIND\tSTATE\tTRIGGERED\tTIME\tSUBTASKS\tWROTE\tBYTES\tPAUSED\tPATH")
	for _, c := range all.Checkpoints {
		where := c.Path
		switch {
		case c.Cause != nil:
			where = oneLine(c.Cause.Text)
		case !c.Kept && c.State == "COMPLETED" && c.Kind == "checkpoint":
			where = "removed"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%d of %d\t%d\t%d\t%v\t%s\n", c.Number, c.Kind, c.State, clock(c.Triggered), span(c.Seconds),
			c.Acknowledged, c.Subtasks, c.Wrote, c.Bytes, time.Duration(c.PausedNanos).Round(time.Microsecond), where)
	}
}

// restoring are the flags that say what a job starts from.
type restoring struct {
	path     string
	leaveOut bool
}

func (r *restoring) register(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&r.path, "from-savepoint", "s", "", "start from a checkpoint or savepoint, or the newest in a `directory`")
	cmd.Flags().BoolVarP(&r.leaveOut, "allow-non-restored-state", "n", false, "start although there is state that the job has no place for, and leave it out")
}

func (r *restoring) settings() (out []string) {
	if r.path != "" {
		out = append(out, "execution.state-recovery.path="+r.path)
	}
	if r.leaveOut {
		out = append(out, "execution.state-recovery.ignore-unclaimed-state=true")
	}
	return out
}
