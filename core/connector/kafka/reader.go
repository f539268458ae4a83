package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/stream"
)

// reader reads its partitions, one batch of each in turn.
type reader struct {
	o      *options
	env    connector.ReaderEnv
	client *kgo.Client
	away   *away
	decode *decoder
	ledger ledger

	parts  []*part // in hand
	turn   int     // the part to look at first
	of     string
	paused map[string]bool

	ready   chan struct{}
	fetched chan kgo.Fetches // one at most
	taken   chan struct{}    // and that it was taken, before the next one
	stop    context.CancelFunc
	fetcher sync.WaitGroup
}

// part is a partition in hand.
type part struct {
	piece
	records []*kgo.Record // fetched, not decoded
	out     []decoded     // decoded, not returned
	ended   bool          // nothing before End follows
	trouble trouble
}

// done reports whether the partition is read to its end.
func (p *part) done() bool {
	return p.End != noEnd && (p.Next >= p.End || p.ended && len(p.records)+len(p.out) == 0)
}

// trouble is an error that may go away.
type trouble struct {
	since, last time.Time
}

// over is the pause after which an error counts as a new one.
const over = 15 * time.Second

func newReader(o *options, s connector.SourceSpec, env connector.ReaderEnv) (*reader, error) {
	r := &reader{
		o: o, env: env, away: &away{now: env.Now}, ledger: ledger{account: env.Account},
		ready: make(chan struct{}, 1), fetched: make(chan kgo.Fetches, 1), taken: make(chan struct{}, 1),
	}
	var err error
	if r.decode, err = newDecoder(o, s.Columns, env); err != nil {
		return nil, err
	}
	isolation := kgo.ReadCommitted()
	if o.props.dirty {
		isolation = kgo.ReadUncommitted()
	}
	opts := []kgo.Opt{
		kgo.FetchIsolationLevel(isolation), kgo.FetchMaxBytes(o.props.fetchBytes), kgo.FetchMaxPartitionBytes(min(1<<20, o.props.fetchBytes)),
		kgo.FetchMaxWait(max(o.props.fetchWait, 10*time.Millisecond)), kgo.MaxConcurrentFetches(1), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.KeepRetryableFetchErrors(), kgo.WithHooks(r.away),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{}), // directly; Add says which
	}
	if o.bounded() {
		opts = append(opts, kgo.KeepControlRecords()) // the last one of a partition may be one
	}
	// What the client has fetched, and what it has made of it.
	if err := r.ledger.grow(2 * int64(o.props.fetchBytes)); err != nil {
		return nil, fmt.Errorf("memory of what is fetched: %w", err)
	}
	if r.client, err = o.props.connect(opts...); err != nil {
		r.ledger.shrink(r.ledger.held)
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	r.fetcher.Go(func() { r.fetch(ctx) })
	return r, nil
}

// fetch hands over what comes, in a goroutine of its own.
func (r *reader) fetch(ctx context.Context) {
	for {
		f := r.client.PollRecords(ctx, 4*stream.TargetRows)
		if ctx.Err() != nil {
			return
		}
		r.fetched <- f // it is empty
		r.signal()     // after it: who is woken finds what there is
		select {
		case <-r.taken:
		case <-ctx.Done():
			return
		}
	}
}

func (r *reader) signal() {
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

// Add implements connector.Reader.
func (r *reader) Add(s connector.Split) error {
	p, err := parsePiece(s)
	if err != nil {
		return err
	}
	if r.find(p.Topic, p.Partition) != nil {
		return failure.Errorf(failure.Internal, "split %s is here already", s.ID)
	}
	if p.End != noEnd && p.Next >= p.End {
		return nil
	}
	r.parts = append(r.parts, &part{piece: p})
	r.begin(p)
	return nil
}

func (r *reader) begin(p piece) {
	r.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{p.Topic: {p.Partition: kgo.NewOffset().At(p.Next)}})
}

func (r *reader) find(topic string, partition int32) *part {
	for _, p := range r.parts {
		if p.Topic == topic && p.Partition == partition {
			return p
		}
	}
	return nil
}

// Early implements connector.EarlyReader: new partitions are wanted at once.
func (r *reader) Early() bool { return !r.o.bounded() }

// Ready implements connector.Reader.
func (r *reader) Ready() <-chan struct{} { return r.ready }

// Poll implements connector.Reader.
func (r *reader) Poll(ctx context.Context) (*stream.Batch, connector.Wait, error) {
	for {
		b, err := r.next(ctx)
		if b != nil || err != nil {
			return b, connector.NoWait, err
		}
		select {
		case f := <-r.fetched:
			r.taken <- struct{}{}
			if err := r.accept(ctx, f); err != nil {
				return nil, connector.NoWait, err
			}
			continue
		default:
		}
		if err := r.away.check(r.o.props.brokers); err != nil {
			return nil, connector.NoWait, err
		}
		if len(r.parts) == 0 {
			return nil, connector.ForSplit, nil
		}
		return nil, connector.ForData, nil
	}
}

// next returns a batch of what has been fetched, nil if there is none.
func (r *reader) next(ctx context.Context) (*stream.Batch, error) {
	for range len(r.parts) {
		if len(r.parts) == 0 {
			break
		}
		r.turn %= len(r.parts)
		p := r.parts[r.turn]
		if r.paused[p.id()] {
			r.turn++
			continue
		}
		b, err := r.batchOf(ctx, p)
		if err != nil {
			return nil, err
		}
		if p.done() {
			r.finish(p)
		} else {
			r.turn++
		}
		if b != nil {
			r.of = p.id()
			return b, nil
		}
	}
	return nil, nil
}

func (r *reader) batchOf(ctx context.Context, p *part) (*stream.Batch, error) {
	for {
		if len(p.out) > 0 {
			d := p.out[0]
			p.out = p.out[1:]
			p.Next = d.next
			r.decode.tell(d)
			if d.record != nil {
				b := stream.NewBatch(d.record)
				b.Kinds = d.kinds
				return b, nil
			}
			continue
		}
		if len(p.records) == 0 {
			return nil, nil
		}
		n, bytes := r.decode.take(p.records, r.env.BatchRows)
		var err error
		if p.out, err = r.decode.batches(ctx, p.records[:n]); err != nil {
			return nil, err
		}
		clear(p.records[:n])
		p.records = p.records[n:]
		r.ledger.shrink(bytes)
	}
}

// finish drops a partition that is read to its end.
func (r *reader) finish(p *part) {
	r.drop(p)
	r.parts = slices.DeleteFunc(r.parts, func(q *part) bool { return p == q })
	r.client.RemoveConsumePartitions(map[string][]int32{p.Topic: {p.Partition}})
}

// drop forgets what was fetched of a partition and not returned.
func (r *reader) drop(p *part) {
	for _, d := range p.out {
		d.release()
	}
	r.ledger.shrink(sizeOf(p.records))
	p.out, p.records = nil, nil
}

// accept shares out what was fetched.
func (r *reader) accept(ctx context.Context, f kgo.Fetches) error {
	var errs []error
	f.EachPartition(func(t kgo.FetchTopicPartition) {
		p := r.find(t.Topic, t.Partition)
		if p == nil {
			if t.Err != nil && t.Topic == "" { // of the client as a whole
				errs = append(errs, asked("fetch", t.Err))
			}
			return
		}
		if t.Err != nil {
			errs = append(errs, r.troubled(ctx, p, t.Err))
			return
		}
		records := t.Records
		if p.End != noEnd {
			if i := slices.IndexFunc(records, func(m *kgo.Record) bool { return m.Offset >= p.End }); i >= 0 {
				records = records[:i]
				p.ended = true
			}
		}
		if err := r.ledger.grow(sizeOf(records)); err != nil {
			errs = append(errs, err)
			return
		}
		p.records = append(p.records, records...)
	})
	return errors.Join(errs...)
}

// troubled decides what an error of a partition means.
func (r *reader) troubled(ctx context.Context, p *part, err error) error {
	if errors.Is(err, kerr.OffsetOutOfRange) {
		return r.outOfRange(ctx, p)
	}
	where := fmt.Errorf("fetch partition %d of topic %s at offset %d: %w", p.Partition, p.Topic, p.Next, err)
	gone := errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.UnknownTopicID) || errors.Is(err, kerr.InconsistentTopicID)
	if broker, ok := errors.AsType[*kerr.Error](err); ok && !broker.Retriable && !gone {
		return failure.Wrap(failure.Fatal, where)
	}
	if _, lost := errors.AsType[*kgo.ErrDataLoss](err); lost {
		return failure.Wrap(failure.Fatal, where)
	}
	now := r.env.Now()
	if now.Sub(p.trouble.last) > over {
		p.trouble.since = now
	}
	p.trouble.last = now
	switch lasts := now.Sub(p.trouble.since); {
	case gone && lasts > missingPatience:
		return failure.Errorf(failure.Fatal, "topic %s has vanished, or its partition %d: %w", p.Topic, p.Partition, where)
	case lasts > patience:
		return failure.Wrap(failure.Transient, where)
	}
	return nil
}

// outOfRange goes on where the table says, if it does.
func (r *reader) outOfRange(ctx context.Context, p *part) error {
	ctx, stop := within(ctx)
	defer stop()
	admin := kadm.NewClient(r.client)
	first, err := admin.ListStartOffsets(ctx, p.Topic)
	if err != nil {
		return asked("list the offsets of topic "+p.Topic, err)
	}
	last, err := admin.ListEndOffsets(ctx, p.Topic)
	if err != nil {
		return asked("list the offsets of topic "+p.Topic, err)
	}
	start, _ := first.Lookup(p.Topic, p.Partition)
	end, _ := last.Lookup(p.Topic, p.Partition)
	to := start.Offset
	switch p.Reset {
	case "earliest":
	case "latest":
		to = end.Offset
	default:
		return failure.Errorf(failure.BadData, "partition %d of topic %s: offset %d is not there, only %d to %d: rows are lost; 'properties.auto.offset.reset' = 'earliest' goes on without them",
			p.Partition, p.Topic, p.Next, start.Offset, end.Offset)
	}
	r.drop(p)
	p.Next = to
	r.client.RemoveConsumePartitions(map[string][]int32{p.Topic: {p.Partition}})
	if p.End != noEnd && p.Next >= p.End {
		p.End = p.Next
		return nil
	}
	r.begin(p.piece)
	return nil
}

// Of implements connector.SplitReader.
func (r *reader) Of() string { return r.of }

// Splits implements connector.SplitReader.
func (r *reader) Splits() []string {
	out := make([]string, len(r.parts))
	for i, p := range r.parts {
		out[i] = p.id()
	}
	return out
}

// Pause implements connector.SplitReader.
func (r *reader) Pause(splits map[string]bool) {
	hold, resume := map[string][]int32{}, map[string][]int32{}
	for _, p := range r.parts {
		switch now := splits[p.id()]; {
		case now == r.paused[p.id()]:
		case now:
			hold[p.Topic] = append(hold[p.Topic], p.Partition)
		default:
			resume[p.Topic] = append(resume[p.Topic], p.Partition)
		}
	}
	r.paused = splits
	if len(hold) > 0 {
		r.client.PauseFetchPartitions(hold)
	}
	if len(resume) > 0 {
		r.client.ResumeFetchPartitions(resume)
		r.signal()
	}
}

// Snapshot implements connector.Reader.
func (r *reader) Snapshot() ([]connector.Split, error) {
	out := make([]connector.Split, len(r.parts))
	for i, p := range r.parts {
		var err error
		if out[i], err = p.split(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Close implements connector.Reader.
func (r *reader) Close() error {
	r.stop()
	r.fetcher.Wait()
	for _, p := range r.parts {
		r.drop(p)
	}
	r.client.Close()
	r.ledger.shrink(r.ledger.held)
	return nil
}

var (
	_ connector.EarlyReader = (*reader)(nil)
	_ connector.SplitReader = (*reader)(nil)
)

func sizeOf(records []*kgo.Record) (n int64) {
	for _, m := range records {
		n += recordBytes + int64(len(m.Key)+len(m.Value))
	}
	return n
}

// recordBytes is what a record takes besides its key and value.
const recordBytes = 200
