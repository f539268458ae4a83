// Command tidemill is master, worker, shuffle service, client and embedded
// engine in one binary.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	_ "time/tzdata" // zones on machines that have none

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// version is set by the linker.
var version = "dev"

func main() {
	os.Exit(mainWith(os.Args[1:]))
}

// mainWith runs the command line and returns the exit code.
func mainWith(args []string) int {
	ctx, signals := interrupts(context.Background())
	defer signals.close()
	cmd := newRoot(signals)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if sig := signals.first(); sig != 0 && failure.Of(err) == failure.Cancelled {
		return 128 + int(sig)
	}
	var output *fs.PathError
	if errors.As(err, &output) && output.Path == os.Stdout.Name() && errors.Is(output.Err, syscall.EPIPE) {
		return 128 + int(syscall.SIGPIPE) // whoever read has seen enough
	}
	var shown *shownError
	if !errors.As(err, &shown) {
		printError(os.Stderr, err)
	}
	return exitCode(err)
}

// exitCode is the documented code for err, see README.
func exitCode(err error) int {
	var own *codeError
	if errors.As(err, &own) {
		return own.code
	}
	var wrong *sqlerr.Error
	if errors.As(err, &wrong) {
		return failure.InvalidSQL.ExitCode()
	}
	return failure.Of(err).ExitCode()
}

// shownError is an error that has been printed already.
type shownError struct{ err error }

func (e *shownError) Error() string { return e.err.Error() }
func (e *shownError) Unwrap() error { return e.err }

// printError prints err for people: a statement's with its excerpt, any other on
// one line behind "error:".
func printError(out *os.File, err error) {
	var wrong *sqlerr.Error
	if errors.As(err, &wrong) {
		fmt.Fprintln(out, wrong.Render())
		return
	}
	fmt.Fprintf(out, "error: %v\n", err)
}
