package tidemill_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"testing"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/memory"
)

// Queries whose operators hold several times what the worker may use: they finish,
// are right, leave nothing on disk, and the heap stays as small as promised.

// smallMemory is worker.memory.size of these tests, and what that is in bytes.
const (
	smallMemory      = "64 mb"
	smallMemoryBytes = 64 << 20
)

func openSmall(t *testing.T) *engine {
	t.Helper()
	return openSized(t, smallMemory, "2")
}

// openSized opens an engine with so much memory and so many slots.
func openSized(t *testing.T, size, slots string) *engine {
	t.Helper()
	spill := t.TempDir()
	e, err := tidemill.Embedded(t.Context(), tidemill.Options{
		Settings: map[string]string{"worker.slots": slots, "io.tmp.dir": spill, "worker.memory.size": size},
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := e.Open(t.Context(), map[string]string{"parallelism.default": slots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), e.Close()); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(spill); err != nil || len(left) > 0 {
			t.Errorf("left in the spill directory: %v, %v", left, err)
		}
	})
	return &engine{t: t, session: s, dir: t.TempDir()}
}

// resident is what the process has of the system for its heap.
func resident() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}

// watchHeap gives the collector the limit that the program gives it, beside what
// the test itself has, and returns a function that returns the most the heap
// was since. It looks at the end of each collection.
func watchHeap(t *testing.T, limit int64) (most func() uint64) {
	debug.FreeOSMemory()
	before := resident()
	old := debug.SetMemoryLimit(int64(before) + limit)
	t.Cleanup(func() { debug.SetMemoryLimit(old) })
	var peak atomic.Uint64
	var done atomic.Bool
	var look func(*[64]byte)
	look = func(*[64]byte) {
		peak.Store(max(peak.Load(), resident()))
		if !done.Load() {
			runtime.SetFinalizer(new([64]byte), look)
		}
	}
	look(nil)
	return func() uint64 {
		done.Store(true)
		return peak.Load() - min(peak.Load(), before)
	}
}

const numbers = `
	CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '400000', 'rows-per-second' = '0', 'fields.n.kind' = 'sequence');
	CREATE TABLE src (n BIGINT, s STRING) WITH ('connector' = 'filesystem', 'path' = '${dir}/src', 'format' = 'parquet');
	INSERT INTO src SELECT n, CONCAT(CAST(n * 7919 AS STRING), ' and some more that takes room') FROM numbers;`

func TestSmallMemory(t *testing.T) {
	heap, _ := memory.Divide(smallMemoryBytes)
	e := openSmall(t)
	if _, err := e.execute(numbers); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, query, want string }{
		{"a common table expression used twice", `
			WITH t AS (SELECT n / 2 AS k, SUM(n) AS q, COUNT(*) AS c, MIN(s) AS s FROM src GROUP BY n / 2)
			SELECT COUNT(*), SUM(a.q), SUM(b.c) FROM t a JOIN t b ON a.k = b.k AND a.s = b.s`, "200000 79999800000 400000"},
		{"a self-join", `SELECT COUNT(*), MAX(CHAR_LENGTH(b.s)) FROM src a JOIN src b ON a.s = b.s AND a.n = b.n`, "400000 40"},
		{"many groups", `SELECT COUNT(*), SUM(c) FROM (SELECT s, COUNT(*) AS c FROM src GROUP BY s) AS g`, "400000 400000"},
		{"distinct values of one group", `SELECT COUNT(DISTINCT s), COUNT(DISTINCT n / 2), SUM(n) FROM src`, "400000 200000 79999800000"},
		{"distinct values of a group of its own", `SELECT n * 0, COUNT(DISTINCT s) FROM src GROUP BY n * 0`, "0 400000"},
		{"one key holds all rows of a join", `SELECT COUNT(*), MIN(a.s) FROM src a JOIN src b ON a.n * 0 = b.n * 0 WHERE a.n < 5`, "2000000 0 and some more that takes room"},
		{"one key holds all rows of both sides, a limit stops it", `SELECT COUNT(*) FROM (SELECT a.s FROM src a JOIN src b ON a.n * 0 = b.n * 0 LIMIT 1000) AS f`, "1000"},
		{"a limit stops a cross join", `SELECT COUNT(*) FROM (SELECT a.s FROM src a CROSS JOIN src b LIMIT 1000) AS f`, "1000"},
		{"one key holds all rows of an aggregate", `SELECT COUNT(*), SUM(c) FROM (SELECT n * 0 AS k, COUNT(*) AS c, MAX(s) AS m FROM src GROUP BY n * 0) AS g`, "1 400000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			most := watchHeap(t, heap)
			e.t = t
			e.expect(c.query, c.want)
			if m := most(); m > uint64(heap/4*5) { // at so small a number the collector is often late
				t.Errorf("the heap grew to %d bytes, of %d", m, heap)
			}
		})
	}
}

// Joins that explode can be stopped while they do, and take no more memory than
// others.
func TestExplodingJoins(t *testing.T) {
	heap, _ := memory.Divide(smallMemoryBytes)
	e := openSmall(t)
	e.expect("CREATE TABLE src (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '10000000', 'rows-per-second' = '0', 'fields.n.kind' = 'sequence')")
	for _, query := range []string{
		"SELECT COUNT(*) FROM src a CROSS JOIN src b",
		"SELECT COUNT(*), MAX(a.n + b.n) FROM src a JOIN src b ON a.n < b.n + 20000000",
		"SELECT b.n, COUNT(*) FROM src a JOIN (SELECT n FROM src WHERE n < 100000) b ON a.n * 0 = b.n * 0 GROUP BY b.n",
		"SELECT MAX(c) FROM (SELECT COUNT(*) OVER (ORDER BY a.n + b.n) AS c FROM src a CROSS JOIN src b) AS w",
	} {
		t.Run(query, func(t *testing.T) {
			most := watchHeap(t, heap)
			e.t = t
			r := e.startStream(query)
			await(t, r, func(p client.Progress) bool { return p.RowsIn > 10_000_000 })
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := r.Next(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("the cancelled query gave %v", err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if s := r.Progress().State; s != "CANCELED" {
				t.Errorf("the cancelled query is %s", s)
			}
			if m := most(); m > uint64(heap/4*5) {
				t.Errorf("the heap grew to %d bytes, of %d", m, heap)
			}
		})
	}
}
