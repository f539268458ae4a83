package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/tidemill/internal/render"
	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser"
	"github.com/tidemill/tidemill/core/stream"
)

// ownSettings are those that are about the job of a script, not about its tables.
const ownSettings = `SET 'execution.runtime-mode' = 'streaming'; SET 'execution.checkpointing.interval' = '0'; RESET 'execution.state-recovery.path';
`

// following is what tail follows, and for how long.
type following struct {
	target string // a table's name, or a path
	file   string // statements that declare the table; empty: none
	rows   int64  // after which it ends; 0: never
	every  time.Duration
}

func newTail() *cobra.Command {
	var (
		flags  engineFlags
		f      following
		format string
	)
	cmd := &cobra.Command{
		Use:   "tail TABLE | tail PATH",
		Short: "Print the rows of a table, then those that come, until Ctrl-C",
		Long: `Print the rows of a table, then those that come, until Ctrl-C. -f names a script that declares
the table, such as that of the job that writes it: its DDL and SET are followed, its jobs are
not started. What a running job has published is seen, of files when a checkpoint has
published them, and of a topic from where the table's options say. Without a script it is a
path: a file, a directory or a pattern.`,
		Example: `  tidemill tail -f job.sql counts
  tidemill tail '/data/out/*.csv' -o ndjson`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(render.Formats(), format) {
				return failure.Errorf(failure.Usage, "-o %s: want one of %s", format, strings.Join(render.Formats(), ", "))
			}
			if f.rows < 0 || f.every <= 0 {
				return failure.Errorf(failure.Usage, "-n %d, --every %v: want no less than 0 rows, and some time", f.rows, f.every)
			}
			f.target, flags.mode = args[0], "streaming"
			return flags.with(cmd.Context(), func(session client.Session, variables map[string]string, p printing) error {
				p.format = format
				return p.follow(cmd.Context(), session, variables, f)
			})
		},
	}
	flags.register(cmd)
	_ = cmd.Flags().MarkHidden("mode") // there is one
	cmd.Flags().StringVarP(&f.file, "file", "f", "", "statements that declare the table, in a `file`")
	cmd.Flags().Int64VarP(&f.rows, "rows", "n", 0, "end after so many `rows`; 0: with Ctrl-C")
	cmd.Flags().DurationVar(&f.every, "every", time.Second, "how often directories are looked through for new files")
	cmd.Flags().StringVarP(&format, "output", "o", "table", "print rows as table, csv, json, ndjson, arrow, parquet or md")
	return cmd
}

// follow prints what is there and what comes.
func (p printing) follow(ctx context.Context, session client.Session, variables map[string]string, f following) error {
	var declared script
	if f.file != "" {
		var err error
		if declared, err = readScript("", f.file, os.Stdin, variables); err != nil {
			return err
		}
		for _, s := range declared.statements {
			if err := session.Check(ctx, declared.text, s); err != nil { // DDL takes effect, jobs do not begin
				return declared.place(err)
			}
		}
	}
	s := script{text: ownSettings + f.query(declared.statements)}
	if err := s.parse(nil); err != nil || len(s.statements) != strings.Count(ownSettings, ";")+1 {
		return failure.Errorf(failure.Usage, "%q names no table and no path", f.target)
	}
	last := len(s.statements) - 1
	for _, set := range s.statements[:last] {
		if _, err := p.execute(ctx, session, s.text, set); err != nil {
			return err
		}
	}
	result, err := session.Execute(ctx, s.text, s.statements[last])
	if err != nil {
		return err
	}
	if f.rows > 0 {
		result = &firstRows{Result: result, left: f.rows}
	}
	_, err = p.rows(ctx, result, false)
	return errors.Join(err, result.Close())
}

// query reads the target. Files are looked for again and again, unless the table says how
// often.
func (f following) query(declared []ast.Statement) string {
	hint := fmt.Sprintf(" /*+ OPTIONS('source.monitor-interval' = '%d ms') */", max(1, f.every.Milliseconds()))
	name, err := parser.ParseScript("SELECT * FROM " + f.target)
	table := err == nil && len(name) == 1
	if table && !strings.HasPrefix(f.target, "'") {
		for _, s := range slices.Backward(declared) {
			if t, ok := s.(*ast.CreateTable); ok && strings.EqualFold(t.Name.String(), strings.ReplaceAll(f.target, "`", "")) {
				if option(t, "connector") != "filesystem" || option(t, "source.monitor-interval") != "" {
					hint = ""
				}
				return "SELECT * FROM " + f.target + hint
			}
		}
		if f.file != "" {
			return "SELECT * FROM " + f.target
		}
	}
	return "SELECT * FROM '" + strings.ReplaceAll(strings.Trim(f.target, "'"), "'", "''") + "'" + hint
}

// option is what a table says under a key; empty: nothing.
func option(t *ast.CreateTable, key string) string {
	for _, o := range t.Options {
		if o.Key.Value == key {
			return o.Value.Value
		}
	}
	return ""
}

// firstRows ends a result after some rows.
type firstRows struct {
	client.Result
	left int64
}

// Next implements client.Result.
func (f *firstRows) Next(ctx context.Context) (*stream.Batch, error) {
	if f.left == 0 {
		return nil, io.EOF
	}
	b, err := f.Result.Next(ctx)
	if err != nil {
		return nil, err
	}
	if int64(b.Len()) > f.left {
		if b.Sel == nil {
			b.Sel = make([]int32, f.left)
			for i := range b.Sel {
				b.Sel[i] = int32(i)
			}
		}
		b.Sel = b.Sel[:f.left]
	}
	f.left -= int64(b.Len())
	return b, nil
}
