package kafka

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
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

const (
	// reuseAfter is how many transactions follow one before its id is used again.
	reuseAfter = 16
	// keptNames is how many of the last prepared transactions a writer's state names.
	keptNames = 4
	// abortPatience bounds what Close does for others.
	abortPatience = 3 * time.Second
)

// writer sends rows, in a transaction for each checkpoint where that is wanted.
type writer struct {
	o      *options
	names  names
	encode *encoder
	ledger ledger

	client   *kgo.Client // nil: none is open
	name     string      // of the transaction that is open
	second   bool
	number   int      // of names that were made
	prepared []string // names in use or done, oldest first
	sent     sent
}

// sent is what has become of messages; clients' goroutines tell it.
type sent struct {
	mu    sync.Mutex
	err   error
	rows  int64
	bytes int64
	wrote map[int32]offsets
}

// saved is a writer's snapshot.
type saved struct {
	Version  int
	Index    uint32
	Prepared []string // that the checkpoint may have to commit yet
}

func newWriter(ctx context.Context, o *options, s connector.SinkSpec, env connector.WriterEnv) (*writer, error) {
	w := &writer{o: o, ledger: ledger{account: env.Account}}
	var err error
	if w.encode, err = newEncoder(o, s.Columns, env.Alloc); err != nil {
		return nil, err
	}
	nonce := make([]byte, 4)
	rand.Read(nonce) // which never fails
	at := env.Attempt
	w.names = names{
		base: fmt.Sprintf("%s-%x-%d", o.prefix, s.Job[:6], at.Subtask.Vertex), index: at.Subtask.Index, attempt: at.N,
		nonce: hex.EncodeToString(nonce),
	}
	if err := w.ledger.grow(sendBytes); err != nil {
		return nil, fmt.Errorf("memory of what is sent: %w", err)
	}
	if o.guarantee == exactlyOnce {
		if err := w.abandon(ctx, env.Restored); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	return w, nil
}

// abandon aborts what former attempts have left.
func (w *writer) abandon(ctx context.Context, restored [][]byte) error {
	subtasks, keep := []uint32{w.names.index}, []string(nil)
	for _, data := range restored {
		var s saved
		if err := json.Unmarshal(data, &s); err != nil || s.Version != dataVersion {
			return failure.Errorf(failure.Fatal, "state of a writer of table %s of version %d: %w", w.o.table.Name, s.Version, err)
		}
		subtasks, keep = append(subtasks, s.Index), append(keep, s.Prepared...)
	}
	client, err := w.o.props.connect()
	if err != nil {
		return err
	}
	defer client.Close()
	return abandon(ctx, client, w.names, subtasks, keep)
}

// open makes a client, and begins a transaction with it.
func (w *writer) open(ctx context.Context) error {
	p := &w.o.props
	opts := []kgo.Opt{
		kgo.ProducerBatchCompression(p.codec), kgo.ProducerLinger(p.linger), kgo.MaxBufferedBytes(sendBytes),
		kgo.RecordDeliveryTimeout(p.delivery), kgo.UnknownTopicRetries(3), kgo.AllowAutoTopicCreation(), kgo.RecordPartitioner(w.partitioner()),
	}
	if w.o.guarantee != exactlyOnce {
		client, err := p.connect(opts...)
		w.client = client
		return err
	}
	name, err := w.nextName(ctx)
	if err != nil {
		return err
	}
	client, err := p.connect(append(opts, kgo.TransactionalID(name), kgo.TransactionTimeout(p.txnTimeout))...)
	if err != nil {
		return err
	}
	if err := w.begin(ctx, client); err != nil {
		client.Close()
		return err
	}
	w.client, w.name = client, name
	w.sent.wrote = map[int32]offsets{}
	return nil
}

func (w *writer) begin(ctx context.Context, client *kgo.Client) (err error) {
	ctx, stop := within(ctx)
	defer stop()
	if _, _, err := client.ProducerID(ctx); err != nil {
		if errors.Is(err, kerr.InvalidTransactionTimeout) {
			return failure.Errorf(failure.Usage, "option 'properties.transaction.timeout.ms': the brokers' transaction.max.timeout.ms is shorter than %v: %w", w.o.props.txnTimeout, err)
		}
		return asked("begin a transaction", err)
	}
	if w.second, err = second(ctx, client); err != nil {
		return err
	}
	if err := client.BeginTransaction(); err != nil {
		return asked("begin a transaction", err)
	}
	return nil
}

// nextName is the name of a transaction that is long over, or a new one.
func (w *writer) nextName(ctx context.Context) (string, error) {
	if len(w.prepared) >= reuseAfter {
		oldest := w.prepared[0]
		over, err := w.isOver(ctx, oldest)
		if err != nil {
			return "", err
		}
		if over {
			w.prepared = w.prepared[1:]
			return oldest, nil
		}
	}
	w.number++
	return w.names.of(w.number), nil
}

func (w *writer) isOver(ctx context.Context, name string) (bool, error) {
	ctx, stop := within(ctx)
	defer stop()
	client, err := w.o.props.connect()
	if err != nil {
		return false, err
	}
	defer client.Close()
	all, err := kadm.NewClient(client).DescribeTransactions(ctx, name)
	if err != nil {
		return false, asked("look at transaction "+name, err)
	}
	t, ok := all[name]
	return ok && t.Err == nil && (t.State == "CompleteCommit" || t.State == "CompleteAbort" || t.State == "Empty"), nil
}

func (w *writer) partitioner() kgo.Partitioner {
	switch w.o.spread {
	case "fixed":
		index := int(w.names.index)
		return kgo.BasicConsistentPartitioner(func(string) func(*kgo.Record, int) int {
			return func(_ *kgo.Record, n int) int { return index % n }
		})
	case "round-robin":
		return kgo.RoundRobinPartitioner()
	default:
		return kgo.StickyKeyPartitioner(nil)
	}
}

// Write implements connector.Writer.
func (w *writer) Write(ctx context.Context, b *stream.Batch) error {
	defer b.Release()
	records, err := w.encode.records(ctx, b)
	if err != nil || len(records) == 0 {
		return err
	}
	if w.client == nil {
		if err := w.open(ctx); err != nil {
			return err
		}
	}
	for _, r := range records {
		w.client.Produce(ctx, r, w.sent.done) // waits for room
	}
	return w.undelivered()
}

// done notes what has become of a message.
func (s *sent) done(r *kgo.Record, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if s.err == nil {
			s.err = err
		}
		return
	}
	s.rows++
	s.bytes += int64(len(r.Key) + len(r.Value))
	if s.wrote == nil {
		return
	}
	o, ok := s.wrote[r.Partition]
	if !ok {
		o = offsets{r.Partition, r.Offset, r.Offset}
	}
	o.First, o.Last = min(o.First, r.Offset), max(o.Last, r.Offset)
	s.wrote[r.Partition] = o
}

func (w *writer) undelivered() error {
	w.sent.mu.Lock()
	defer w.sent.mu.Unlock()
	if err := w.sent.err; err != nil {
		return asked("send to topic "+w.encode.topic, err)
	}
	return nil
}

// Prepare implements connector.Writer.
func (w *writer) Prepare(ctx context.Context) ([]connector.Committable, error) {
	if w.client == nil {
		return nil, nil
	}
	if err := w.flush(ctx); err != nil {
		return nil, err
	}
	w.sent.mu.Lock()
	c := connector.Committable{Rows: w.sent.rows, Bytes: w.sent.bytes}
	var wrote []offsets
	for _, o := range w.sent.wrote {
		wrote = append(wrote, o)
	}
	w.sent.rows, w.sent.bytes = 0, 0
	w.sent.mu.Unlock()
	if w.o.guarantee != exactlyOnce {
		if c.Rows == 0 {
			return nil, nil
		}
		return []connector.Committable{c}, nil
	}
	producer, epoch, err := w.client.ProducerID(ctx)
	if err != nil {
		return nil, asked("prepare a transaction", err)
	}
	slices.SortFunc(wrote, func(a, b offsets) int { return cmp.Compare(a.Partition, b.Partition) })
	c.Data, err = json.Marshal(transaction{
		Version: dataVersion, ID: w.name, Producer: producer, Epoch: epoch, Second: w.second, Topic: w.encode.topic, Wrote: wrote, Rows: c.Rows,
	})
	if err != nil {
		return nil, fmt.Errorf("encode a committable: %w", err)
	}
	w.client.Close() // the transaction stays open
	w.client, w.prepared = nil, append(w.prepared, w.name)
	return []connector.Committable{c}, nil
}

// flush waits until all messages are acknowledged.
func (w *writer) flush(ctx context.Context) error {
	bounded, stop := context.WithTimeout(ctx, w.o.props.delivery+askTimeout)
	defer stop()
	if err := w.client.Flush(bounded); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return failure.Errorf(failure.Transient, "send to topic %s: %d messages are not acknowledged after %v: %w",
			w.encode.topic, w.client.BufferedProduceRecords(), w.o.props.delivery+askTimeout, err)
	}
	return w.undelivered()
}

// Snapshot implements connector.Writer.
func (w *writer) Snapshot() ([]byte, error) {
	if w.o.guarantee != exactlyOnce {
		return nil, nil
	}
	last := w.prepared[max(0, len(w.prepared)-keptNames):]
	return json.Marshal(saved{Version: dataVersion, Index: w.names.index, Prepared: last})
}

// Close implements connector.Writer. What was not prepared is aborted, if a broker is
// there to be told.
func (w *writer) Close() error {
	if w.client != nil {
		ctx, stop := context.WithTimeout(context.Background(), abortPatience)
		defer stop()
		if w.o.guarantee == exactlyOnce && w.client.AbortBufferedRecords(ctx) == nil {
			_ = w.client.EndTransaction(ctx, kgo.TryAbort) // else the next attempt aborts it, or its time ends
		}
		w.client.Close()
		w.client = nil
	}
	w.ledger.shrink(w.ledger.held)
	return nil
}
