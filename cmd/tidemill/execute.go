package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/tidemill/tidemill/cmd/tidemill/internal/render"
	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/fs"
)

// printing says how results are shown.
type printing struct {
	out   io.Writer // rows
	notes io.Writer // timings and counts
	// terminal is the one that rows go to; nil: they go elsewhere.
	terminal *os.File
	format   string
	timing   bool
	formats  *formats.Registry
	// storage tells what this process asked of servers of files so far.
	storage func() fs.Stats
	// watch is called while a statement runs, with a way to ask how far it is, and
	// returns what stops it; nil watches nothing.
	watch func(progress func() client.Progress) (stop func())
}

// outcome sums up what one statement did.
type outcome struct {
	rows     int64
	progress client.Progress
	job      bool
	elapsed  time.Duration
}

// execute runs one statement to its end and prints its rows.
func (p printing) execute(ctx context.Context, session client.Session, source string, s ast.Statement) (out outcome, err error) {
	start := time.Now()
	defer func() { out.elapsed = time.Since(start) }()
	result, err := session.Execute(ctx, source, s)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, result.Close()) }()
	_, out.job = result.Job()
	if p.watch != nil && out.job {
		defer p.watch(result.Progress)()
	}
	out.rows, err = p.rows(ctx, result, verbatim(s))
	out.progress = result.Progress()
	return out, err
}

func (p printing) rows(ctx context.Context, result client.Result, verbatim bool) (rows int64, err error) {
	var printer render.Printer
	if len(result.Schema()) > 0 {
		printer, err = render.New(p.out, result.Schema(), p.formats, render.Options{
			Format: p.format, Live: result.Live(), Changelog: result.Changelog(), Verbatim: verbatim, Zone: result.Zone(), Screen: p.screen(result),
		})
		if err != nil {
			return 0, err
		}
		if drawing, ok := printer.(interface{ Stop() }); ok {
			defer drawing.Stop()
		}
	}
	for {
		b, err := result.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return rows, err
		}
		rows += int64(b.Len())
		if printer != nil {
			err = printer.Batch(ctx, b)
		}
		b.Release()
		if err == nil {
			err = p.flush() // a live row is worth nothing later
		}
		if err != nil {
			return rows, fmt.Errorf("print result: %w", err)
		}
	}
	if printer == nil {
		return rows, nil
	}
	if err := printer.Close(); err != nil {
		return rows, fmt.Errorf("print result: %w", err)
	}
	return rows, nil
}

// screen is where a live result is shown as the table that its changes make: on a terminal,
// where the session does not want changes; nil: nowhere.
func (p printing) screen(result client.Result) *render.Screen {
	asks, ok := result.(interface{ AsTable() bool })
	if p.terminal == nil || !ok || !asks.AsTable() {
		return nil
	}
	fd := int(p.terminal.Fd())
	return &render.Screen{Out: p.terminal, Size: func() (int, int) {
		columns, lines, err := term.GetSize(fd)
		if err != nil || columns <= 0 || lines <= 0 {
			return 80, 24
		}
		return columns, lines
	}}
}

// verbatim tells whether what a statement shows is a text of several lines.
func verbatim(s ast.Statement) bool {
	switch s.(type) {
	case *ast.Explain, *ast.ShowCreate:
		return true
	default:
		return false
	}
}

// note prints a statement's time and counts where asked for.
func (p printing) note(o outcome) {
	if !p.timing {
		return
	}
	fmt.Fprintf(p.notes, "time: %.3f s", o.elapsed.Seconds())
	if o.job {
		fmt.Fprintf(p.notes, ", rows read: %d (%s rows/s), rows out: %d", o.progress.RowsIn,
			short(float64(o.progress.RowsIn)/max(o.elapsed.Seconds(), 1e-3)), o.rows+o.progress.RowsOut)
		if n := o.progress.SpilledBytes; n > 0 {
			fmt.Fprintf(p.notes, ", spilled: %sB", short(float64(n)))
		}
	}
	fmt.Fprintln(p.notes)
}
