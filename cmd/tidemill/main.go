// Command tidemill is master, worker, shuffle service, client and embedded
// engine in one binary; today: the embedded engine and its client.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
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
	ctx, interrupted, stop := interrupts(context.Background())
	defer stop()
	cmd := newRoot()
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if sig := interrupted(); sig != 0 && failure.Of(err) == failure.Cancelled {
		return 128 + int(sig)
	}
	var shown *shownError
	if !errors.As(err, &shown) {
		printError(os.Stderr, err)
	}
	return exitCode(err)
}

// exitCode is the documented code for err, see README.
func exitCode(err error) int {
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

// interrupts returns a context that ends with the first SIGINT or SIGTERM; the
// second ends the process at once, whatever it is doing. interrupted tells which
// signal came, 0 for none.
func interrupts(parent context.Context) (ctx context.Context, interrupted func() syscall.Signal, stop context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	done, gone := make(chan struct{}), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	var first atomic.Int64
	go func() {
		defer close(gone)
		for {
			select {
			case s := <-signals:
				number, _ := s.(syscall.Signal)
				if !first.CompareAndSwap(0, int64(number)) {
					os.Exit(128 + int(number))
				}
				cancel()
			case <-done:
				return
			}
		}
	}()
	return ctx, func() syscall.Signal { return syscall.Signal(first.Load()) }, func() {
		signal.Stop(signals)
		close(done)
		<-gone
		cancel()
	}
}

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
