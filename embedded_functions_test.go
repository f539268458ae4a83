package tidemill_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/datastream"
	"github.com/tidemill/tidemill/core/failure"
)

// What functions of a program may do: timers, every kind of state, side outputs; and what
// becomes of those that fail.

type event struct {
	Key  string
	N    int64
	At   time.Time
	Note *string
}

type told struct{ Text string }

// events are n rows of three keys, a millisecond apart.
func events(env *datastream.Env, n int) *datastream.Keyed[string, event] {
	var all []event
	for i := range n {
		all = append(all, event{Key: string(rune('a' + i%3)), N: int64(i), At: time.UnixMilli(int64(i)).UTC()})
	}
	timed := datastream.WithWatermarks(datastream.FromSlice(env, "events", all), "time", datastream.Watermarks{Column: "at"})
	return datastream.KeyBy(timed, "by key", func(e event) string { return e.Key })
}

// scripted is a function made of closures.
type scripted struct {
	open    func(*datastream.Opening) error
	process func(*datastream.Context[string], event, *datastream.Collector[told]) error
	timer   func(*datastream.Context[string], datastream.Timer, *datastream.Collector[told]) error
}

func (s *scripted) Open(o *datastream.Opening) error {
	if s.open == nil {
		return nil
	}
	return s.open(o)
}

func (s *scripted) Process(ctx *datastream.Context[string], e event, out *datastream.Collector[told]) error {
	return s.process(ctx, e, out)
}

func (s *scripted) OnTimer(ctx *datastream.Context[string], t datastream.Timer, out *datastream.Collector[told]) error {
	return s.timer(ctx, t, out)
}

// tell runs a scripted function over n events in one subtask and returns what it told.
func tell(t *testing.T, n int, made func() *scripted) ([]string, error) {
	t.Helper()
	dir := t.TempDir()
	env := datastream.New(datastream.Options{Parallelism: 1})
	out := datastream.Process(events(env, n), "scripted", func() datastream.ProcessFunction[string, event, told] { return made() })
	datastream.To(out, "write", csvTable(filepath.Join(dir, "out")))
	if err := tidemill.Run(t.Context(), env, tidemill.Options{}); err != nil {
		return nil, err
	}
	return unsorted(t, filepath.Join(dir, "out")), nil
}

func TestTimersFireInOrder(t *testing.T) {
	lines, err := tell(t, 30, func() *scripted {
		return &scripted{
			process: func(ctx *datastream.Context[string], e event, _ *datastream.Collector[told]) error {
				if e.N < 3 { // all before what fires with the end of input
					ctx.SetTimer(time.UnixMilli(9000 - 10*e.N))
					ctx.SetTimer(time.UnixMilli(100_000))
					ctx.SetTimer(time.UnixMilli(5000 + e.N))
					ctx.SetTimer(time.UnixMilli(5000 + e.N)) // twice is once
					ctx.SetTimer(time.UnixMilli(7000))
					ctx.DeleteTimer(time.UnixMilli(7000))
				}
				return nil
			},
			timer: func(ctx *datastream.Context[string], at datastream.Timer, out *datastream.Collector[told]) error {
				out.Emit(told{fmt.Sprintf("%d%s", at.At.UnixMilli(), ctx.Key())})
				switch at.At.UnixMilli() {
				case 5001: // comes before what was about to fire
					ctx.SetTimer(time.UnixMilli(5001).Add(500 * time.Microsecond).Add(time.Millisecond / 2))
					ctx.SetTimer(time.UnixMilli(6000))
					ctx.DeleteTimer(time.UnixMilli(100_000))
				}
				return nil
			},
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines[len(lines)-2:]) // of the same time
	got := strings.Join(lines, " ")
	ordered := []string{"5000a 5001b 5002b 5002c 6000b 8980c 8990b 9000a 100000a 100000c", "5000a 5001b 5002c 5002b 6000b 8980c 8990b 9000a 100000a 100000c"}
	if !slices.Contains(ordered, got) {
		t.Errorf("got %s", got)
	}
}

func TestStatesOfAKey(t *testing.T) {
	lines, err := tell(t, 300, func() *scripted {
		var value *datastream.ValueState[int64]
		var list *datastream.ListState[int64]
		var entries *datastream.MapState[int64, string]
		return &scripted{
			open: func(o *datastream.Opening) error {
				var errs [3]error
				value, errs[0] = datastream.Value[int64](o, "value")
				list, errs[1] = datastream.List[int64](o, "list", datastream.KeepFor(time.Hour))
				entries, errs[2] = datastream.MapOf[int64, string](o, "map")
				return errors.Join(errs[:]...)
			},
			process: func(_ *datastream.Context[string], e event, out *datastream.Collector[told]) error {
				v, ok := value.Get()
				if ok != (e.N >= 3 && e.N/3%10 != 0) {
					return fmt.Errorf("a value: %t", ok)
				}
				if value.Set(v + 1); e.N/3%10 == 9 {
					value.Clear()
				}
				list.Append(e.N)
				m := e.N / 3 % 7
				old, _ := entries.Get(m)
				entries.Put(m, old+"x")
				entries.Delete((m + 3) % 7)
				if e.N < 294 {
					return nil
				}
				var keys []string
				for m, text := range entries.All() {
					keys = append(keys, fmt.Sprint(m, text))
				}
				all := list.All()
				if len(all) != int(e.N/3)+1 || all[0] != e.N%3 || entries.Len() != len(keys) {
					return fmt.Errorf("list %v, map %v", all, keys)
				}
				if e.N < 297 {
					list.Set(all[:]) // the same
					return nil
				}
				list.Clear()
				out.Emit(told{fmt.Sprint(v, len(all), len(list.All()), keys)})
				return nil
			},
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	// Of the last seven rows of a key the four whose entries were not deleted since.
	want := "9 100 0 [5x 6x 0x 1x]"
	if len(lines) != 3 || strings.Trim(lines[0], `"`) != want || lines[1] != lines[0] || lines[2] != lines[0] {
		t.Errorf("got %q, want %s", lines, want)
	}
}

func TestFunctionsThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		process func(*datastream.Context[string], event, *datastream.Collector[told]) error
		class   failure.Class
		want    []string
	}{
		"an error": {
			func(_ *datastream.Context[string], e event, _ *datastream.Collector[told]) error {
				if e.N == 7 {
					return errors.New("seven is wrong")
				}
				return nil
			}, failure.UserCode, []string{"scripted", "row 7", "N:7", "seven is wrong"},
		},
		"an error with a class": {
			func(*datastream.Context[string], event, *datastream.Collector[told]) error {
				return failure.Errorf(failure.BadData, "not such rows")
			}, failure.BadData, []string{"scripted", "row 0", "not such rows"},
		},
		"a panic": {
			func(_ *datastream.Context[string], e event, _ *datastream.Collector[told]) error {
				_ = *e.Note
				return nil
			}, failure.UserCode, []string{"scripted", "panicked at row 0", "nil pointer"},
		},
		"a timer without OnTimer's wish": {
			func(ctx *datastream.Context[string], e event, _ *datastream.Collector[told]) error {
				ctx.SetTimer(e.At)
				return nil
			}, failure.UserCode, []string{"scripted", "timer of event time", "of key a", "no timers here"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tell(t, 10, func() *scripted {
				return &scripted{process: c.process, timer: func(*datastream.Context[string], datastream.Timer, *datastream.Collector[told]) error {
					return errors.New("no timers here")
				}}
			})
			if failure.Of(err) != c.class {
				t.Errorf("class %v of %v", failure.Of(err), err)
			}
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("there is no %q in %v", want, err)
				}
			}
		})
	}
}

// A graph that another version of the program has made is refused by name, and one of
// another program, too.
func TestProgramsOfAnotherVersionAreRefused(t *testing.T) {
	build := func(note string) *datastream.Env {
		env := datastream.New(datastream.Options{Parallelism: 1})
		rows := datastream.Map(datastream.FromSlice(env, "rows", []told{{"x"}}), note, func(x told) (told, error) { return x, nil })
		datastream.To(rows, "write", datastream.Table{Options: map[string]string{"connector": "blackhole"}})
		return env
	}
	registry, err := tidemill.Builtins(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer registry.Close()
	g, err := build("one").Graph(t.Context(), registry.Connector)
	if err != nil {
		t.Fatal(err)
	}
	name := g.Vertices[0].Chain[1].GetProcess().GetFunction()
	functions, err := build("one").Functions()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := functions(name); err != nil {
		t.Errorf("the same program refuses %s: %v", name, err)
	}
	if _, err := functions(name + "0"); failure.Of(err) != failure.Conflict || !strings.Contains(err.Error(), `"one"`) {
		t.Errorf("got %v", err)
	}
	if functions, err = build("two").Functions(); err != nil {
		t.Fatal(err)
	}
	if _, err := functions(name); failure.Of(err) != failure.NotFound {
		t.Errorf("got %v", err)
	}
	if _, err := build("two").Connectors(registry.Connector)(g.Vertices[0].Chain[0].GetSource().GetConnector()); failure.Of(err) != failure.Conflict {
		t.Errorf("got %v", err)
	}
}

func TestJobsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		build func(*datastream.Env)
		want  string
	}{
		"nothing":      {func(*datastream.Env) {}, "no streams"},
		"a uid twice":  {func(e *datastream.Env) { datastream.Union("x", datastream.FromSlice(e, "x", []told{{}})) }, "x: two operators have this uid"},
		"nobody reads": {func(e *datastream.Env) { datastream.FromSlice(e, "x", []told{{}}) }, "x: nobody reads this stream"},
		"no column":    {func(e *datastream.Env) { datastream.FromSlice(e, "x", []map[int]int{{}}) }, "x: values of map[int]int"},
		"no time": {func(e *datastream.Env) {
			events(e, 1)
			datastream.WithWatermarks(datastream.FromSlice(e, "y", []told{{}}), "z", datastream.Watermarks{Column: "text"})
		}, `z: "text" is no column of times`},
		"no connector": {func(e *datastream.Env) {
			datastream.To(datastream.FromSlice(e, "x", []told{{}}), "y", datastream.Table{})
		}, "y: the table has no option 'connector'"},
		"a strange sideto": {func(e *datastream.Env) {
			datastream.SideOutput(datastream.FromSlice(e, "x", []told{{}}), datastream.NewTag[told]("late"))
		}, `x: a side output "late" of a stream`},
	} {
		env := datastream.New(datastream.Options{Parallelism: 1})
		c.build(env)
		if err := tidemill.Run(t.Context(), env, tidemill.Options{}); failure.Of(err) != failure.Usage || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
