package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// report is the last line of standard error with --progress json.
type report struct {
	State      string  `json:"state"`
	Statements int     `json:"statements"`
	RowsIn     int64   `json:"rows_in"`
	RowsOut    int64   `json:"rows_out"`
	BytesIn    int64   `json:"bytes_in"`
	BytesOut   int64   `json:"bytes_out"`
	FilesOut   int64   `json:"files_out"`
	Spilled    int64   `json:"spilled_bytes"`
	Restarts   int64   `json:"restarts"`
	Seconds    float64 `json:"seconds"`
	ErrorCode  string  `json:"error_code,omitempty"`
	Error      string  `json:"error,omitempty"`
}

func newRun() *cobra.Command {
	var (
		flags       engineFlags
		parallelism int
		restore     restoring
		progress    string
	)
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "Run a script to its end, showing progress; the exit code tells the outcome",
		Example: `  tidemill run etl.sql -v day=2026-11-20
  tidemill run stream.sql -s file:///var/checkpoints/job`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			show, err := progressKind(progress)
			if err != nil {
				return err
			}
			if parallelism != 0 {
				flags.settings = append(flags.settings, fmt.Sprintf("parallelism.default=%d", parallelism))
			}
			flags.settings = append(flags.settings, restore.settings()...)
			return flags.run(cmd.Context(), args[0], show)
		},
	}
	flags.register(cmd)
	cmd.Flags().IntVarP(&parallelism, "parallelism", "p", 0, "subtasks of each vertex; 0 takes the slots there are")
	restore.register(cmd)
	cmd.Flags().StringVar(&progress, "progress", "auto", "show progress as auto, bar, json or none")
	return cmd
}

func progressKind(flag string) (string, error) {
	switch flag {
	case "bar", "json", "none":
		return flag, nil
	case "auto":
		if term.IsTerminal(int(os.Stderr.Fd())) {
			return "bar", nil
		}
		return "json", nil
	default:
		return "", failure.Errorf(failure.Usage, "--progress %s: want auto, bar, json or none", flag)
	}
}

func (f *engineFlags) run(ctx context.Context, file, show string) error {
	var total report
	start := time.Now()
	err := f.with(ctx, func(session client.Session, variables map[string]string, p printing) error {
		s, err := readScript("", file, os.Stdin, variables)
		if err != nil {
			return err
		}
		p.watch = watcher(show, os.Stderr)
		for _, statement := range s.statements {
			o, err := p.execute(ctx, session, s.text, statement)
			total.add(o)
			if err == nil {
				err = p.flush()
			}
			if err != nil {
				return s.place(err)
			}
		}
		return nil
	})
	total.Seconds = time.Since(start).Seconds()
	if show == "bar" && err == nil {
		fmt.Fprintf(os.Stderr, "finished in %.1f s: %d rows read (%s rows/s), %d rows and %d files written\n",
			total.Seconds, total.RowsIn, short(float64(total.RowsIn)/max(total.Seconds, 1e-3)), total.RowsOut, total.FilesOut)
	}
	if show != "json" {
		return err
	}
	if err != nil {
		if failure.Of(err) != failure.Cancelled {
			printError(os.Stderr, err)
		}
		err = &shownError{err}
	}
	total.finish(err)
	return errors.Join(err, writeLine(os.Stderr, total))
}

func (r *report) add(o outcome) {
	r.Statements++
	p := o.progress
	r.RowsIn, r.RowsOut = r.RowsIn+p.RowsIn, r.RowsOut+p.RowsOut+o.rows
	r.BytesIn, r.BytesOut = r.BytesIn+p.BytesIn, r.BytesOut+p.BytesOut
	r.FilesOut += p.FilesOut
	r.Spilled += p.SpilledBytes
	r.Restarts += p.Restarts
}

func (r *report) finish(err error) {
	r.State = "FINISHED"
	if err == nil {
		return
	}
	r.State, r.Error, r.ErrorCode = "FAILED", err.Error(), failure.Of(err).String()
	var wrong *sqlerr.Error
	if errors.As(err, &wrong) {
		r.ErrorCode = string(wrong.Code)
	}
	if failure.Of(err) == failure.Cancelled {
		r.State = "CANCELED"
	}
}

func writeLine(out io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	_, err = out.Write(append(line, '\n'))
	return err
}
