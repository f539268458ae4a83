package tidemill_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// The options of a table are checked when it is created, with their place, and not
// when it is read or written for the first time; a refused one leaves no table.
func TestOptionsAreCheckedAtCreate(t *testing.T) {
	e := open(t, nil)
	for _, c := range []struct{ with, want string }{
		{"'connector' = 'filesystem', 'path' = 'x', 'fromat' = 'csv'", "unknown option 'fromat' of connector filesystem; did you mean 'format'?|'fromat' = 'csv'"},
		{"'connector' = 'filesystem', 'format' = 'csv'", "option 'path' is missing|t"},
		{"'connector' = 'filesystem', 'path' = 'nofs://x', 'format' = 'csv'", "nofs|"},
		{"'connector' = 'filesystem', 'path' = 'x', 'format' = 'cvs'", `unknown format "cvs"|'format' = 'cvs'`},
		{"'connector' = 'filesystem', 'path' = 'x', 'format' = 'csv', 'sink.rolling-policy.file-size' = 'big'", "is not a size|'sink.rolling-policy.file-size' = 'big'"},
		{"'connector' = 'filesystem', 'path' = 'x', 'format' = 'csv', 'source.allow-missing-columns' = 'x'", "is not true or false|'source.allow-missing-columns' = 'x'"},
		{"'connector' = 'filesystem', 'path' = 'x', 'format' = 'csv', 'csv.headr' = 'true'", "did you mean csv.header?|'csv.headr' = 'true'"},
		{"'connector' = 'filesystem', 'path' = 'x', 'format' = 'csv', 'csv.header' = 'perhaps'", "want auto, true or false|'csv.header' = 'perhaps'"},
		{"'connector' = 'filesystem', 'path' = 'x', 'format' = 'csv', 'parquet.compression' = 'zstd'", "is not one of format csv|'parquet.compression' = 'zstd'"},
		{"'connector' = 'filesystem', 'path' = 'x', 'format' = 'json', 'json.ignore-parse-errors' = '3'", "want true or false|'json.ignore-parse-errors' = '3'"},
		{"'connector' = 'filesystem', 'path' = 'x', 'format' = 'arrow', 'arrow.compression' = 'rar'", "want none, lz4 or zstd|'arrow.compression' = 'rar'"},
		{"'connector' = 'filesystem', 'path' = 'x', 'format' = 'parquet', 'parquet.row-group-rows' = '0'", "want a number from 1|'parquet.row-group-rows' = '0'"},
		{"'connector' = 'filesystem', 'path' = 'x', 'format' = 'parquet', 'parquet.bloom.columns' = 'name,idd'", "there is no column idd that can have a bloom filter; did you mean id?|'parquet.bloom.columns' = 'name,idd'"},
		{"'connector' = 'datagen', 'rows-per-secnd' = '1'", "unknown option 'rows-per-secnd' of connector datagen; did you mean 'rows-per-second'?|'rows-per-secnd' = '1'"},
		{"'connector' = 'datagen', 'fields.id.min' = 'x'", "is not a whole number|'fields.id.min' = 'x'"},
		{"'connector' = 'blackhole', 'path' = 'x'", "has no option 'path'|'path' = 'x'"},
	} {
		message, excerpt, _ := strings.Cut(c.want, "|")
		for _, statement := range []string{"CREATE TABLE t (id INT, name STRING) WITH (" + c.with + ")", "CREATE TABLE t WITH (" + c.with + ") AS SELECT 1 AS id, 'x' AS name"} {
			_, err := e.execute(statement)
			if err == nil || !strings.Contains(err.Error(), message) {
				t.Errorf("%s: %v", statement, err)
			} else if place := placeOf(t, err, statement); excerpt != "" && place != excerpt {
				t.Errorf("%s: the error is at %q, not %q", statement, place, excerpt)
			}
		}
		if _, err := e.execute("DROP TABLE t"); err == nil {
			t.Errorf("%s left a table behind", c.with)
		}
	}
	e.expect(`CREATE TABLE t (id INT, p INT, tags ARRAY<STRING>) PARTITIONED BY (p) WITH ('connector' = 'filesystem', 'path' = '${dir}/t',
		'format' = 'parquet', 'parquet.bloom.columns' = 'id, tags.list.element', 'parquet.compression' = 'ZSTD')`)
	if _, err := e.execute("CREATE TABLE q (id INT, p INT) PARTITIONED BY (p) WITH ('connector' = 'filesystem', 'path' = 'q', 'format' = 'parquet', 'parquet.bloom.columns' = 'p')"); err == nil {
		t.Error("a partition column, which files do not hold, got a bloom filter")
	}
	if _, err := e.execute("INSERT INTO '${dir}/u.parquet' /*+ OPTIONS('parquet.bloom.columns' = 'y') */ SELECT 1 AS x"); err == nil || !strings.Contains(err.Error(), "no column y") {
		t.Errorf("a hint: %v", err)
	}
}

// placeOf is the text that an error of a statement points at.
func placeOf(t *testing.T, err error, text string) string {
	t.Helper()
	var e *sqlerr.Error
	if !errors.As(err, &e) {
		t.Errorf("not an error of the statement: %v", err)
		return ""
	}
	return text[e.Offset : e.Offset+e.Length]
}
