package shuffle

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	arrowmemory "github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/flight"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/partition"
	"github.com/tidemill/tidemill/shuffle/service"
)

// moveInProcess passes batches by pointer through our service.
func moveInProcess(ctx context.Context, _ path, l *load) (int64, error) {
	keeper := local.New(local.Options{Alloc: arrowmemory.DefaultAllocator})
	spec, err := l.spec(shuffle.RetainNone)
	if err != nil {
		return 0, err
	}
	if err := keeper.Open(ctx, spec); err != nil {
		return 0, err
	}
	rows, err := l.pass(ctx, spec, keeper, keeper)
	return rows, errors.Join(err, keeper.Drop(ctx, spec.Job, spec.Exchange))
}

// pass writes and reads all streams at once, and returns the rows that arrived.
func (l *load) pass(ctx context.Context, spec shuffle.Spec, producer, consumer shuffle.Service) (int64, error) {
	var rows atomic.Int64
	err := together(ctx, 2*l.streams, func(ctx context.Context, i int) error {
		s := uint32(i / 2)
		if i%2 == 0 {
			return l.write(ctx, producer, spec, s)
		}
		n, err := read(ctx, consumer, spec, s, func() {})
		rows.Add(n)
		return err
	})
	return rows.Load(), err
}

// moveOurs has a producer's process push to the process that keeps the partitions. In
// one hop that is the consumer's; in two it is a daemon, which keeps everything until
// the consumer's process reads.
func moveOurs(ctx context.Context, p path, l *load) (rows int64, err error) {
	cluster, err := startCluster(p.transport)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, cluster.stop()) }()
	retention := shuffle.RetainNone
	if p.hops == 2 {
		retention = shuffle.RetainJob
	}
	spec, err := l.spec(retention)
	if err != nil {
		return 0, err
	}
	spec.Placement = cluster.placement(l.streams)
	if err := cluster.open(ctx, spec, p.hops == 1); err != nil {
		return 0, err
	}
	if p.hops == 1 {
		return l.pass(ctx, spec, cluster.producer, cluster.keeper)
	}
	err = together(ctx, l.streams, func(ctx context.Context, s int) error { return l.write(ctx, cluster.producer, spec, uint32(s)) })
	if err != nil {
		return 0, err
	}
	var got atomic.Int64
	err = together(ctx, l.streams, func(ctx context.Context, s int) error {
		n, err := read(ctx, cluster.consumer, spec, uint32(s), func() {})
		got.Add(n)
		return err
	})
	return got.Load(), err
}

// cluster is the shuffle of three processes, in this one: they share no memory but what
// is given to all.
type cluster struct {
	self        shuffle.Server // of the keeper
	keeper      *flight.Service
	producer    *flight.Service
	consumer    *flight.Service
	server      *service.Server
	grpc        *grpc.Server
	closeSocket func() error
	serving     *crew
}

// ledgerBytes bounds what arrives and is kept; two hops keep everything.
const ledgerBytes = 4 * mostBytes

func startCluster(t transport) (*cluster, error) {
	ledger, err := memory.New(memory.Options{Limit: ledgerBytes})
	if err != nil {
		return nil, err
	}
	l, err := t.listen()
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	c := &cluster{self: shuffle.Server{ID: "keeper-1", Host: "here"}, closeSocket: l.Close, serving: newCrew()}
	if t == unixSocket {
		c.self.Socket = l.Addr().String()
	} else {
		c.self.Address = l.Addr().String()
	}
	process := func(self shuffle.Server) (*flight.Service, *local.Service, arrowmemory.Allocator) {
		alloc := ledger.Child(self.ID, 0).Allocator()
		tier := partition.NewTier(partition.TierOptions{MemoryBytes: ledgerBytes})
		store := local.New(local.Options{Self: self.ID, Alloc: alloc, Tier: tier})
		return flight.New(flight.Options{Self: self, Local: store, Alloc: alloc}), store, alloc
	}
	keeper, store, alloc := process(c.self)
	c.keeper = keeper
	c.producer, _, _ = process(shuffle.Server{ID: "producer-1", Host: "here"})
	c.consumer, _, _ = process(shuffle.Server{ID: "consumer-1", Host: "here"})
	c.server = service.New(service.Options{Self: c.self, Store: store, Alloc: alloc})
	c.grpc = grpc.NewServer(c.server.ServerOptions()...)
	c.server.Register(c.grpc)
	c.serving.run(func() error { return c.grpc.Serve(c.server.Listener(l, service.DoorOptions{})) })
	return c, nil
}

// placement has everything at the keeper.
func (c *cluster) placement(n int) shuffle.Placement {
	return shuffle.Placement{Version: 1, Servers: []shuffle.Server{c.self}, At: make([]uint32, n)}
}

// open declares the exchange where it is used; the keeper's process uses it if it reads.
func (c *cluster) open(ctx context.Context, spec shuffle.Spec, keeperReads bool) error {
	users := []*flight.Service{c.producer, c.consumer}
	if keeperReads {
		users = []*flight.Service{c.producer, c.keeper}
	}
	for _, u := range users {
		if err := u.Open(ctx, spec); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) stop() error {
	err := errors.Join(c.producer.Close(), c.consumer.Close(), c.keeper.Close(), c.server.Close())
	c.grpc.Stop()
	_ = c.closeSocket() // Stop has closed it, but for the directory of a socket
	return errors.Join(err, c.serving.wait())
}

// spec is an exchange of as many lanes and partitions as there are streams, one a
// stream.
func (l *load) spec(retention shuffle.Retention) (shuffle.Spec, error) {
	columns, err := datatype.SchemaFromArrow(l.schema)
	return shuffle.Spec{
		Job: id.Job{1}, Exchange: 1, Schema: columns, Lanes: l.streams, Partitions: l.streams, Retention: retention, Paired: true,
		BudgetBytes: config.ExchangeBudget.Get(config.Config{}), // as jobs have it
	}, err
}

// write sends stream s as a lane and finishes it.
func (l *load) write(ctx context.Context, to shuffle.Service, spec shuffle.Spec, s uint32) (err error) {
	w, err := to.Writer(ctx, spec.Job, spec.Exchange, s, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	for i := range l.each {
		b := l.batches[l.at(int(s), i)]
		b.Retain()
		if err := w.Send(ctx, s, stream.NewBatch(b)); err != nil {
			return err
		}
	}
	_, err = w.Finish(ctx)
	return err
}

// read takes a partition to its end and returns its rows; arrived is told of batches.
func read(ctx context.Context, from shuffle.Service, spec shuffle.Spec, s uint32, arrived func()) (rows int64, err error) {
	r, err := from.Reader(ctx, spec.Job, spec.Exchange, s, 0)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		e, ok, err := r.Poll()
		switch {
		case err != nil:
			return rows, err
		case !ok:
			select {
			case <-r.Ready():
			case <-ctx.Done():
				return rows, ctx.Err()
			}
		case e.Kind == stream.EndOfInput:
			return rows, nil
		case e.Kind == stream.DataElement:
			rows += int64(e.Batch.Len())
			e.Release()
			arrived()
		default:
			return rows, failure.Errorf(failure.Internal, "read %v, sent only rows", e.Kind)
		}
	}
}

// openOurs has writers of as many lanes as there are streams, in the producer's process,
// and one reader of the partition, which is in the keeper's.
func openOurs(ctx context.Context, t transport, streams int, arrived func()) (station, error) {
	cluster, err := startCluster(t)
	if err != nil {
		return station{}, err
	}
	columns, err := datatype.SchemaFromArrow(schema())
	spec := shuffle.Spec{
		Job: id.Job{1}, Exchange: 1, Schema: columns, Lanes: streams, Partitions: 1,
		Retention: shuffle.RetainNone, Placement: cluster.placement(1),
	}
	if err == nil {
		err = cluster.open(ctx, spec, true)
	}
	writers := make([]shuffle.Writer, 0, streams)
	reading := newCrew()
	ctx, cancel := context.WithCancel(ctx)
	stop := func() (err error) {
		defer cancel()
		for _, w := range writers {
			_, finishErr := w.Finish(ctx)
			err = errors.Join(err, finishErr, w.Close())
		}
		if err != nil || len(writers) < streams {
			cancel() // the reader would wait for the end of every lane
		}
		return errors.Join(err, reading.wait(), cluster.stop())
	}
	for lane := uint32(0); err == nil && int(lane) < streams; lane++ {
		var w shuffle.Writer
		if w, err = cluster.producer.Writer(ctx, spec.Job, spec.Exchange, lane, 0); err == nil {
			writers = append(writers, w)
		}
	}
	if err != nil {
		return station{}, errors.Join(err, stop())
	}
	reading.run(func() error {
		_, err := read(ctx, cluster.keeper, spec, 0, arrived)
		return err
	})
	send := func(s int, b arrow.RecordBatch) error {
		b.Retain()
		return writers[s].Send(ctx, 0, stream.NewBatch(b))
	}
	return station{send: send, stop: stop, broken: reading.broken}, nil
}
