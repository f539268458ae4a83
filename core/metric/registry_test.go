package metric_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tidemill/tidemill/core/invariant"
	"github.com/tidemill/tidemill/core/metric"
)

func TestRegistryShowsWhatScopesCreate(t *testing.T) {
	registry := metric.NewRegistry(metric.Options{})
	worker := registry.Scope(metric.L("worker", "w1"))
	task := worker.With(metric.L("subtask", "3"), metric.L("job", "etl"))

	task.Counter("rows_total", "Rows read.").Add(7)
	worker.Gauge("memory_bytes", "Bytes reserved.").Set(-5)
	worker.GaugeFunc("busy_ratio", "Share of time at work.", func() float64 { return 0.25 })
	task.Histogram("wait_seconds", "Time in the mailbox.", metric.Nanoseconds).Record(1500)

	expectText(t, registry, `
busy_ratio{worker=w1} gauge plain 0.25
memory_bytes{worker=w1} gauge plain -5
rows_total{job=etl subtask=3 worker=w1} counter plain 7
wait_seconds{job=etl subtask=3 worker=w1} histogram nanoseconds 1 values, sum 1500`)

	task.Close()
	task.Close()
	expectText(t, registry, `
busy_ratio{worker=w1} gauge plain 0.25
memory_bytes{worker=w1} gauge plain -5`)
	worker.Close()
	expectText(t, registry, "")
}

func TestOneSeriesForOneNameAndLabels(t *testing.T) {
	registry := metric.NewRegistry(metric.Options{})
	first, second := registry.Scope(metric.L("a", "1"), metric.L("b", "2")), registry.Scope(metric.L("b", "2"), metric.L("a", "1"))
	first.Counter("rows_total", "Rows.").Inc()
	second.Counter("rows_total", "Other help.").Inc()
	expectText(t, registry, "rows_total{a=1 b=2} counter plain 2")
	first.Close()
	expectText(t, registry, "rows_total{a=1 b=2} counter plain 2")
	second.Close()
	expectText(t, registry, "")

	// The name is free again, also for another kind.
	third := registry.Scope()
	third.Gauge("rows_total", "Rows.").Set(1)
	expectText(t, registry, "rows_total{} gauge plain 1")
}

func TestLabelValuesCannotImitateOthers(t *testing.T) {
	registry := metric.NewRegistry(metric.Options{})
	registry.Scope(metric.L("a", `1" b="2`)).Counter("n_total", "N.").Inc()
	registry.Scope(metric.L("a", "1"), metric.L("b", "2")).Counter("n_total", "N.").Inc()
	if n := len(slices.Collect(registry.All())); n != 2 {
		t.Errorf("want 2 series, have %d", n)
	}
}

func TestLimitHidesButCounts(t *testing.T) {
	registry := metric.NewRegistry(metric.Options{MaxSeries: 2})
	kept, over := registry.Scope(metric.L("scope", "kept")), registry.Scope(metric.L("scope", "over"))
	kept.Counter("a_total", "A.")
	kept.Counter("b_total", "B.")
	hidden := over.Counter("a_total", "A.")
	hidden.Inc()
	if registry.Hidden() != 1 || hidden.Value() != 1 || len(slices.Collect(registry.All())) != 2 {
		t.Errorf("hidden %d, value %d, shown %d", registry.Hidden(), hidden.Value(), len(slices.Collect(registry.All())))
	}
	// Who has a series already is not refused it, and closing makes room.
	kept.Counter("a_total", "A.")
	over.Close()
	kept.Close()
	registry.Scope().Counter("c_total", "C.")
	if registry.Hidden() != 0 {
		t.Errorf("after closing %d are hidden", registry.Hidden())
	}
	expectText(t, registry, "c_total{} counter plain 0")
}

func TestWithoutRegistryInstrumentsStillWork(t *testing.T) {
	var nobody *metric.Scope
	nobody = nobody.With(metric.L("a", "1"))
	counter := nobody.Counter("rows_total", "Rows.")
	counter.Inc()
	nobody.Gauge("bytes", "Bytes.").Add(1)
	nobody.GaugeFunc("ratio", "Ratio.", func() float64 { return 1 })
	nobody.Histogram("wait_seconds", "Wait.", metric.Nanoseconds).Record(1)
	nobody.Close()
	if counter.Value() != 1 {
		t.Errorf("counted %d", counter.Value())
	}

	registry := metric.NewRegistry(metric.Options{})
	closed := registry.Scope()
	closed.Close()
	closed.Counter("late_total", "Late.").Inc()
	expectText(t, registry, "")
}

func TestMisuseIsAnInvariant(t *testing.T) {
	registry := metric.NewRegistry(metric.Options{})
	scope := registry.Scope(metric.L("job", "x"))
	scope.Counter("rows_total", "Rows.")
	scope.Histogram("wait_seconds", "Wait.", metric.Nanoseconds)
	misuses := map[string]func(){
		"is not of a-z":                     func() { scope.Counter("Rows-Total", "Rows.") },
		`metric name ""`:                    func() { scope.Counter("", "Rows.") },
		`metric label "0job"`:               func() { scope.With(metric.L("0job", "x")) },
		"metric label job is given twice":   func() { scope.With(metric.L("job", "y")) },
		"is a counter in plain":             func() { scope.Gauge("rows_total", "Rows.") },
		"is a histogram in nanoseconds and": func() { scope.Histogram("wait_seconds", "Wait.", metric.Bytes) },
	}
	for want, misuse := range misuses {
		t.Run(want, func(t *testing.T) {
			defer func() {
				broken, _ := recover().(invariant.Violation)
				if !strings.Contains(broken.Message, want) {
					t.Errorf("want %q, have %q", want, broken.Message)
				}
			}()
			misuse()
		})
	}
	scope.Counter("fine_total", "The locks were released.")
}

func TestScopesComeAndGoWhileSomebodyReads(t *testing.T) {
	registry := metric.NewRegistry(metric.Options{MaxSeries: 20})
	var wait sync.WaitGroup
	for worker := range 4 {
		wait.Go(func() {
			for i := range 200 {
				scope := registry.Scope(metric.L("i", fmt.Sprint(i%5*worker)))
				for n := range 10 {
					scope.Counter(fmt.Sprintf("c%d_total", n), "C.").Inc()
				}
				scope.Close()
			}
		})
	}
	wait.Go(func() {
		for range 100 {
			for sample := range registry.All() {
				_ = sample.Value
				registry.Hidden() // no lock is held here
			}
		}
	})
	wait.Wait()
	if shown := len(slices.Collect(registry.All())); shown != 0 || registry.Hidden() != 0 {
		t.Errorf("all scopes are closed, %d series are shown, %d hidden", shown, registry.Hidden())
	}
}

func TestKindsAndUnitsHaveNames(t *testing.T) {
	if metric.InvalidKind.String() != "invalid" || metric.InvalidUnit.String() != "invalid" || metric.Bytes.String() != "bytes" {
		t.Error("a name is wrong")
	}
	if metric.Nanoseconds.Scale() != 1e-9 || metric.Bytes.Scale() != 1 {
		t.Error("a scale is wrong")
	}
}

func expectText(t *testing.T, registry *metric.Registry, want string) {
	t.Helper()
	var have strings.Builder
	for s := range registry.All() {
		labels := make([]string, len(s.Labels))
		for i, label := range s.Labels {
			labels[i] = label.Name + "=" + label.Value
		}
		value := fmt.Sprint(s.Value)
		if s.Kind == metric.HistogramKind {
			value = fmt.Sprintf("%d values, sum %d", s.Histogram.Count, s.Histogram.Sum)
		}
		fmt.Fprintf(&have, "\n%s{%s} %s %s %s", s.Name, strings.Join(labels, " "), s.Kind, s.Unit, value)
	}
	if strings.TrimSpace(have.String()) != strings.TrimSpace(want) {
		t.Errorf("want:\n%s\nhave:\n%s", want, have.String())
	}
}
