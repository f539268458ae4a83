package logictest

import (
	"strings"
	"testing"
)

const oracled = `statement ok
CREATE TEMPORARY VIEW v AS SELECT 1 AS a

oracle CREATE TABLE t AS SELECT 1
statement ok
CREATE TABLE t (a INT) WITH ('connector' = 'datagen')

query TR
SELECT 'x', 0.5
----
x | 0.5
NULL | NULL

nooracle another calendar
query I
SELECT 2
----
2

statement error SQL-2001 .
SELECT nope

oracle SELECT 3
query I
SELECT 3 FROM '${dir}/x.csv'
----
3
`

func TestOracleScript(t *testing.T) {
	s, err := readScript(write(t, t.TempDir(), "a.slt", oracled))
	if err != nil {
		t.Fatal(err)
	}
	input, asked := oracleScript(s, "D")
	want := `.print "@@record 0"
CREATE TEMPORARY VIEW v AS SELECT 1 AS a;
.print "@@record 1"
CREATE TABLE t AS SELECT 1;
.print "@@record 2"
SELECT 'x', 0.5;
.print "@@record 3"
SELECT 3;
`
	if got := strings.TrimPrefix(input, oraclePrelude); got != want || len(asked) != 4 {
		t.Errorf("%d records\n%s", len(asked), got)
	}
}

func TestAgainst(t *testing.T) {
	rec := record{kind: queryRecord, types: "TRB", order: rowOrder, want: []string{"NULL | NaN | NULL", `(empty) | 0.5 | TRUE`, `a,\n\| b | -Infinity | FALSE`}}
	answer := "\"a,\n| b\",-inf,false\r\n\"\",0.5,true\r\n<null>,nan,<null>\r\n"
	if d := rec.against(answer); d != "" {
		t.Error(d)
	}
	for _, wrong := range []string{"", strings.Replace(answer, "0.5", "0.6", 1), "\"a", strings.Replace(answer, "true", "<null>", 1)} {
		if rec.against(wrong) == "" {
			t.Errorf("%q is right", wrong)
		}
	}
}

// Somebody asked for the oracle: not finding it is no reason to pass.
func TestMissingOracleFails(t *testing.T) {
	dir := t.TempDir()
	s, err := readScript(write(t, dir, "a.slt", oracled))
	if err != nil {
		t.Fatal(err)
	}
	if problems := askOracle(t.Context(), dir+"/nowhere", s, dir); len(problems) != 1 || !strings.Contains(problems[0], "start the oracle") {
		t.Errorf("%q", problems)
	}
}

func TestAgainstKeepsEmptyTexts(t *testing.T) {
	rec := record{kind: queryRecord, types: "T", order: exactOrder, want: []string{"(empty)", `a\n\nb`, "(empty)"}}
	if d := rec.against("\r\n\"a\n\nb\"\r\n\r\n"); d != "" {
		t.Error(d)
	}
}
