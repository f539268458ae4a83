//go:build storage

package tidemill_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/s3"
)

// SQL on tables in S3, on the server that make test-storage starts.

// openS3 opens an engine that reads and writes there; ${dir} is a directory of the
// test's own.
func openS3(t *testing.T, secret string) *engine {
	t.Helper()
	settings := map[string]string{
		"worker.slots": "2", "io.tmp.dir": t.TempDir(), "s3.path.style.access": "true", "s3.secret-key": secret,
		"s3.endpoint": storageEnv(t, "TIDEMILL_S3_ENDPOINT"), "s3.access-key": storageEnv(t, "TIDEMILL_S3_ACCESS_KEY"),
	}
	e, err := tidemill.Embedded(t.Context(), tidemill.Options{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	s, err := e.Open(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), e.Close()); err != nil {
			t.Error(err)
		}
	})
	dir := "s3://" + storageEnv(t, "TIDEMILL_S3_BUCKET") + "/" + strings.ToLower(rand.Text())
	return &engine{t: t, session: s, dir: dir}
}

func storageEnv(t *testing.T, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Fatalf("%s is not set; run: make test-storage", name)
	}
	return v
}

func TestStorageTables(t *testing.T) {
	e := openS3(t, storageEnv(t, "TIDEMILL_S3_SECRET_KEY"))
	e.storyOfTables("parquet")
	leftovers(t, newS3(t), e.dir)
}

// storyOfTables makes a table of a query and a partitioned one in a format, reads,
// appends, and overwrites by static and dynamic partitions.
func (e *engine) storyOfTables(format string) {
	e.t.Helper()
	e.expect(`
		CREATE TABLE logs WITH ('connector' = 'filesystem', 'path' = '${dir}/logs', 'format' = 'parquet')
			AS SELECT * FROM (VALUES ('m1', 1), ('m2', 2), ('t1', 1)) AS v (msg, lvl);
		SELECT msg, lvl FROM logs`, "m1 1", "m2 2", "t1 1")
	e.expect("SELECT COUNT(*), MAX(msg) FROM '${dir}/logs/*.parquet'", "3 t1")
	e.expect(`
		CREATE TABLE days (msg STRING, lvl INT, d STRING) PARTITIONED BY (d)
			WITH ('connector' = 'filesystem', 'path' = '${dir}/days', 'format' = '`+format+`');
		INSERT INTO days SELECT msg, lvl, 'mon' FROM logs;
		INSERT INTO days SELECT msg, lvl + 10, 'a b%/c' FROM logs;
		SELECT d, COUNT(*), SUM(lvl) FROM days GROUP BY d`, "a b%/c 3 34", "mon 3 4")
	e.expect(`
		INSERT OVERWRITE days PARTITION (d = 'mon') VALUES ('new', 7);
		SELECT d, COUNT(*), SUM(lvl) FROM days GROUP BY d`, "a b%/c 3 34", "mon 1 7")
	e.expect(`
		INSERT OVERWRITE days SELECT msg, lvl * 2, d FROM days WHERE d <> 'mon';
		SELECT d, COUNT(*), SUM(lvl) FROM days GROUP BY d`, "a b%/c 3 68", "mon 1 7")
}

// leftovers checks that publication left neither journals nor hidden files below a
// directory.
func leftovers(t *testing.T, fsys fs.FileSystem, dir string) {
	t.Helper()
	_, dir = fs.SplitURI(dir)
	err := fsys.List(t.Context(), dir, fs.ListOptions{Recursive: true, Staged: true}, func(i fs.Info) error {
		if strings.Contains(i.Path, "/"+fs.StagedPrefix) || strings.HasPrefix(i.Name(), "_tidemill-") {
			t.Errorf("left behind: %s", i.Path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// newS3 is the server's file system by itself.
func newS3(t *testing.T) fs.FileSystem {
	t.Helper()
	f, err := s3.New(s3.Options{
		Endpoint: storageEnv(t, "TIDEMILL_S3_ENDPOINT"), PathStyle: true,
		AccessKey: storageEnv(t, "TIDEMILL_S3_ACCESS_KEY"), SecretKey: config.Secret(storageEnv(t, "TIDEMILL_S3_SECRET_KEY")),
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A job that fails leaves the table as it was.
func TestStorageFailedInsert(t *testing.T) {
	e := openS3(t, storageEnv(t, "TIDEMILL_S3_SECRET_KEY"))
	e.expect(`
		CREATE TABLE one WITH ('connector' = 'filesystem', 'path' = '${dir}/one', 'format' = 'parquet') AS SELECT 1 AS x;
		SELECT x FROM one`, "1")
	if _, err := e.execute("INSERT OVERWRITE one SELECT 1 / (x - 1) FROM one"); err == nil {
		t.Fatal("divided by zero")
	}
	e.expect("SELECT x FROM one", "1")
	leftovers(t, newS3(t), e.dir)
}

// More text than two blocks, cut into spans: what is read ahead must fit together.
func TestStorageText(t *testing.T) {
	e := openS3(t, storageEnv(t, "TIDEMILL_S3_SECRET_KEY"))
	const rows = 1_000_000
	e.expect(fmt.Sprintf(`
		CREATE TABLE gen (id BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '%d', 'rows-per-second' = '0',
			'fields.id.kind' = 'sequence', 'fields.id.start' = '1', 'fields.id.end' = '%d');
		CREATE TABLE text (id BIGINT, pad STRING) WITH ('connector' = 'filesystem', 'path' = '${dir}/text', 'format' = 'csv');
		INSERT INTO text SELECT id, 'some more text to fill blocks' FROM gen;
		SELECT COUNT(*), SUM(id), COUNT(DISTINCT pad) FROM text`, rows, rows), fmt.Sprintf("%d %d 1", rows, rows*(rows+1)/2))
}

// Refused credentials end a query at once with an error that says where, and not
// with what.
func TestStorageDenied(t *testing.T) {
	const secret = "not-the-secret"
	e := openS3(t, secret)
	_, err := e.execute("SELECT * FROM '${dir}/x.parquet'")
	if failure.Of(err) != failure.Unauthorized || !strings.Contains(err.Error(), storageEnv(t, "TIDEMILL_S3_BUCKET")+"/") ||
		strings.Contains(err.Error(), secret) {
		t.Fatalf("%s: %v", failure.Of(err), err)
	}
	rows, err := e.execute("SET")
	if err != nil || !slices.Contains(rows, "s3.secret-key ***") {
		t.Fatalf("%q, %v", rows, err)
	}
}
