package tidemill_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/sql/parser"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/memfs"
)

// stuck is a file system in which one operation, from a given call on, waits until
// its context ends.
type stuck struct {
	fs.FileSystem
	operation string
	after     int // calls that are answered
	waits     chan struct{}
}

// pass answers, or waits for ctx and returns its error.
func (s *stuck) pass(ctx context.Context, operation string) error {
	if s.operation != operation {
		return nil
	}
	if s.after--; s.after >= 0 {
		return nil
	}
	if s.after == -1 {
		close(s.waits)
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *stuck) Stat(ctx context.Context, p string) (fs.Info, error) {
	if err := s.pass(ctx, "stat"); err != nil {
		return fs.Info{}, err
	}
	return s.FileSystem.Stat(ctx, p)
}

func (s *stuck) List(ctx context.Context, dir string, o fs.ListOptions, visit func(fs.Info) error) error {
	if err := s.pass(ctx, "list"); err != nil {
		return err
	}
	return s.FileSystem.List(ctx, dir, o, visit)
}

func (s *stuck) Open(ctx context.Context, p string) (fs.File, error) {
	if err := s.pass(ctx, "open"); err != nil {
		return nil, err
	}
	f, err := s.FileSystem.Open(ctx, p)
	return &stuckFile{File: f, ctx: ctx, s: s}, err
}

type stuckFile struct {
	fs.File
	ctx context.Context
	s   *stuck
}

func (f *stuckFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.s.pass(f.ctx, "read"); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

// Planning ends with its context wherever it waits for files, also where it would do
// without their answer: it submits no job, and the first Ctrl-C is enough.
func TestPlanningEndsWithItsContext(t *testing.T) {
	for _, c := range []struct {
		operation string
		after     int
		statement string
	}{
		{"stat", 0, "SELECT * FROM 'stuck://d/0.csv'"},
		{"list", 0, "SELECT * FROM 'stuck://d'"},
		{"open", 0, "SELECT * FROM 'stuck://d'"},
		{"read", 0, "SELECT * FROM 'stuck://d'"},
		{"list", 1, "SELECT * FROM t WHERE a = 1"}, // asked again with the predicate
		{"list", 0, "INSERT INTO t VALUES (1)"},    // only for wrong options
		{"list", 1, "CREATE TABLE u WITH ('connector' = 'filesystem', 'path' = 'stuck://d', 'format' = 'csv') AS SELECT * FROM t"},
		{"list", 0, "ANALYZE TABLE t COMPUTE STATISTICS"},
		{"list", 0, "EXPLAIN SELECT * FROM t"},
		{"list", 0, "DESCRIBE EXTENDED t"},
	} {
		t.Run(fmt.Sprint(c.operation, c.after, c.statement), func(t *testing.T) {
			memory := memfs.New(memfs.Options{})
			w, err := memory.Create(t.Context(), "d/0.csv", fs.CreateOptions{})
			if err == nil {
				_, err = w.Write([]byte("1\n2\n"))
			}
			if err := errors.Join(err, w.Commit(t.Context())); err != nil {
				t.Fatal(err)
			}
			registry, err := tidemill.Builtins(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer registry.Close()
			s := &stuck{FileSystem: memory, operation: c.operation, after: c.after, waits: make(chan struct{})}
			if err := registry.FileSystems.Register("stuck", s); err != nil {
				t.Fatal(err)
			}
			e, err := tidemill.Embedded(t.Context(), tidemill.Options{Registry: registry})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			session, err := e.Open(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			ctx, cancel := context.WithCancel(t.Context())
			script := "CREATE TABLE t (a INT) WITH ('connector' = 'filesystem', 'path' = 'stuck://d', 'format' = 'csv'); " + c.statement
			statements, err := parser.ParseScript(script)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := session.Execute(ctx, script, statements[0]); err != nil {
				t.Fatal(err)
			}
			go func() {
				<-s.waits
				cancel()
			}()
			if _, err = session.Execute(ctx, script, statements[1]); failure.Of(err) != failure.Cancelled || !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			statements, err = parser.ParseScript("SHOW JOBS")
			if err != nil {
				t.Fatal(err)
			}
			jobs, err := session.Execute(t.Context(), "SHOW JOBS", statements[0])
			if err != nil {
				t.Fatal(err)
			}
			if rows, err := read(t.Context(), jobs); err != nil || len(rows) > 0 {
				t.Errorf("a job was started: %q, %v", rows, err)
			}
		})
	}
}
