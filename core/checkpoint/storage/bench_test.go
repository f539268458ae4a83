package storage_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/checkpoint/storage"
	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/hashtable"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/keygroup"
	workermemory "github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/fs/local"
)

const (
	benchKeys, benchBatch = 1 << 22, 1 << 13
	benchGroups           = 1024
	benchSnapshots        = 8 // while the keys came
)

var benchSpec = state.TableSpec{
	ID: 1, Name: "groups", Keys: datatype.Schema{{Name: "k", Type: datatype.Of(datatype.BigInt)}},
	Values: datatype.Schema{{Name: "c", Type: datatype.Of(datatype.BigInt)}, {Name: "n", Type: datatype.Of(datatype.BigInt)}, {Name: "pad", Type: datatype.Of(datatype.Varchar)}},
}

// BenchmarkRestore restores keys with a count, a number and a text of 80 bytes each, which
// have come over some checkpoints, to a subtask with all of them and to one with half of the
// key groups.
func BenchmarkRestore(b *testing.B) {
	disk, err := local.New(local.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ledger, err := workermemory.New(workermemory.Options{Limit: 4 << 30})
	if err != nil {
		b.Fatal(err)
	}
	store := storage.New(disk, b.TempDir(), ledger.Child("checkpoints", 0).Allocator())
	chain := writeKeys(b, store)
	for _, parts := range []int{1, 2} {
		b.Run(fmt.Sprintf("subtasks=%d", parts), func(b *testing.B) {
			owned := keygroup.Range{Last: keygroup.Group(benchGroups / parts)}
			mine := checkpoint.Chain{Handles: slices.Clone(chain.Handles), Shares: slices.Clone(chain.Shares), Own: owned}
			mine.Trim(benchGroups)
			for b.Loop() {
				b.StopTimer()
				runtime.GC()
				b.StartTimer()
				backend := memstate.New(benchGroups, owned, memory.DefaultAllocator, unlimited{})
				if err := store.Restore(b.Context(), mine, benchGroups, backend); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				table, err := backend.Table(benchSpec)
				if err != nil {
					b.Fatal(err)
				}
				rows, err := table.Namespace(0)
				if err != nil {
					b.Fatal(err)
				}
				if n := rows.Len(); parts == 1 && n != benchKeys || n > benchKeys {
					b.Fatalf("%d keys are there", n)
				}
				if err := backend.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N)*benchKeys/float64(parts)/1e6/b.Elapsed().Seconds(), "Mkeys/s")
		})
	}
}

// writeKeys fills a table and has it in checkpoints.
func writeKeys(b *testing.B, store *storage.Store) (chain checkpoint.Chain) {
	backend := memstate.New(benchGroups, keygroup.Range{Last: benchGroups}, memory.DefaultAllocator, unlimited{})
	table, err := backend.Table(benchSpec)
	if err != nil {
		b.Fatal(err)
	}
	rows, err := table.Namespace(0)
	if err != nil {
		b.Fatal(err)
	}
	numbers, texts, slots := array.NewInt64Builder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator), make([]int32, benchBatch)
	pad := strings.Repeat("x", 80)
	for from := 0; from < benchKeys; from += benchBatch {
		for i := range benchBatch {
			numbers.Append(int64(from + i))
			texts.Append(pad)
		}
		number, text := numbers.NewArray(), texts.NewArray()
		keys := []arrow.Array{number}
		if err := rows.Resolve(keys, nil, compute.HashColumns(keys, nil, nil), slots); err != nil {
			b.Fatal(err)
		}
		for i, c := range rows.Values() {
			hashtable.Load(c, []arrow.Array{number, number, text}[i], nil, slots)
		}
		rows.Touch(slots)
		compute.ReleaseAll([]arrow.Array{number, text})
		if done := from + benchBatch; done%(benchKeys/benchSnapshots) == 0 {
			addSnapshot(b, store, backend, &chain, id.Checkpoint(done))
		}
	}
	if err := backend.Close(); err != nil {
		b.Fatal(err)
	}
	return chain
}

func addSnapshot(b *testing.B, store *storage.Store, backend state.Backend, chain *checkpoint.Chain, c id.Checkpoint) {
	s, err := backend.Snapshot(state.Changes)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Release()
	if err := state.Complete(s); err != nil {
		b.Fatal(err)
	}
	handles, err := store.Write(context.Background(), id.Job{1}, c, "x", s)
	if err != nil {
		b.Fatal(err)
	}
	chain.Add(handles, s.Whole(), benchGroups)
}
