package fuzz

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	fieldEnd = "\x1f"
	rowEnd   = "\x1e"
	nullMark = "\x01"
	nextMark = "@@next"
	doneMark = "@@done"
	// duckPrelude makes DuckDB print values plainly, and think of nulls and
	// division as Flink does. A header tells an empty answer from an error. Its
	// optimizer is off: it takes date_trunc('year', NULL) = x for FALSE.
	duckPrelude = `.bail off
.mode list
.headers on
.separator "\037" "\036"
.nullvalue "\001"
SET threads = 1;
SET memory_limit = '1GB';
SET TimeZone = 'UTC';
SET default_null_order = 'NULLS_FIRST_ON_ASC_LAST_ON_DESC';
SET integer_division = true;
PRAGMA disable_optimizer;
`
)

// answer is what one side says to a statement.
type answer struct {
	rows    [][]string
	failure string // "" if there is none
	spilled int64  // bytes
}

// duckProcess is DuckDB's command line, kept for many statements. One goroutine
// uses it.
type duckProcess struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	errors *os.File // what it says to standard error, read behind its answers
}

func startDuck(ctx context.Context, binary, dir string) (*duckProcess, error) {
	p := &duckProcess{cmd: exec.CommandContext(ctx, binary, "-batch", "-init", os.DevNull)}
	var err error
	if p.errors, err = os.Create(filepath.Join(dir, "duckdb.errors")); err != nil {
		return nil, fmt.Errorf("create the file of DuckDB's errors: %w", err)
	}
	p.cmd.Stderr = p.errors
	p.in, err = p.cmd.StdinPipe()
	if err == nil {
		var out io.ReadCloser
		out, err = p.cmd.StdoutPipe()
		p.out = bufio.NewReaderSize(out, 1<<20)
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start DuckDB: %w", err), p.errors.Close())
	}
	if _, err := p.ask(nil, duckPrelude); err != nil {
		return nil, errors.Join(fmt.Errorf("start DuckDB: %w", err), p.close())
	}
	return p, nil
}

func (p *duckProcess) close() error {
	err := p.in.Close()
	var status *exec.ExitError // not 0 once a statement has failed
	if failed := p.cmd.Wait(); failed != nil && !errors.As(failed, &status) {
		err = errors.Join(err, fmt.Errorf("end DuckDB: %w", failed))
	}
	return errors.Join(err, p.errors.Close())
}

// ask runs queries, after a text of statements without answers.
func (p *duckProcess) ask(queries []string, before string) ([]answer, error) {
	var b strings.Builder
	b.WriteString(before)
	for _, q := range queries {
		b.WriteString(".print " + nextMark + "\n" + q + ";\n")
	}
	b.WriteString(".print " + nextMark + "\n.print " + doneMark + "\n")
	written := make(chan error, 1)
	go func() {
		_, err := io.WriteString(p.in, b.String())
		written <- err
	}()
	said, err := p.read()
	if err := errors.Join(err, <-written); err != nil {
		return nil, fmt.Errorf("ask DuckDB: %w", err)
	}
	failures, err := p.failures()
	if err != nil {
		return nil, err
	}
	sections := strings.Split(said, nextMark+"\n")
	if len(sections) != len(queries)+2 {
		return nil, fmt.Errorf("DuckDB gave %d answers to %d queries", len(sections)-2, len(queries))
	}
	answers := make([]answer, len(queries))
	for i := range answers {
		section := sections[i+1]
		if section != "" {
			answers[i].rows = splitRows(section)
			continue
		}
		answers[i].failure = "an error"
		if len(failures) > 0 {
			answers[i].failure, failures = failures[0], failures[1:]
		}
	}
	if len(failures) > 0 {
		return nil, fmt.Errorf("DuckDB: %s", strings.Join(failures, "\n"))
	}
	return answers, nil
}

// read takes what DuckDB says up to the mark of the end.
func (p *duckProcess) read() (string, error) {
	var b strings.Builder
	for {
		line, err := p.out.ReadString('\n')
		if err != nil {
			return "", fmt.Errorf("read its answers: %w", err)
		}
		if strings.HasSuffix(line, doneMark+"\n") {
			return strings.TrimSuffix(b.String()+line, doneMark+"\n"), nil
		}
		b.WriteString(line)
	}
}

var duckError = regexp.MustCompile(`(?m)^[A-Z][A-Za-z -]* Error: .*$`)

// failures are the errors since the last call, the first line of each.
func (p *duckProcess) failures() ([]string, error) {
	name := p.errors.Name()
	said, err := os.ReadFile(name)
	if err == nil && len(said) > 0 {
		err = p.errors.Truncate(0)
		if err == nil {
			_, err = p.errors.Seek(0, io.SeekStart)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read DuckDB's errors: %w", err)
	}
	return duckError.FindAllString(string(said), -1), nil
}

// splitRows takes a section apart and drops its header.
func splitRows(section string) [][]string {
	lines := strings.Split(strings.TrimSuffix(section, rowEnd), rowEnd)[1:]
	rows := make([][]string, len(lines))
	for i, line := range lines {
		rows[i] = strings.Split(line, fieldEnd)
	}
	return rows
}
