package print

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/operator/operatortest"
	"github.com/tidemill/tidemill/core/stream"
)

type broken struct{}

var errBroken = errors.New("broken")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

var columns = operatortest.ParseSchema("n BIGINT, s STRING, b BOOLEAN")

func table(options ...string) connector.Table {
	t := connector.Table{Name: "p", Schema: columns, Options: map[string]string{"connector": Name}}
	for i := 0; i < len(options); i += 2 {
		t.Options[options[i]] = options[i+1]
	}
	return t
}

// changes are an insert, an update and a row that does not count.
func changes(mem memory.Allocator) *stream.Batch {
	b := stream.NewBatch(operatortest.Record(mem, columns, [][]any{
		{int64(1), "a", true}, {int64(9), "x", nil}, {int64(1), "a", true}, {int64(1), nil, false},
	}))
	b.Kinds = []stream.RowKind{stream.Insert, stream.Insert, stream.UpdateBefore, stream.UpdateAfter}
	b.Sel = []int32{0, 2, 3}
	return b
}

func TestPrint(t *testing.T) {
	const rows = "+I[1, a, true]\n-U[1, a, true]\n+U[1, null, false]\n"
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	for _, c := range []struct {
		options  []string
		out, err string
	}{
		{nil, rows, ""},
		{[]string{"print-identifier", "x"}, strings.ReplaceAll("x> "+strings.TrimSpace(rows), "\n", "\nx> ") + "\n", ""},
		{[]string{"standard-error", "true"}, "", rows},
	} {
		var out, errs bytes.Buffer
		p := New(&out, &errs)
		spec := connector.SinkSpec{Table: table(c.options...), Columns: columns}
		w, err := p.Writer(t.Context(), spec, connector.WriterEnv{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(t.Context(), changes(mem)); err != nil {
			t.Fatal(err)
		}
		if out.String() != c.out || errs.String() != c.err {
			t.Errorf("%v: got %q and %q", c.options, &out, &errs)
		}
		all, err := w.Prepare(t.Context())
		if err != nil || len(all) != 1 || all[0].Rows != 3 {
			t.Errorf("prepared %v, %v", all, err)
		}
		if all, err = w.Prepare(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("prepared %v again, %v", all, err)
		}
		if state, err := w.Snapshot(); state != nil || err != nil || w.Close() != nil {
			t.Errorf("state %q, %v", state, err)
		}
		committer, err := p.Committer(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(committer.Commit(t.Context(), id.Checkpoint(1), all, true), committer.Abort(t.Context(), all), committer.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestPrintFails(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	p := New(broken{}, broken{})
	if p.Accepts(table()) != connector.Retractions {
		t.Error("does not take changes")
	}
	w, err := p.Writer(t.Context(), connector.SinkSpec{Table: table(), Columns: columns}, connector.WriterEnv{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), changes(mem)); !errors.Is(err, errBroken) {
		t.Errorf("a write that failed: %v", err)
	}
	for _, bad := range [][]string{{"standard-error", "often"}, {"lines", "5"}} {
		_, describeErr := p.Describe(t.Context(), table(bad...), nil)
		_, writerErr := p.Writer(t.Context(), connector.SinkSpec{Table: table(bad...)}, connector.WriterEnv{})
		for _, err := range []error{describeErr, writerErr} {
			if failure.Of(err) != failure.InvalidSQL || !strings.Contains(err.Error(), bad[0]) {
				t.Errorf("%v: %v", bad, err)
			}
		}
	}
	_, readerErr := p.Reader(t.Context(), connector.SourceSpec{}, connector.ReaderEnv{})
	_, enumeratorErr := p.Enumerator(t.Context(), connector.SourceSpec{}, nil)
	if readerErr == nil || enumeratorErr == nil {
		t.Error("can be read from")
	}
}
