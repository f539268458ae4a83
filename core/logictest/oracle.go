package logictest

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser"
)

const (
	oracleNull   = "<null>"
	oracleMarker = "@@record "
	// oraclePrelude makes DuckDB print values plainly and think of nulls and
	// division as Flink does. The first statement that fails ends the process.
	oraclePrelude = `.bail on
.mode csv
.headers off
.nullvalue ` + oracleNull + `
SET TimeZone = 'UTC';
SET default_null_order = 'NULLS_FIRST_ON_ASC_LAST_ON_DESC';
SET integer_division = true;
`
)

// askOracle runs a file's queries in DuckDB, compares its rows with the wanted
// ones and returns what is wrong. dir is the directory of a run of the file that
// is over.
func askOracle(ctx context.Context, binary string, s *script, dir string) (problems []string) {
	if s.noOracle != "" {
		return nil
	}
	input, asked := oracleScript(s, dir)
	cmd := exec.CommandContext(ctx, binary, "-batch", "-init", os.DevNull)
	cmd.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	failed := cmd.Run()
	sections := strings.Split("\n"+stdout.String(), "\n"+oracleMarker)[1:]
	if len(sections) == 0 && failed != nil {
		return []string{fmt.Sprintf("start the oracle: %v %s", failed, stderr.Bytes())}
	}
	for i, section := range sections {
		rec := asked[i]
		_, answer, _ := strings.Cut(section, "\n")
		if failed != nil && i == len(sections)-1 {
			return append(problems, fmt.Sprintf("%s: the oracle fails: %v %s", rec.place(), failed, stderr.Bytes()))
		}
		if rec.kind != queryRecord {
			continue
		}
		if diff := rec.against(answer); diff != "" {
			problems = append(problems, fmt.Sprintf("%s: what came is the oracle's: %s\n%s", rec.place(), diff, rec.text))
		}
	}
	if len(sections) < len(asked) {
		problems = append(problems, fmt.Sprintf("the oracle answered %d of %d records", len(sections), len(asked)))
	}
	return problems
}

// oracleScript is what DuckDB runs, and the records in it, one a section.
func oracleScript(s *script, dir string) (input string, asked []*record) {
	var b strings.Builder
	b.WriteString(oraclePrelude)
	for _, rec := range s.records {
		text := rec.oracle
		if text == "" && asks(rec) {
			text = rec.text
		}
		if text == "" || rec.noOracle != "" {
			continue
		}
		fmt.Fprintf(&b, ".print %q\n%s;\n", fmt.Sprintf("%s%d", oracleMarker, len(asked)), strings.TrimRight(expand(text, s, dir), "\n; "))
		asked = append(asked, rec)
	}
	return b.String(), asked
}

// asks reports a record that DuckDB runs as it stands.
func asks(rec *record) bool {
	if rec.failure != nil || rec.kind == fileRecord {
		return false
	}
	if rec.kind == queryRecord {
		return true
	}
	statement, err := parser.ParseStatement(rec.text)
	if err != nil {
		return false
	}
	_, view := statement.(*ast.CreateView)
	return view
}

// against compares an answer in CSV with the wanted rows.
func (rec *record) against(answer string) string {
	if len(rec.types) == 1 {
		answer = quoteEmpty(answer)
	}
	r := csv.NewReader(strings.NewReader(answer))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		return fmt.Sprintf("the oracle's answer is no CSV: %v", err)
	}
	for _, row := range rows {
		for i, value := range row {
			switch letter := letterAt(rec.types, i); {
			case value == oracleNull:
				row[i] = null
			case letter == 'T' || letter == 'L':
				row[i] = escape(value)
			case letter == 'R':
				row[i] = strings.Replace(strings.Replace(value, "inf", "Infinity", 1), "nan", "NaN", 1)
			}
		}
	}
	return difference(rec.types, rec.order, rec.want, arrange(rows, rec.types, rec.order))
}

// quoteEmpty quotes the empty texts of a single column: DuckDB writes them as
// empty lines, which a CSV reader passes over.
func quoteEmpty(answer string) string {
	var b strings.Builder
	inside := false
	for line := range strings.Lines(answer) {
		if !inside && strings.TrimRight(line, "\r\n") == "" {
			line = "\"\"" + line
		}
		inside = inside != (strings.Count(line, "\"")%2 == 1)
		b.WriteString(line)
	}
	return b.String()
}
