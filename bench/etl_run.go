package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// etlRun is one job of ETL while it is measured.
type etlRun struct {
	job
	options ETLOptions
	engines []*engine // ours, DuckDB
	// want is what DuckDB says of the query's rows, once it was asked.
	want string
}

func (r *etlRun) trial(ctx context.Context) trial {
	return trial{
		name: r.name,
		text: func(engine int) string {
			if engine == 0 {
				return fmt.Sprintf("INSERT OVERWRITE out_%s %s", r.name, r.query)
			}
			return r.copy()
		},
		prepare: func(engine int) error {
			if err := r.prepare(engine); err != nil {
				return fmt.Errorf("prepare: %w", err)
			}
			return nil
		},
		check: func(engine int, _, _ string) error { return r.check(ctx, engine) },
	}
}

// output is where an engine writes.
func (r *etlRun) output(engine int) string {
	name := filepath.Join(r.options.Scratch, []string{"tidemill-", "duckdb-"}[engine]+r.name)
	if engine == 1 && r.partition == "" {
		return name + ".parquet"
	}
	return name
}

func (r *etlRun) removeOutputs() error {
	return errors.Join(os.RemoveAll(r.output(0)), os.RemoveAll(r.output(1)))
}

// copy is DuckDB's statement.
func (r *etlRun) copy() string {
	options := "FORMAT parquet"
	if r.partition != "" {
		options += ", PARTITION_BY (" + r.partition + ")"
	}
	return fmt.Sprintf("COPY (%s) TO %s (%s)", r.query, quote(r.output(1)), options)
}

// prepare takes away what the engine wrote before; the first time it makes the
// tables of the job, and its input where that is text.
func (r *etlRun) prepare(engine int) error {
	if r.want == "" {
		if err := errors.Join(r.removeOutputs(), r.makeTables()); err != nil {
			return err
		}
		answer, err := r.engines[1].ask(Request{SQL: summary + "(" + r.query + ")"})
		if err != nil {
			return fmt.Errorf("ask what is to come: %w", err)
		}
		r.want = answer.CSV
	}
	return os.RemoveAll(r.output(engine))
}

func (r *etlRun) makeTables() error {
	by := ""
	if r.partition != "" {
		by = "PARTITIONED BY (" + r.partition + ")"
	}
	// What is sorted must be one file, however large.
	text := fmt.Sprintf("CREATE TABLE out_%s (%s) %s WITH ('connector' = 'filesystem', 'path' = %s, 'format' = 'parquet', "+
		"'sink.rolling-policy.file-size' = '1tb')", r.name, r.columns, by, quote(r.output(0)))
	if _, err := r.engines[0].ask(Request{SQL: text}); err != nil || r.input == "" {
		return err
	}
	file, err := r.makeInput()
	if err != nil {
		return err
	}
	header := map[string]string{"csv": ", 'csv.header' = 'false'"}[r.input]
	text = fmt.Sprintf("CREATE TABLE source_%s (%s) WITH ('connector' = 'filesystem', 'path' = %s, 'format' = '%s'%s)",
		r.input, lineitemColumns, quote(filepath.Dir(file)), r.input, header)
	if _, err := r.engines[0].ask(Request{SQL: text}); err != nil {
		return err
	}
	var pairs []string
	for _, column := range strings.Split(strings.ReplaceAll(lineitemColumns, "(15, 2)", "(15;2)"), ", ") {
		name, kind, _ := strings.Cut(column, " ")
		pairs = append(pairs, fmt.Sprintf("'%s': '%s'", name, strings.ReplaceAll(kind, ";", ",")))
	}
	read := map[string]string{
		"csv":  "read_csv(%s, header = false, columns = {%s})",
		"json": "read_json(%s, format = 'newline_delimited', columns = {%s})",
	}[r.input]
	_, err = r.engines[1].ask(Request{SQL: fmt.Sprintf("CREATE OR REPLACE VIEW source_%s AS SELECT * FROM "+read, r.input, quote(file), strings.Join(pairs, ", "))})
	return err
}

// makeInput has DuckDB write lineitem as text unless it is there, and returns the
// file, which is alone in its directory.
func (r *etlRun) makeInput() (string, error) {
	dir := filepath.Join(r.options.Scratch, "lineitem-"+r.input)
	file := filepath.Join(dir, "lineitem."+r.input)
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	options := map[string]string{"csv": "FORMAT csv, HEADER false", "json": "FORMAT json"}[r.input]
	part := filepath.Join(r.options.Scratch, "lineitem.part")
	if _, err := r.engines[1].ask(Request{SQL: fmt.Sprintf("COPY lineitem TO %s (%s)", quote(part), options)}); err != nil {
		return "", err
	}
	return file, os.Rename(part, file)
}

// summary is what is compared of rows.
const summary = `SELECT COUNT(*) AS n, SUM(l_extendedprice) AS price, SUM(l_quantity) AS quantity, MIN(l_shipdate) AS a, MAX(l_shipdate) AS b FROM `

// check has DuckDB read what an engine wrote, and looks at its order.
func (r *etlRun) check(ctx context.Context, engine int) error {
	files := r.output(engine)
	if !strings.HasSuffix(files, ".parquet") {
		files += "/**/*.parquet"
	}
	answer, err := r.engines[1].ask(Request{SQL: summary + "read_parquet(" + quote(files) + ")"})
	if err != nil {
		return fmt.Errorf("read the output: %w", err)
	}
	if answer.CSV != r.want {
		return fmt.Errorf("the output is %q, the query's rows are %q", answer.CSV, r.want)
	}
	if r.sorted == nil {
		return nil
	}
	return inOrder(ctx, r.output(engine), r.sorted)
}
