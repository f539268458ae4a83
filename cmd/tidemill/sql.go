package main

import (
	"bufio"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/cmd/tidemill/internal/render"
	"github.com/tidemill/tidemill/cmd/tidemill/internal/shell"
	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/failure"
)

func newSQL(signals *signals) *cobra.Command {
	var (
		flags  engineFlags
		file   string
		format string
		timing bool
	)
	cmd := &cobra.Command{
		Use:   "sql [STATEMENTS]",
		Short: "Run statements and print their rows; without any, a prompt",
		Example: `  tidemill sql "SELECT count(*) FROM 'trips/*.parquet'"
  tidemill sql -f report.sql -v day=2026-11-20 -o csv
  echo "SELECT 1" | tidemill sql`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(render.Formats(), format) {
				return failure.Errorf(failure.Usage, "-o %s: want one of %s", format, strings.Join(render.Formats(), ", "))
			}
			if len(args) == 1 && file != "" {
				return failure.Errorf(failure.Usage, "give statements or -f, not both")
			}
			return flags.with(cmd.Context(), func(session client.Session, variables map[string]string, p printing) error {
				p.format, p.timing = format, timing
				if len(args) == 0 && file == "" && term.IsTerminal(int(os.Stdin.Fd())) {
					return prompt(cmd.Context(), signals, session, variables, p)
				}
				s, err := readScript(strings.Join(args, ""), file, os.Stdin, variables)
				if err != nil {
					return err
				}
				return p.all(cmd.Context(), session, s)
			})
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVarP(&file, "file", "f", "", "read statements from a `file`, - for standard input")
	cmd.Flags().StringVarP(&format, "output", "o", "table", "print rows as table, csv, json, ndjson, arrow, parquet or md")
	cmd.Flags().BoolVar(&timing, "timing", false, "print the time and row counts of each statement")
	return cmd
}

// engine is that of the cluster which flags or the environment name, or an embedded one.
func (f *engineFlags) engine(ctx context.Context, settings map[string]string) (client.Engine, *tidemill.Registry, error) {
	if f.cluster != "" || f.attached {
		return f.connect(settings)
	}
	return embedded(ctx, settings)
}

// with opens an engine and a session for the time of one function.
func (f *engineFlags) with(ctx context.Context, use func(client.Session, map[string]string, printing) error) (err error) {
	settings, err := f.config()
	if err != nil {
		return err
	}
	variables, err := pairs("-v", f.variables)
	if err != nil {
		return err
	}
	engine, registry, err := f.engine(ctx, settings)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	session, err := engine.Open(ctx, settings)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	out := bufio.NewWriterSize(os.Stdout, 64<<10)
	defer func() {
		if flushErr := out.Flush(); err == nil { // or it is why, and repeats itself
			err = flushErr
		}
	}()
	p := printing{out: out, notes: os.Stderr, formats: registry.Formats, storage: registry.FileSystems.Stats}
	if term.IsTerminal(int(os.Stdout.Fd())) {
		p.terminal = os.Stdout
	}
	return use(session, variables, p)
}

// all runs a script's statements one after the other and stops at the first
// failure.
func (p printing) all(ctx context.Context, session client.Session, s script) error {
	for _, statement := range s.statements {
		o, err := p.execute(ctx, session, s.text, statement)
		if err != nil {
			return s.place(err)
		}
		if err := p.flush(); err != nil {
			return err
		}
		p.note(o)
	}
	return nil
}

// flush hands rows to the terminal between statements.
func (p printing) flush() error {
	if w, ok := p.out.(*bufio.Writer); ok {
		return w.Flush()
	}
	return nil
}

func prompt(ctx context.Context, signals *signals, session client.Session, variables map[string]string, p printing) error {
	history := ""
	if dir, err := os.UserConfigDir(); err == nil {
		history = filepath.Join(dir, "tidemill", "history")
	}
	p.timing = true
	return shell.Run(ctx, &promptSession{Session: session, variables: variables, printing: p}, shell.Options{
		History: history, Out: os.Stderr, Interrupts: signals.forStatement,
	})
}

// promptSession runs what is typed and prints errors instead of returning them.
type promptSession struct {
	client.Session
	variables map[string]string
	printing  printing
}

// Execute implements shell.Session.
func (s *promptSession) Execute(ctx context.Context, statements string) {
	typed := script{text: statements}
	err := typed.parse(s.variables)
	if err == nil {
		err = s.printing.all(ctx, s.Session, typed)
	}
	switch {
	case err == nil:
		return
	case ctx.Err() != nil:
		err = errors.New("interrupted")
	}
	_ = s.printing.flush()
	printError(os.Stderr, err)
}
