package memstate_test

import (
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
)

type unlimited struct{}

func (unlimited) Grow(int64) error { return nil }
func (unlimited) Shrink(int64)     {}

// BenchmarkSnapshot takes snapshots of a million keys with a row each, all of which have
// changed: pause-ms is how long the task stands still, step-us the longest time between two
// elements.
func BenchmarkSnapshot(b *testing.B) {
	const keys, batch = 1 << 20, 1 << 13
	bigint, text := datatype.Of(datatype.BigInt), datatype.Of(datatype.Varchar)
	backend := memstate.New(1024, keygroup.Range{Last: 1024}, memory.DefaultAllocator, unlimited{})
	table, err := backend.Table(state.TableSpec{ID: 1, Name: "bids", Keys: datatype.Schema{{Name: "bidder", Type: bigint}}, List: datatype.Schema{{Name: "price", Type: bigint}, {Name: "url", Type: text}}})
	if err != nil {
		b.Fatal(err)
	}
	rows, err := table.Namespace(0)
	if err != nil {
		b.Fatal(err)
	}
	numbers, texts := array.NewInt64Builder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
	slots, places := make([]int32, batch), make([]int32, batch)
	change := func(first bool) {
		for from := 0; from < keys; from += batch {
			for i := range batch {
				numbers.Append(int64(from + i))
				texts.Append("https://www.nexmark.example/some/path/item.htm?query=1")
			}
			columns := []arrow.Array{numbers.NewArray(), texts.NewArray()}
			if err := rows.Resolve(columns[:1], nil, compute.HashColumns(columns[:1], nil, nil), slots); err != nil {
				b.Fatal(err)
			}
			if first {
				err = rows.Lists().Add(slots, columns, nil, nil)
			} else {
				heads, _ := rows.Lists().Chains()
				for i, x := range slots {
					places[i] = heads[x]
				}
				err = rows.Lists().Replace(places, columns, nil)
			}
			compute.ReleaseAll(columns)
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	change(true)
	var pause, longest time.Duration
	for range b.N {
		b.StopTimer()
		change(false)
		b.StartTimer()
		since := time.Now()
		s, err := backend.Snapshot(state.Changes)
		if err != nil {
			b.Fatal(err)
		}
		pause += time.Since(since)
		for done := false; !done; {
			since = time.Now()
			if done, err = s.Copy(1024); err != nil {
				b.Fatal(err)
			}
			longest = max(longest, time.Since(since))
		}
		s.Release()
	}
	b.ReportMetric(pause.Seconds()*1000/float64(b.N), "pause-ms")
	b.ReportMetric(float64(longest.Microseconds()), "step-us")
}
