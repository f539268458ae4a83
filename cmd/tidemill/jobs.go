package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/scheduler/rest"
)

// timeoutCode is the exit code of a command whose --timeout has passed, as timeout(1)
// has it.
const timeoutCode = 124

// codeError is an error with an exit code of its own.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string { return e.err.Error() }
func (e *codeError) Unwrap() error { return e.err }

// operating is what the commands that operate a cluster share.
type operating struct {
	clusterFlags
	output string
}

// newOperating makes a command that asks a cluster; one with -o shows what it answers.
func newOperating(cmd *cobra.Command, shows bool, run func(ctx context.Context, c rpc.ClusterClient, o *operating, args []string) error) *cobra.Command {
	o := &operating{output: "table"}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if o.output != "table" && o.output != "json" {
			return failure.Errorf(failure.Usage, "-o %s: want table or json", o.output)
		}
		return o.with(cmd.Context(), func(ctx context.Context, c rpc.ClusterClient) error { return run(ctx, c, o, args) })
	}
	o.register(cmd)
	if shows {
		cmd.Flags().StringVarP(&o.output, "output", "o", "table", "print as table or json")
	}
	return cmd
}

// show prints a value as JSON or a table.
func (o *operating) show(value any, table func(w io.Writer)) error {
	if o.output == "json" {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(value)
	}
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 4, 2, ' ', 0)
	table(w)
	_ = w.Flush() // to memory
	_, err := os.Stdout.Write(text.Bytes())
	return err
}

// jobID reads a job's id; what cannot be one does not exist.
func jobID(text string) ([]byte, error) {
	job, err := id.ParseJob(text)
	if err != nil {
		return nil, failure.Wrap(failure.NotFound, err)
	}
	return job[:], nil
}

func newList() *cobra.Command {
	var running bool
	var most uint32
	cmd := newOperating(&cobra.Command{
		Use: "list", Short: "List the jobs of a cluster, newest first", Args: cobra.NoArgs,
	}, true, func(ctx context.Context, c rpc.ClusterClient, o *operating, _ []string) error {
		r, err := c.ListJobs(ctx, &rpc.ListJobsRequest{Running: running, Most: most})
		if err != nil {
			return err
		}
		all := []rest.Job{}
		for _, j := range r.GetJobs() {
			all = append(all, rest.JobOf(j))
		}
		return o.show(all, func(w io.Writer) {
			fmt.Fprintln(w, "JOB\tSTATE\tSUBMITTED\tTIME\tNAME")
			for _, j := range all {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", j.ID, j.State, clock(j.Submitted), span(j.Seconds), oneLine(j.Name))
			}
		})
	})
	cmd.Flags().BoolVar(&running, "running", false, "only jobs that are not over")
	cmd.Flags().Uint32VarP(&most, "limit", "n", 1000, "most `jobs` to list")
	return cmd
}

func newGet() *cobra.Command {
	return newOperating(&cobra.Command{
		Use: "get JOB", Short: "Describe a job: state, vertices, decisions, failures", Args: cobra.ExactArgs(1),
	}, true, func(ctx context.Context, c rpc.ClusterClient, o *operating, args []string) error {
		job, err := jobID(args[0])
		if err != nil {
			return err
		}
		s, err := c.GetJob(ctx, &rpc.GetJobRequest{Job: job})
		if err != nil {
			return err
		}
		j := rest.JobOf(s)
		return o.show(j, func(w io.Writer) {
			describe(w, j, checkpointsOf(ctx, c, job))
		})
	})
}

// checkpointsOf is what a cluster remembers of a job's checkpoints; none where it does not
// tell, for they are a detail of what is shown.
func checkpointsOf(ctx context.Context, c rpc.ClusterClient, job []byte) rest.Checkpoints {
	r, err := c.Checkpoints(ctx, &rpc.CheckpointsRequest{Job: job})
	if err != nil {
		return rest.Checkpoints{}
	}
	return rest.CheckpointsOf(r)
}

// describe prints a job for people.
func describe(w io.Writer, j rest.Job, taken rest.Checkpoints) {
	fmt.Fprintf(w, "job\t%s\nname\t%s\nstate\t%s\nsubmitted\t%s\ntime\t%s\n", j.ID, oneLine(j.Name), j.State, clock(j.Submitted), span(j.Seconds))
	fmt.Fprintf(w, "written\t%d rows, %d bytes, %d files\nrestarts\t%d\n", j.RowsWritten, j.BytesWritten, j.FilesWritten, j.Restarts)
	for _, r := range j.Rejected {
		fmt.Fprintf(w, "rejected\t%d records of %s\n", r.Records, r.Table)
	}
	if taken.Completed+taken.Failed > 0 || taken.RestoredFrom != "" {
		describeCheckpoints(w, taken)
	}
	if j.Cause != nil {
		fmt.Fprintf(w, "cause\t%s (%s)\n", oneLine(j.Cause.Text), j.Cause.Class)
	}
	if len(j.Vertices) > 0 {
		fmt.Fprintln(w, "\nVERTEX\tREGION\tPARALLELISM\tSUBTASKS\tATTEMPTS\tROWS IN\tROWS OUT\tNAME")
	}
	for _, v := range j.Vertices {
		fmt.Fprintf(w, "%d\t%d\t%d\t%s\t%s\t%d\t%d\t%s\n", v.ID, v.Region, v.Parallelism, counts(v.Subtasks), attempts(v.Attempts), v.RowsIn, v.RowsOut, oneLine(v.Name))
	}
	describeStream(w, j)
	if len(j.Decisions) > 0 {
		fmt.Fprintln(w, "\nDECIDED AFTER\tRULE\tABOUT\tFROM\tEFFECT")
	}
	for _, d := range j.Decisions {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", after(d.AtMillis), d.Rule, d.Subject, d.Inputs, d.Effect)
	}
	if len(j.Failures) > 0 {
		fmt.Fprintln(w, "\nFAILED AFTER\tREGIONS\tCAUSE")
	}
	for _, f := range j.Failures {
		fmt.Fprintf(w, "%s\t%v\t%s\n", after(f.AtMillis), f.Regions, oneLine(f.Cause))
	}
	waits(w, j)
}

func waits(w io.Writer, j rest.Job) {
	if len(j.Waits) > 0 {
		fmt.Fprintln(w, "\nWAITING SINCE\tPART\tFOR\tOF")
	}
	for _, x := range j.Waits {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", after(x.SinceMillis), x.Part, oneLine(x.Reason), x.Owner)
	}
}

func newWhy() *cobra.Command {
	return newOperating(&cobra.Command{
		Use: "why JOB", Short: "Tell what a job waits for, or why it failed: the first cause", Args: cobra.ExactArgs(1),
	}, false, func(ctx context.Context, c rpc.ClusterClient, o *operating, args []string) error {
		job, err := jobID(args[0])
		if err != nil {
			return err
		}
		s, err := c.GetJob(ctx, &rpc.GetJobRequest{Job: job})
		if err != nil {
			return err
		}
		j := rest.JobOf(s)
		return o.show(j, func(w io.Writer) {
			fmt.Fprintln(w, firstCause(j))
			waits(w, j)
		})
	})
}

// firstCause is one sentence on why a job is where it is.
func firstCause(j rest.Job) string {
	switch {
	case j.Cause != nil:
		text := fmt.Sprintf("%s because: %s (%s)", j.State, oneLine(j.Cause.Text), j.Cause.Class)
		if len(j.Failures) > 0 && j.Failures[0].Cause != j.Cause.Text {
			text += fmt.Sprintf("; the first failure, after %s: %s", after(j.Failures[0].AtMillis), oneLine(j.Failures[0].Cause))
		}
		return text
	case len(j.Waits) > 0:
		first := slices.MinFunc(j.Waits, func(a, b rest.Wait) int { return cmp.Compare(a.SinceMillis, b.SinceMillis) })
		return fmt.Sprintf("%s: %s waits for %s of %s since %s", j.State, first.Part, oneLine(first.Reason), first.Owner, after(first.SinceMillis))
	case j.Over:
		return j.State
	default:
		return j.State + ": nothing waits"
	}
}

func newWait() *cobra.Command {
	var limit time.Duration
	cmd := newOperating(&cobra.Command{
		Use: "wait JOB", Short: "Wait until a job is over; the exit code tells the outcome", Args: cobra.ExactArgs(1),
	}, false, func(ctx context.Context, c rpc.ClusterClient, _ *operating, args []string) error {
		job, err := jobID(args[0])
		if err != nil {
			return err
		}
		inner, stop := ctx, context.CancelFunc(func() {})
		if limit > 0 {
			inner, stop = context.WithTimeout(ctx, limit)
		}
		defer stop()
		s, err := awaitEnd(inner, c, job)
		if err != nil && inner.Err() != nil && ctx.Err() == nil {
			return &codeError{timeoutCode, failure.Errorf(failure.Transient, "job %s is not over after %v", args[0], limit)}
		}
		if err != nil {
			return err
		}
		return ending(s)
	})
	cmd.Flags().DurationVar(&limit, "timeout", 0, "longest `time` to wait, such as 30s; the exit code is 124 then")
	return cmd
}

// awaitEnd follows a job until it is over.
func awaitEnd(ctx context.Context, c rpc.ClusterClient, job []byte) (*rpc.JobStatus, error) {
	known := ""
	for {
		s, err := c.GetJob(ctx, &rpc.GetJobRequest{Job: job, KnownState: known})
		if err != nil || s.GetOver() {
			return s, err
		}
		known = s.GetState()
	}
}

// ending prints how a job ended and returns why it did not finish.
func ending(s *rpc.JobStatus) error {
	switch s.GetState() {
	case "FINISHED":
		_, err := fmt.Println(s.GetState())
		return err
	case "CANCELED":
		return &codeError{1, failure.Errorf(failure.Cancelled, "the job was cancelled")}
	}
	if err := s.GetCause().Err(); err != nil {
		return err
	}
	return failure.Errorf(failure.Fatal, "the job ended as %s", s.GetState())
}

func newCancel() *cobra.Command {
	var wait bool
	cmd := newOperating(&cobra.Command{
		Use: "cancel JOB", Short: "Ask a job to end", Args: cobra.ExactArgs(1),
	}, false, func(ctx context.Context, c rpc.ClusterClient, _ *operating, args []string) error {
		job, err := jobID(args[0])
		if err != nil {
			return err
		}
		if _, err := c.CancelJob(ctx, &rpc.CancelJobRequest{Job: job}); err != nil || !wait {
			return err
		}
		_, err = awaitEnd(ctx, c, job)
		return err
	})
	cmd.Flags().BoolVarP(&wait, "wait", "w", false, "return when the job is over")
	return cmd
}

func newLogs() *cobra.Command {
	var most uint32
	cmd := newOperating(&cobra.Command{
		Use: "logs JOB", Short: "Print what masters and workers have logged about a job", Args: cobra.ExactArgs(1),
	}, true, func(ctx context.Context, c rpc.ClusterClient, o *operating, args []string) error {
		job, err := jobID(args[0])
		if err != nil {
			return err
		}
		r, err := c.Logs(ctx, &rpc.LogsRequest{Job: job, Most: most})
		if err != nil {
			return err
		}
		lines := rest.LinesOf(r)
		return o.show(lines, func(w io.Writer) {
			for _, l := range lines {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", l.At.Format("2006-01-02 15:04:05.000"), l.Level, l.Node, l.Text)
			}
		})
	})
	cmd.Flags().Uint32VarP(&most, "lines", "n", 1000, "most `lines`, the newest")
	return cmd
}

func newSubmit() *cobra.Command {
	var flags engineFlags
	var restore restoring
	cmd := &cobra.Command{
		Use:     "submit FILE",
		Short:   "Start the jobs of a script on a cluster and print their ids, waiting for none",
		Example: `  tidemill submit etl.sql -v day=2026-11-20`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			flags.attached = true
			flags.settings = append(flags.settings, restore.settings()...)
			return flags.with(cmd.Context(), func(session client.Session, variables map[string]string, p printing) error {
				s, err := readScript("", args[0], os.Stdin, variables)
				if err != nil {
					return err
				}
				for _, statement := range s.statements {
					if err := p.submit(cmd.Context(), session, s.text, statement); err != nil {
						return s.place(err)
					}
				}
				return nil
			})
		},
	}
	flags.register(cmd)
	restore.register(cmd)
	return cmd
}

// submit starts what a statement says without waiting for it.
func (p printing) submit(ctx context.Context, session client.Session, source string, s ast.Statement) error {
	if _, query := s.(ast.Query); query {
		return failure.Errorf(failure.Usage, "submit leaves nobody to read the rows of a query: use sql or run, or INSERT INTO a table")
	}
	result, err := session.Execute(ctx, source, s)
	if err != nil {
		return err
	}
	if job, ok := result.Job(); ok {
		if _, err := fmt.Fprintln(p.out, job); err != nil {
			return err
		}
	}
	return result.Close()
}

func clock(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

func span(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(10 * time.Millisecond).String()
}

func after(millis int64) string { return (time.Duration(millis) * time.Millisecond).String() }

// oneLine is the beginning of a text, on one line.
func oneLine(text string) string {
	const most = 200
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}

// counts prints how many subtasks are in which state.
func counts(states map[string]uint32) string {
	var out []string
	for state, n := range states {
		if n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, strings.ToLower(state)))
		}
	}
	slices.Sort(out)
	return cmp.Or(strings.Join(out, ", "), "-")
}

// attempts prints the numbers of attempts, shortened where all are the first.
func attempts(numbers []uint32) string {
	if len(numbers) == 0 {
		return "-"
	}
	var out []string
	for _, n := range numbers {
		out = append(out, fmt.Sprint(n))
	}
	if first := out[0]; !slices.ContainsFunc(out, func(s string) bool { return s != first }) {
		return first
	}
	return strings.Join(out, ",")
}
