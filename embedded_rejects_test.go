package tidemill_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/failure"
)

const rejectsTable = `CREATE TABLE bad (source_table STRING, place STRING, error STRING, raw STRING, rejected_at TIMESTAMP_LTZ(3))
	WITH ('connector' = 'filesystem', 'path' = '${dir}/bad', 'format' = 'json');
	`

// Messages that are no rows, or have no time, go to the rejects table, exactly once, through
// checkpoints of a streaming job.
func TestKafkaRejects(t *testing.T) {
	e := open(t, map[string]string{"parallelism.default": "2"})
	k := inProcess(t)
	k.create(3, "in", "out", "dead")
	text := func(i int) string {
		switch i % 10 {
		case 3:
			return fmt.Sprintf(`{"n":%d,`, i)
		case 4:
			return fmt.Sprintf(`{"n":%d}`, i)
		}
		return fmt.Sprintf(`{"n":%d,"ts":"2024-01-01 00:00:00"}`, i)
	}
	k.send("in", 3, 0, 3000, text)
	exactly := func(name string) []string {
		return []string{"sink.delivery-guarantee = exactly-once", "sink.transactional-id-prefix = " + name}
	}
	_, err := e.execute(streamingEverySecond +
		k.table("dead", "place STRING, error STRING, raw STRING", "dead", exactly("dead")...) +
		k.table("a", "n BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts", "in", "scan.startup.mode = earliest-offset", "scan.bounded.mode = latest-offset", "rejects.table = dead") +
		k.table("b", "n BIGINT", "out", exactly("copy")...) +
		"INSERT INTO b SELECT n FROM a WHERE ts IS NOT NULL")
	if err != nil {
		t.Fatal(err)
	}
	good := k.committed("out", 2400)
	dead := k.committed("dead", 600)
	if n := len(slices.Compact(slices.Clone(good))); len(good) != 2400 || n != 2400 {
		t.Errorf("%d rows, %d of them different", len(good), n)
	}
	if n := len(slices.Compact(slices.Clone(dead))); len(dead) != 600 || n != 600 {
		t.Errorf("%d rejected, %d of them different", len(dead), n)
	}
	torn := slices.DeleteFunc(slices.Clone(dead), func(d string) bool { return !strings.Contains(d, `"place":"topic in, partition `) })
	timeless := slices.DeleteFunc(slices.Clone(dead), func(d string) bool { return !strings.Contains(d, "event time column ts is null") })
	if len(torn) != 300 || len(timeless) != 300 {
		t.Errorf("%d malformed and %d without a time, such as %s", len(torn), len(timeless), dead[0])
	}
}

// The table of the session takes the records of tables that do not say themselves; one that
// says none fails, and so does the limit of a table.
func TestRejectsOfTheSession(t *testing.T) {
	for _, mode := range []string{"batch", "streaming"} {
		e := open(t, map[string]string{"execution.runtime-mode": mode})
		if err := os.WriteFile(filepath.Join(e.dir, "in.csv"), []byte("id,n\n1,2\nx,3\n4,y\n5,6\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		with := " WITH ('connector' = 'filesystem', 'path' = '${dir}/in.csv', 'format' = 'csv'"
		e.expect(rejectsTable + "SET 'table.exec.source.rejects-table' = 'bad';" +
			"CREATE TABLE a (id INT, n INT)" + with + "); CREATE TABLE none (id INT, n INT)" + with + ", 'rejects.table' = '');" +
			"CREATE TABLE few (id INT, n INT)" + with + ", 'rejects.table' = 'bad', 'rejects.max' = '1');" +
			"CREATE TABLE o (id INT, n INT) WITH ('connector' = 'filesystem', 'path' = '${dir}/o', 'format' = 'csv')")
		e.expect("INSERT INTO o SELECT a.id, b.n FROM a JOIN a AS b ON a.id = b.id")
		e.expect("SELECT id, n FROM o", "1 2", "5 6")
		e.expect("SELECT DISTINCT raw, 1 FROM bad", "4,y 1", "x,3 1")
		if _, err := e.execute("INSERT INTO o SELECT * FROM none"); failure.Of(err) != failure.BadData || !strings.Contains(err.Error(), "in.csv:3") {
			t.Errorf("%s: a table without one: %v", mode, err)
		}
		if _, err := e.execute("INSERT INTO o SELECT * FROM few"); failure.Of(err) != failure.BadData || !strings.Contains(err.Error(), "more than 1 records of table") {
			t.Errorf("%s: more than are allowed: %v", mode, err)
		}
		e.expect("INSERT INTO o SELECT * FROM few /*+ OPTIONS('rejects.max' = '2') */")
		e.expect("SELECT COUNT(*) FROM o", "4")
	}
}

// Two tables of one job share a rejects table, in stages of a batch job as well; the plan shows
// what goes where.
func TestRejectsOfSeveralTables(t *testing.T) {
	e := open(t, map[string]string{"exchange.batch-retention": "job"})
	for _, name := range []string{"l", "r"} {
		if err := os.WriteFile(filepath.Join(e.dir, name+".csv"), []byte("id,n\n1,2\nx,3\n4,y"+name+"\n5,6\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e.expect(rejectsTable + `CREATE TABLE l (id INT, n INT) WITH ('connector' = 'filesystem', 'path' = '${dir}/l.csv', 'format' = 'csv', 'rejects.table' = 'bad', 'rejects.max' = '2');
		CREATE TABLE r (id INT, n INT) WITH ('connector' = 'filesystem', 'path' = '${dir}/r.csv', 'format' = 'csv', 'rejects.table' = 'bad');
		CREATE TABLE o (id INT, n INT) WITH ('connector' = 'filesystem', 'path' = '${dir}/o', 'format' = 'csv')`)
	const insert = "INSERT INTO o SELECT l.id, SUM(l.n + r.n) FROM l JOIN r ON l.id = r.id GROUP BY l.id"
	plan, err := e.execute("EXPLAIN " + insert)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"sends rejected records to vertex", "of rejected records, retention job", "RejectLimit 2 of default_catalog.default_database.l",
		"Insert into default_catalog.default_database.bad",
	} {
		if !strings.Contains(strings.Join(plan, "\n"), want) {
			t.Errorf("the plan does not say %q:\n%s", want, strings.Join(plan, "\n"))
		}
	}
	e.expect(insert)
	e.expect("SELECT id, n FROM o", "1 4", "5 12")
	e.expect("SELECT source_table, raw FROM bad", "default_catalog.default_database.l 4,yl", "default_catalog.default_database.l x,3",
		"default_catalog.default_database.r 4,yr", "default_catalog.default_database.r x,3")
	plan, err = e.execute("EXPLAIN SELECT * FROM l")
	if err != nil || !strings.Contains(strings.Join(plan, "\n"), "leaves out rejected records: a query writes no table") {
		t.Errorf("%v, %q", err, plan)
	}
}
