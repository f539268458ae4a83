package tidemill_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/datastream"
)

// What a program in Go does is what a closed form says, also after a restore.

type deposit struct {
	Account int64
	Amount  int64
	Note    string
}

type total struct {
	Account int64
	Sum     int64
	Count   int32
}

// totals keeps a sum and a count for each account and tells them each time.
type totals struct{ sum *datastream.ValueState[total] }

func (t *totals) Open(o *datastream.Opening) (err error) {
	t.sum, err = datastream.Value[total](o, "sum")
	return err
}

func (t *totals) Process(ctx *datastream.Context[int64], in deposit, out *datastream.Collector[total]) error {
	sum, _ := t.sum.Get()
	sum.Account = ctx.Key()
	sum.Sum += in.Amount
	sum.Count++
	t.sum.Set(sum)
	out.Emit(sum)
	return nil
}

func csvTable(dir string) datastream.Table {
	return datastream.Table{Options: map[string]string{"connector": "filesystem", "path": dir, "format": "csv"}}
}

// written are the lines of all files of a directory, sorted, without their headers.
func written(t *testing.T, dir string) []string {
	t.Helper()
	lines := unsorted(t, dir)
	slices.Sort(lines)
	return lines
}

// unsorted are the lines of the files of a directory, file by file, without their headers.
func unsorted(t *testing.T, dir string) (lines []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "[^._]*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Split(strings.TrimSpace(string(data)), "\n")[1:]...)
	}
	return lines
}

func TestProgramKeepsStateByKey(t *testing.T) {
	dir := t.TempDir()
	env := datastream.New(datastream.Options{Parallelism: 2, Settings: map[string]string{
		"execution.checkpointing.interval": "20 ms", "state.checkpoints.dir": filepath.Join(dir, "checkpoints"),
	}})
	const deposits = 20_000
	source := datastream.Generate(env, "deposits", datastream.Generator[deposit]{Splits: 3, Next: func(split int, n int64) (deposit, bool) {
		return deposit{Account: n % 10, Amount: n + int64(split), Note: fmt.Sprint(n)}, n < deposits
	}})
	even := datastream.Filter(source, "even", func(d deposit) (bool, error) { return d.Amount%2 == 0, nil })
	doubled := datastream.Map(even, "doubled", func(d deposit) (deposit, error) {
		d.Amount *= 2
		return d, nil
	})
	keyed := datastream.KeyBy(doubled, "by account", func(d deposit) int64 { return d.Account })
	sums := datastream.Process(keyed, "totals", func() datastream.ProcessFunction[int64, deposit, total] { return &totals{} })
	datastream.To(sums, "write", csvTable(filepath.Join(dir, "out")))
	if err := tidemill.Run(t.Context(), env, tidemill.Options{}); err != nil {
		t.Fatal(err)
	}
	want := map[int64]total{}
	rows := 0
	for split := range int64(3) {
		for n := range int64(deposits) {
			if amount := n + split; amount%2 == 0 {
				x := want[n%10]
				want[n%10] = total{n % 10, x.Sum + 2*amount, x.Count + 1}
				rows++
			}
		}
	}
	lines := written(t, filepath.Join(dir, "out"))
	if len(lines) != rows {
		t.Errorf("%d rows, want %d", len(lines), rows)
	}
	for _, x := range want {
		if line := fmt.Sprintf("%d,%d,%d", x.Account, x.Sum, x.Count); !slices.Contains(lines, line) {
			t.Errorf("there is no %s", line)
		}
	}
}
