package joblog

// What is kept of a log: lines about jobs, the newest, within all three bounds.

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/id"
)

func texts(r *Ring, j id.Job, most int) (out []string) {
	for _, l := range r.Lines(j, most) {
		out = append(out, l.GetText())
	}
	return out
}

func TestLinesAboutJobs(t *testing.T) {
	j := id.NewJob()
	var passed bytes.Buffer
	next := slog.NewTextHandler(&passed, &slog.HandlerOptions{Level: slog.LevelWarn})
	r := New(Options{Node: "w-1"})
	log := slog.New(r.Handler(next))
	log.Info("by value", "job", j, "n", 3)
	log.Info("by text", "job", j.String(), "error", "disk is full")
	log.With("job", j, "worker", "w").WithGroup("task").Info("by logger", "attempt", "0.1#2", slog.Group("x", "y", 1))
	log.Info("about nothing", "job", "etl")
	log.WithGroup("g").Info("another's job", "job", j)
	log.Debug("too low", "job", j)
	log.Warn("loud", "job", j)
	want := []string{
		`by value n=3`, `by text error="disk is full"`, `by logger worker=w task.attempt=0.1#2 task.x.y=1`, `loud`,
	}
	if got := texts(r, j, 0); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("kept\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := texts(r, j, 1); fmt.Sprint(got) != "[loud]" {
		t.Fatalf("the newest line: %v", got)
	}
	if l := r.Lines(j, 1)[0]; l.GetNode() != "w-1" || l.GetLevel() != "WARN" || l.GetAt() == 0 {
		t.Fatalf("%v", l)
	}
	if got := passed.String(); !strings.Contains(got, "loud") || strings.Contains(got, "by value") {
		t.Fatalf("passed on: %s", got)
	}
}

func TestBounds(t *testing.T) {
	r := New(Options{Jobs: 2, Lines: 3, Bytes: 40})
	log := slog.New(r.Handler(slog.DiscardHandler))
	a, b, c := id.NewJob(), id.NewJob(), id.NewJob()
	for i := range 5 {
		log.Info("line", "job", a, "i", i)
	}
	if got := texts(r, a, 0); fmt.Sprint(got) != "[line i=2 line i=3 line i=4]" {
		t.Fatalf("lines: %v", got)
	}
	log.Info(strings.Repeat("x", 100), "job", a)
	if got := texts(r, a, 0); len(got) != 1 || len(got[0]) != 40 {
		t.Fatalf("a long line: %v", got)
	}
	log.Info("first", "job", b)
	log.Info("again", "job", a)
	log.Info("third job", "job", c)
	if texts(r, b, 0) != nil || texts(r, a, 0) == nil || texts(r, c, 0) == nil {
		t.Fatal("the job that was silent longest is not the one forgotten")
	}
	if len(r.jobs) != 2 || r.order.Len() != 2 {
		t.Fatalf("%d jobs", len(r.jobs))
	}
}
