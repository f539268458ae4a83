package partition_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/faultfs"
	"github.com/tidemill/tidemill/fs/memfs"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/partition"
)

// distant is a fixture with a remote tier that takes what is sealed at once.
type distant struct {
	*fixture
	stored *memfs.FileSystem
	faults *faultfs.FileSystem
}

const life = "exchange/life"

// newDistant is called in a bubble.
func newDistant(t *testing.T, change func(*partition.TierOptions)) *distant {
	d := &distant{stored: memfs.New(memfs.Options{})}
	d.faults = faultfs.New(d.stored)
	o := partition.TierOptions{
		MemoryBytes: 1, QuotaBytes: 1 << 20, PackBytes: 3000,
		Remote: &partition.RemoteOptions{FS: d.faults, Dir: life, After: 1e-9, SegmentBytes: 1, ObjectBytes: 4000},
	}
	if change != nil {
		change(&o)
	}
	d.fixture = newFixture(t, o)
	t.Cleanup(func() { // after the stores', before the fixture's
		if err := d.tier.Close(); err != nil {
			t.Error(err)
		}
		if left := d.objects(); len(left) > 0 {
			t.Errorf("objects left: %v", left)
		}
		if u := d.tier.Usage(); u.Remote != 0 || u.Waiting != 0 {
			t.Errorf("still used: %+v", u)
		}
	})
	return d
}

func (d *distant) objects() (paths []string) {
	err := d.stored.List(context.Background(), "", fs.ListOptions{Recursive: true, Staged: true}, func(i fs.Info) error {
		paths = append(paths, i.Path)
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.t.Fatal(err)
	}
	return paths
}

// fill writes and seals lanes, and returns the rows of each partition.
func (d *distant) fill(s *partition.Store, lanes, partitions int) (want [][]string) {
	d.t.Helper()
	want = make([][]string, partitions)
	for lane := range uint32(lanes) {
		for i := range 12 {
			part := i % partitions
			b := d.rows(int(lane)*1000+i*10, 10)
			for r := range b.Len() {
				want[part] = append(want[part], fmt.Sprint(b.Kind(r), b.Column(0).ValueStr(r), b.Column(1).ValueStr(r)))
			}
			d.append(s, lane, uint32(part), b)
		}
		d.seal(s, lane, 0)
	}
	return want
}

func (d *distant) seal(s *partition.Store, lane, attempt uint32) {
	d.t.Helper()
	if _, err := s.Seal(lane, attempt); err != nil {
		d.t.Fatal(err)
	}
}

func (d *distant) same(s *partition.Store, want [][]string) {
	d.t.Helper()
	for range 2 {
		for part := range want {
			have, err := d.read(s, 2, uint32(part))
			if err != nil || !slices.Equal(have, want[part]) {
				d.t.Fatalf("partition %d: %v\nhave %v\nwant %v", part, err, have, want[part])
			}
		}
	}
}

// Sealed data goes to the remote tier, its disk is given back, and it is read as if it were
// here. What no attempt has won stays.
func TestRemoteTier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDistant(t, nil)
		s := d.store(3, 3)
		d.append(s, 2, 0, d.rows(0, 10)) // never sealed
		_, before := d.tier.Used()
		want := d.fill(s, 2, 3)
		synctest.Wait()
		u := d.tier.Usage()
		if u.Disk != before || u.Remote == 0 || u.Moved != uint64(u.Remote) || u.FailedMoves != 0 {
			t.Errorf("%+v; what was not sealed takes %d bytes", u, before)
		}
		if n := len(d.objects()); n < 2 {
			t.Errorf("%d objects", n)
		}
		if files := d.files(); len(files) != 1 {
			t.Errorf("packs: %v", files)
		}
		d.same(s, want)
		for _, o := range d.objects() {
			if !strings.HasPrefix(o, life+"/00000001/") {
				t.Errorf("object at %s", o)
			}
		}
	})
}

// A reader that stands in the midst of a lane goes on when the rest is moved away.
func TestMovedWhileItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDistant(t, func(o *partition.TierOptions) { o.QuotaBytes, o.Remote.After = 100_000, 0.5 })
		s := d.store(2, 1)
		want := d.fill(s, 2, 1)
		synctest.Wait()
		if u := d.tier.Usage(); u.Remote != 0 {
			t.Fatalf("moved from a disk that is not full: %+v", u)
		}
		r := s.Reader(0, []uint32{0, 1})
		defer r.Close()
		b, _, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		rows := b.Len()
		b.Release()
		other := d.store(1, 1)
		for i := 0; d.tier.Usage().Remote == 0; i++ {
			d.append(other, 0, 0, d.rows(i*10, 10))
			synctest.Wait()
		}
		for {
			b, end, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if end {
				break
			}
			rows += b.Len()
			b.Release()
		}
		if rows != len(want[0]) {
			t.Errorf("%d rows", rows)
		}
	})
}

// Whatever call to the file system fails once, before or after it took effect: nothing is
// lost, the data is moved in the end, and nothing is left.
func TestEachRemoteCallFails(t *testing.T) {
	failed := errors.New("the store is away")
	for op := faultfs.Open; op <= faultfs.RemoveAll; op++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprint(op, " after ", after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := newDistant(t, nil)
					d.faults.Inject(faultfs.Rule{Op: op, Times: 1, After: after, Err: failed})
					s := d.store(2, 3)
					want := d.fill(s, 2, 3)
					synctest.Wait()
					d.same(s, want)
					time.Sleep(2 * time.Second) // until it is tried again
					synctest.Wait()
					if u := d.tier.Usage(); u.Disk != 0 || u.Remote == 0 || u.FailedMoves > 1 {
						t.Errorf("%+v", u)
					}
					d.same(s, want)
					if err := s.Close(); err != nil {
						t.Error(err)
					}
					time.Sleep(2 * time.Second)
					synctest.Wait()
					if left := d.objects(); len(left) > 0 {
						t.Errorf("objects left: %v", left)
					}
					d.faults.Heal()
				})
			})
		}
	}
}

// A store that does not answer for a while loses nothing: what is there is not damaged, and
// what is not stays on disk.
func TestRemoteTierIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDistant(t, nil)
		s := d.store(2, 1)
		want := d.fill(s, 2, 1)
		synctest.Wait()
		for _, op := range []faultfs.Op{faultfs.Open, faultfs.Read} {
			d.faults.Inject(faultfs.Rule{Op: op, Err: errors.New("connection refused")})
			if _, err := d.read(s, 2, 0); failure.Of(err) != failure.Transient || !strings.Contains(err.Error(), "connection refused") {
				t.Errorf("%v: %v", op, err)
			}
			d.faults.Heal()
			if len(s.Won()) != 2 {
				t.Fatal("a lane is taken for damaged")
			}
			d.same(s, want)
		}
		d.faults.Inject(faultfs.Rule{Op: faultfs.Create, Err: errors.New("connection refused")})
		other := d.store(2, 1)
		want = d.fill(other, 2, 1)
		time.Sleep(time.Hour)
		synctest.Wait()
		if u := d.tier.Usage(); u.Disk == 0 || u.FailedMoves < 200 || u.FailedMoves > 300 {
			t.Errorf("after an hour: %+v", u)
		}
		d.same(other, want)
		d.faults.Heal()
		time.Sleep(time.Minute)
		synctest.Wait()
		if u := d.tier.Usage(); u.Disk != 0 {
			t.Errorf("it is back: %+v", u)
		}
		d.same(other, want)
	})
}

// An object that is damaged, cut or gone costs the lane, by name, and no other; the next
// attempt takes its place.
func TestRemoteDamageIsDataLoss(t *testing.T) {
	for what, change := range map[string]func([]byte) []byte{
		"damaged": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"cut":     func(b []byte) []byte { return b[:len(b)/2] },
		"gone":    nil,
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDistant(t, func(o *partition.TierOptions) { o.Remote.ObjectBytes = 1 })
				s := d.store(2, 1)
				var rows []string
				for lane := range uint32(2) {
					d.append(s, lane, 0, d.rows(int(lane), 20))
					d.seal(s, lane, 0)
					synctest.Wait()
					if lane == 0 {
						have, err := d.read(s, 1, 0)
						if rows = have; err != nil {
							t.Fatal(err)
						}
					}
				}
				path := d.objects()[0]
				d.change(path, change)
				for range 2 {
					_, err := d.read(s, 1, 0)
					if !errors.Is(err, shuffle.ErrDataLoss) || failure.Of(err) != failure.LostPartition || !strings.Contains(err.Error(), "lane 0, attempt 0:") {
						t.Fatalf("have %v", err)
					}
				}
				if won := s.Won(); len(won) != 1 || won[0].Lane != 1 {
					t.Fatalf("not lost are %v", won)
				}
				if err := s.Begin(0, 1); err != nil {
					t.Fatal(err)
				}
				if err := s.Append(t.Context(), 0, 1, 0, d.rows(0, 20)); err != nil {
					t.Fatal(err)
				}
				d.seal(s, 0, 1)
				synctest.Wait()
				if slices.Contains(d.objects(), path) {
					t.Error("the object of the lost attempt is still there")
				}
				if have, err := d.read(s, 1, 0); err != nil || !slices.Equal(have, rows) {
					t.Errorf("mended: %v, %v", have, err)
				}
			})
		})
	}
}

// change replaces what lies at a path; nil removes it.
func (d *distant) change(path string, change func([]byte) []byte) {
	d.t.Helper()
	ctx := context.Background()
	f, err := d.stored.Open(ctx, path)
	if err != nil {
		d.t.Fatal(err)
	}
	whole, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	if err != nil {
		d.t.Fatal(err)
	}
	_ = f.Close()
	if err = d.stored.Remove(ctx, path); err == nil && change != nil {
		var w fs.Writer
		if w, err = d.stored.Create(ctx, path, fs.CreateOptions{}); err == nil {
			_, werr := w.Write(change(whole))
			err = errors.Join(werr, w.Commit(ctx))
		}
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// A disk that is full has producers wait until sealed data is gone from it; without success
// they fail after a while, with the directory in the message. Nothing is lost.
func TestFullDiskWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDistant(t, func(o *partition.TierOptions) { o.QuotaBytes, o.Remote.After = 20_000, 1 })
		d.faults.Inject(faultfs.Rule{Op: faultfs.Commit, Err: syscall.ECONNRESET})
		s := d.store(3, 1)
		n := 0
		for ; d.tier.Usage().Disk < 18_000; n++ {
			d.append(s, 0, 0, d.rows(10*n, 10))
		}
		d.seal(s, 0, 0)
		_, err := d.overflow(s, 1)
		if err == nil || !strings.Contains(err.Error(), d.path) || failure.Of(err) != failure.Fatal || d.tier.Usage().Full == nil {
			t.Errorf("have %v, %+v", err, d.tier.Usage())
		}
		s.Discard(1, 0)
		done := make(chan int, 1)
		go func() {
			n, err := d.overflow(s, 2)
			if err != nil {
				t.Error(err)
			}
			done <- n
		}()
		time.Sleep(30 * time.Second)
		synctest.Wait() // it tries again at just this instant
		if u := d.tier.Usage(); u.Waiting != 1 || u.Full == nil {
			t.Errorf("%+v", u)
		}
		d.faults.Heal()
		written := <-done
		d.seal(s, 2, 0)
		synctest.Wait()
		if u := d.tier.Usage(); u.Remote == 0 || u.Full != nil {
			t.Errorf("%+v", u)
		}
		r := s.Reader(0, []uint32{0, 2})
		defer r.Close()
		for rows := 0; ; {
			b, end, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if end {
				if rows != 10*(n+written) {
					t.Errorf("%d rows of %d", rows, 10*(n+written))
				}
				break
			}
			rows += b.Len()
			b.Release()
		}
	})
}

// overflow appends more than there is left on disk.
func (d *distant) overflow(s *partition.Store, lane uint32) (n int, err error) {
	for ; n < 10; n++ {
		if err := s.Append(d.t.Context(), lane, 0, 0, d.rows(10*n, 10)); err != nil {
			return n, err
		}
	}
	return n, nil
}

// Less than a segment stays, and so does everything while the disk has room.
func TestSmallSegmentsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDistant(t, func(o *partition.TierOptions) { o.Remote.SegmentBytes = 100_000 })
		s := d.store(2, 1)
		want := d.fill(s, 2, 1)
		synctest.Wait()
		if u := d.tier.Usage(); u.Remote != 0 || d.faults.Count(faultfs.Create) != 0 {
			t.Errorf("%+v", u)
		}
		d.same(s, want)
	})
}

// Who waits for room hears that its context has ended, or the exchange is dropped.
func TestWaitingForRoomEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDistant(t, func(o *partition.TierOptions) { o.QuotaBytes, o.Remote.Patience = 10, time.Hour })
		s := d.store(2, 1)
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 2)
		go func() { result <- s.Append(ctx, 0, 0, 0, d.rows(0, 10)) }()
		synctest.Wait()
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		go func() { result <- s.Append(t.Context(), 1, 0, 0, d.rows(0, 10)) }()
		synctest.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-result; !errors.Is(err, shuffle.ErrReleased) {
			t.Error(err)
		}
	})
}
