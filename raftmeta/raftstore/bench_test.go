package raftstore_test

// What a transaction costs, alone and with two others over loopback, in memory and with
// logs on disk; and a burst of job graphs: a blob and an entry each.

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/raftmeta/blobstore"
	"github.com/tidemill/tidemill/raftmeta/raftstore"
)

// loopback starts n masters that reach each other by TCP; without a directory they keep
// everything in memory. The first leads.
func loopback(b *testing.B, n int, dir string) []*raftstore.Store {
	b.Helper()
	var stores []*raftstore.Store
	for i := range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		storage := raftstore.MemoryStorage()
		if dir != "" {
			if storage, err = raftstore.DirStorage(filepath.Join(dir, name(i))); err != nil {
				b.Fatal(err)
			}
		}
		network := &raftstore.Network{Listener: listener, Dial: func(ctx context.Context, to string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", to)
		}}
		store := open(b, storage, raftstore.Options{ID: name(i), Bootstrap: i == 0, Network: network})
		stores = append(stores, store)
		b.Cleanup(func() {
			if err := store.Close(); err != nil {
				b.Error(err)
			}
		})
		if _, err := stores[0].Leadership(b.Context(), raftmeta.Leadership{}); err != nil {
			b.Fatal(err)
		}
		if err := stores[0].Join(b.Context(), raftmeta.Member{ID: name(i), Address: listener.Addr().String()}); err != nil {
			b.Fatal(err)
		}
	}
	return stores
}

func BenchmarkCluster(b *testing.B) {
	for _, n := range []int{1, 3} {
		for _, on := range []string{"memory", "disk"} {
			b.Run(fmt.Sprintf("%d masters, %s", n, on), func(b *testing.B) {
				dir := ""
				if on == "disk" {
					dir = b.TempDir()
				}
				benchmarkStore(b, loopback(b, n, dir)[0])
			})
		}
	}
}

func benchmarkStore(b *testing.B, store *raftstore.Store) {
	ctx, value := b.Context(), make([]byte, 256)
	b.Run("put", func(b *testing.B) {
		for b.Loop() {
			if _, err := raftmeta.Put(ctx, store, "b", "k", value, raftmeta.Any); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("put by 64", func(b *testing.B) {
		b.SetParallelism(32) // of 2 processors
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := raftmeta.Put(ctx, store, "b", "k", value, raftmeta.Any); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
	b.Run("get", func(b *testing.B) {
		for b.Loop() {
			if _, err := store.Get(ctx, "b", "k"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkGraphs submits 1,000 graphs of 200 KB from 16 clients to three masters.
func BenchmarkGraphs(b *testing.B) {
	const graphs, size, submitters = 1000, 200 << 10, 16
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		store := loopback(b, 3, dir)[0]
		var peers []blobstore.Peer
		for i := range 2 {
			peers = append(peers, openBlobs(b, filepath.Join(dir, fmt.Sprint("blobs", i)), nil).Local())
		}
		blobs := openBlobs(b, filepath.Join(dir, "blobs"), peers)
		b.StartTimer()
		var wg sync.WaitGroup
		for c := range submitters {
			wg.Go(func() {
				graph := make([]byte, size)
				for i := c; i < graphs; i += submitters {
					_, _ = rand.Read(graph) // it never fails
					if err := submit(b.Context(), store, blobs, fmt.Sprint(i), graph); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		b.StopTimer()
		entries, _, err := store.List(b.Context(), "jobs", "")
		if err != nil || len(entries) != graphs {
			b.Fatalf("%d jobs, %v", len(entries), err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(graphs*b.N)/b.Elapsed().Seconds(), "graphs/s")
}

func submit(ctx context.Context, store raftmeta.Store, blobs raftmeta.Blobs, job string, graph []byte) error {
	blob, err := blobs.Put(ctx, graph)
	if err == nil {
		_, err = raftmeta.Put(ctx, store, "jobs", job, []byte(blob), raftmeta.Absent)
	}
	return err
}

func openBlobs(b *testing.B, dir string, peers []blobstore.Peer) *blobstore.Store {
	b.Helper()
	s, err := blobstore.Open(dir, blobstore.Options{Peers: func() []blobstore.Peer { return peers }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}
