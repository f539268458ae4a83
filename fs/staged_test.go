package fs_test

// What a job staged and nobody published is found by the names of its files, wherever
// below a directory it lies; what others stage stays.

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/local"
)

func TestSweep(t *testing.T) {
	fsys, err := local.New(local.Options{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	r, ok := fs.RecovererOf(fsys)
	if !ok {
		t.Fatal("nothing can be staged")
	}
	for _, path := range []string{"/t/part-a-1", "/t/x=1/part-a-2", "/t/x=1/part-b-1", "/u/part-a-3"} {
		w, err := r.CreateRecoverable(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := fs.WriteFile(t.Context(), fsys, "/t/part-a-0", []byte("published"), fs.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := fs.Sweep(t.Context(), fsys, "/t", "part-a-"); err != nil {
		t.Fatal(err)
	}
	var left []string
	err = fsys.List(t.Context(), "/", fs.ListOptions{Recursive: true, Staged: true}, func(i fs.Info) error {
		name := i.Path
		if fs.Staged(i.Name()) {
			name = name[:strings.LastIndexByte(name, '-')]
		}
		left = append(left, name)
		return nil
	})
	if err != nil || fmt.Sprint(left) != "[/t/part-a-0 /t/x=1/.tm-part-b-1 /u/.tm-part-a-3]" {
		t.Fatal(left, err)
	}
	if err := fs.Sweep(t.Context(), fsys, "/nowhere", "part-a-"); err != nil {
		t.Fatal(err)
	}
}

func TestStagedName(t *testing.T) {
	long := strings.Repeat("x", 255)
	if n := fs.StagedName(long); len(n) > 255 || !fs.Staged(n) || n == fs.StagedName(long) {
		t.Fatal(n)
	}
}
