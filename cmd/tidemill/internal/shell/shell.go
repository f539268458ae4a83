// Package shell is the interactive SQL prompt: line editing with history,
// statements over several lines, completion.
package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/reeflective/readline"

	"github.com/tidemill/tidemill/core/sql/parser"
)

// Session is what the prompt talks to.
type Session interface {
	// Execute runs complete statements and prints what they give; ctx ends when
	// the user interrupts. It prints its own errors.
	Execute(ctx context.Context, statements string)
	// Words are the names that may follow: tables, columns, functions.
	Words() []string
}

// Options of a shell.
type Options struct {
	// History is the file that lines are kept in; empty keeps none.
	History string
	// Interrupts makes the context of one statement: it ends on Ctrl-C.
	Interrupts func(context.Context) (context.Context, context.CancelFunc)
	// Out takes the banner and help.
	Out io.Writer
}

const help = `Statements end with a semicolon and may span lines.
  \q, quit, exit   leave (or Ctrl-D)
  \h, help         this text
  Ctrl-C           give up the line, or cancel the running statement
  Tab              complete keywords, tables, functions
  Ctrl-R           search the history`

// Run reads statements until the end of input or a command to leave.
func Run(ctx context.Context, session Session, o Options) error {
	rl := readline.NewShell()
	if err := rl.Config.Set("enable-bracketed-paste", true); err != nil {
		return fmt.Errorf("set up line editing: %w", err)
	}
	rl.Prompt.Primary(func() string { return "tidemill> " })
	rl.Prompt.Secondary(func() string { return "       -> " })
	rl.AcceptMultiline = func(line []rune) bool { return accept(string(line)) }
	rl.Completer = func(line []rune, cursor int) readline.Completions {
		found, prefix := candidates(string(line[:cursor]), session.Words())
		return readline.CompleteValues(found...).Prefix(prefix)
	}
	if o.History != "" {
		if err := os.MkdirAll(filepath.Dir(o.History), 0o700); err == nil {
			rl.History.Delete()
			rl.History.AddFromFile("history", o.History)
		}
	}
	fmt.Fprintln(o.Out, `Type \h for help, \q to leave.`)
	for ctx.Err() == nil {
		line, err := rl.Readline()
		switch {
		case errors.Is(err, readline.ErrInterrupt):
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read line: %w", err)
		}
		if leave := one(ctx, session, line, o); leave {
			return nil
		}
	}
	return ctx.Err()
}

func one(ctx context.Context, session Session, line string, o Options) (leave bool) {
	switch strings.ToLower(strings.TrimSuffix(strings.TrimSpace(line), ";")) {
	case "":
		return false
	case `\q`, "quit", "exit":
		return true
	case `\h`, "help":
		fmt.Fprintln(o.Out, help)
		return false
	}
	statement, stop := o.Interrupts(ctx)
	defer stop()
	session.Execute(statement, line)
	return false
}

// accept reports whether Enter ends the input: a command, nothing, or complete
// statements.
func accept(line string) bool {
	text := strings.TrimSpace(line)
	switch strings.ToLower(text) {
	case "", `\q`, `\h`, "quit", "exit", "help":
		return true
	}
	return strings.HasSuffix(text, ";") && parser.Complete(text)
}

// candidates returns the words that the last word of text may become, in the
// case in which it was begun, and that last word.
func candidates(text string, words []string) (found []string, prefix string) {
	start := strings.LastIndexFunc(text, func(r rune) bool {
		return r != '_' && r != '.' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) + 1
	prefix = text[start:]
	if prefix == "" {
		return nil, ""
	}
	lower := strings.ToLower(prefix) == prefix
	for _, w := range append(words, keywords...) {
		if len(w) < len(prefix) || !strings.EqualFold(w[:len(prefix)], prefix) {
			continue
		}
		if lower && w == strings.ToUpper(w) {
			w = strings.ToLower(w)
		}
		found = append(found, w)
	}
	return found, ""
}

// keywords are those that begin or join clauses; the rest is not worth a menu.
var keywords = strings.Fields(`
	SELECT FROM WHERE GROUP BY HAVING ORDER LIMIT OFFSET JOIN INNER LEFT RIGHT FULL CROSS ON USING UNION ALL
	DISTINCT AS AND OR NOT IN EXISTS BETWEEN LIKE IS NULL CASE WHEN THEN ELSE END CAST WITH VALUES
	INSERT INTO OVERWRITE PARTITION CREATE TEMPORARY TABLE VIEW DATABASE CATALOG FUNCTION IF REPLACE DROP ALTER
	PARTITIONED WATERMARK FOR PRIMARY KEY ENFORCED DESCRIPTOR TUMBLE HOP CUMULATE SESSION INTERVAL
	SHOW TABLES DATABASES FUNCTIONS COLUMNS DESCRIBE EXPLAIN SET RESET USE EXECUTE STATEMENT BEGIN
	BOOLEAN TINYINT SMALLINT INT BIGINT FLOAT DOUBLE DECIMAL STRING VARCHAR CHAR BYTES DATE TIME TIMESTAMP
	TIMESTAMP_LTZ ARRAY MAP ROW SECOND MINUTE HOUR DAY MONTH YEAR ASC DESC NULLS FIRST LAST`)
