package keeper_test

import (
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/keeper"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/flight"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/service"
)

// What a master asks of a process that keeps partitions, and what is refused.
func TestKeeper(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	defer goleak.VerifyNone(t, leaks)
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	self := shuffle.Server{ID: "s"}
	store := local.New(local.Options{Self: self.ID, Alloc: alloc})
	k := keeper.Keeper{
		Server:    service.New(service.Options{Self: self, Store: store, Alloc: alloc}),
		Store:     store,
		Exchanges: flight.New(flight.Options{Self: self, Local: store, Alloc: alloc}),
	}
	defer func() {
		if err := errors.Join(k.Exchanges.Close(), k.Server.Close()); err != nil {
			t.Error(err)
		}
	}()
	ctx, job := t.Context(), id.NewJob()
	spec := shuffle.Spec{
		Job: job, Exchange: 3, Lanes: 2, Partitions: 2, Retention: shuffle.RetainJob, Term: 5,
		Schema: datatype.Schema{{Name: "n", Type: datatype.Of(datatype.BigInt)}},
	}
	if err := store.Open(ctx, spec); err != nil {
		t.Fatal(err)
	}
	w, err := store.Writer(ctx, job, 3, 1, 4)
	if err == nil {
		_, err = w.Finish(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	lanes := func() []*rpc.LaneManifest {
		t.Helper()
		r, err := k.Lanes(ctx, &rpc.LanesRequest{Job: rpc.Ref(job, 5), Exchange: 3})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetLanes()
	}
	if l := lanes(); len(l) != 1 || l[0].GetLane() != 1 || l[0].GetAttempt() != 4 || l[0].GetExchange() != 3 || len(l[0].GetPartitions()) != 2 {
		t.Errorf("lanes: %v", l)
	}
	if _, err := k.Drain(ctx, &rpc.DrainRequest{}); err != nil {
		t.Error(err)
	}
	if st, err := k.Stats(ctx, &rpc.ShuffleStatsRequest{}); err != nil || !st.GetDraining() || st.GetExchanges() != 1 {
		t.Errorf("%v, %v", st, err)
	}
	nobody := &rpc.JobRef{Job: []byte("x")}
	drop := func(job *rpc.JobRef, lanes []uint32, exchanges ...uint32) error {
		_, err := k.Drop(ctx, &rpc.ShuffleDropRequest{Job: job, Exchanges: exchanges, Lanes: lanes})
		return err
	}
	_, unknownJob := k.Lanes(ctx, &rpc.LanesRequest{Job: nobody})
	_, handOverOfNobody := k.HandOver(ctx, &rpc.HandOverRequest{Job: nobody})
	_, handOverOfNothing := k.HandOver(ctx, &rpc.HandOverRequest{Job: rpc.Ref(job, 5), Exchange: 3, Lane: 0, Attempt: 4})
	for what, err := range map[string]error{
		"lanes of no job": unknownJob, "no job": handOverOfNobody, "a lane that nobody has won": handOverOfNothing,
		"drop of no job": drop(nobody, nil), "lanes of two exchanges": drop(rpc.Ref(job, 5), []uint32{0}, 3, 4), "a lane too many": drop(rpc.Ref(job, 5), []uint32{2}, 3),
	} {
		if err == nil || failure.Of(err) == failure.Unclassified {
			t.Errorf("%s: %v", what, err)
		}
	}
	// A lower term drops nothing; a lane goes alone; then the exchange.
	if err := drop(rpc.Ref(job, 4), []uint32{1}, 3); err != nil || len(lanes()) != 1 {
		t.Errorf("dropped under a lower term: %v", err)
	}
	if err := drop(rpc.Ref(job, 5), []uint32{1}, 3); err != nil || len(lanes()) != 0 {
		t.Errorf("the lane was not dropped: %v", err)
	}
	if err := drop(rpc.Ref(job, 5), nil, 3); err != nil || len(store.Kept()) != 0 {
		t.Errorf("the exchange was not dropped: %v", err)
	}
}
