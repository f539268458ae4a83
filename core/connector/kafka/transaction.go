package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
)

// transaction is what a committable's Data says: all that is needed to end it.
type transaction struct {
	Version  int
	ID       string
	Producer int64
	Epoch    int16
	// Second: the broker gives each transaction an epoch of its own, and the request that
	// ends it says so.
	Second bool
	Topic  string
	Wrote  []offsets
	Rows   int64
}

// offsets are those of the first and last message in a partition.
type offsets struct {
	Partition   int32
	First, Last int64
}

func parseTransaction(c connector.Committable) (transaction, error) {
	var t transaction
	if err := json.Unmarshal(c.Data, &t); err != nil || t.Version != dataVersion {
		return t, failure.Errorf(failure.Fatal, "decode committable of version %d: %w", t.Version, err)
	}
	return t, nil
}

// String names the transaction and what is in it.
func (t transaction) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "transaction %s with %d rows in topic %s", t.ID, t.Rows, t.Topic)
	for i, o := range t.Wrote {
		if i == 8 {
			fmt.Fprintf(&b, ", and %d more partitions", len(t.Wrote)-i)
			break
		}
		fmt.Fprintf(&b, ", partition %d offsets %d to %d", o.Partition, o.First, o.Last)
	}
	return b.String()
}

// Limits of ending transactions.
const (
	endPatience = 30 * time.Second // while the broker is busy with it
	endPause    = 50 * time.Millisecond
	seePatience = 10 * time.Second // until a reader has seen the first message
)

// ender ends transactions.
type ender struct {
	props *properties
	first *kgo.Client // for brokers of the first kind of transactions; nil: not needed yet
	other *kgo.Client
}

func (e *ender) client(second bool) (*kgo.Client, error) {
	to, opts := &e.first, []kgo.Opt(nil)
	if second {
		to = &e.other
	} else { // what ends the second kind is another version of the request
		v := kversion.Stable()
		v.SetMaxKeyVersion(kmsg.EndTxn.Int16(), 4)
		opts = append(opts, kgo.MaxVersions(v))
	}
	var err error
	if *to == nil {
		*to, err = e.props.connect(opts...)
	}
	return *to, err
}

func (e *ender) close() {
	for _, c := range []*kgo.Client{e.first, e.other} {
		if c != nil {
			c.Close()
		}
	}
}

// end asks for the end of a transaction until the broker says that it is done.
func (e *ender) end(ctx context.Context, t transaction, commit bool) error {
	client, err := e.client(t.Second)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, endPatience)
	defer stop()
	for pause := endPause; ; pause = min(2*pause, time.Second) {
		r := kmsg.NewPtrEndTxnRequest()
		r.TransactionalID, r.ProducerID, r.ProducerEpoch, r.Commit = t.ID, t.Producer, t.Epoch, commit
		answer, err := r.RequestWith(ctx, client)
		if err == nil {
			err = kerr.ErrorForCode(answer.ErrorCode)
		}
		if err == nil || !kerr.IsRetriable(err) && !errors.Is(err, kerr.ConcurrentTransactions) { // which the broker is still writing the end of
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// isOver reports whether err says that the transaction had an end before.
func isOver(err error) bool {
	for _, e := range []error{kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.InvalidTxnState, kerr.InvalidProducerIDMapping, kerr.UnknownProducerID, kerr.TransactionalIDNotFound} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// published reports whether the messages of a transaction that has an end are there, by
// looking for the first one of each partition.
func (e *ender) published(ctx context.Context, t transaction) (bool, error) {
	for _, o := range t.Wrote {
		if there, err := e.sees(ctx, t, o); !there || err != nil {
			return false, err
		}
	}
	return len(t.Wrote) > 0, nil
}

func (e *ender) sees(ctx context.Context, t transaction, o offsets) (bool, error) {
	client, err := e.props.connect(kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{t.Topic: {o.Partition: kgo.NewOffset().At(o.First)}}))
	if err != nil {
		return false, err
	}
	defer client.Close()
	ctx, stop := context.WithTimeout(ctx, seePatience)
	defer stop()
	for {
		f := client.PollRecords(ctx, 1)
		if errors.Is(f.Err(), kerr.OffsetOutOfRange) {
			return false, nil
		}
		if err := f.Err(); err != nil {
			return false, asked(fmt.Sprintf("look for offset %d of partition %d of topic %s", o.First, o.Partition, t.Topic), err)
		}
		for _, r := range f.Records() {
			return r.Offset == o.First && r.ProducerID == t.Producer && !r.Attrs.IsControl(), nil
		}
	}
}

// names of a writer's transactions: PREFIX-JOB-VERTEX-SUBTASK-ATTEMPT-NONCE-NUMBER.
type names struct {
	base    string // up to the vertex
	index   uint32
	attempt uint32
	nonce   string
}

func (n names) of(number int) string {
	return fmt.Sprintf("%s-%d-%d-%s-%d", n.base, n.index, n.attempt, n.nonce, number)
}

// parse reads subtask, attempt and nonce of a name of the same job's vertex.
func (n names) parse(id string) (index, attempt uint32, nonce string, ok bool) {
	rest, ok := strings.CutPrefix(id, n.base+"-")
	parts := strings.Split(rest, "-")
	if !ok || len(parts) != 4 {
		return 0, 0, "", false
	}
	i, err := strconv.ParseUint(parts[0], 10, 32)
	a, err2 := strconv.ParseUint(parts[1], 10, 32)
	return uint32(i), uint32(a), parts[2], err == nil && err2 == nil
}

// abandon aborts what former attempts of subtasks have left open, except keep. A broker
// that cannot list transactions ends them when their time is over.
func abandon(ctx context.Context, client *kgo.Client, n names, subtasks []uint32, keep []string) error {
	ctx, stop := within(ctx)
	defer stop()
	open, err := kadm.NewClient(client).ListTransactions(ctx, nil, []string{"Ongoing"})
	if err != nil {
		if broker, ok := errors.AsType[*kerr.Error](err); ok && !broker.Retriable || errors.Is(err, kerr.UnsupportedVersion) {
			return nil
		}
		return asked("list open transactions", err)
	}
	for _, t := range open {
		index, attempt, nonce, ok := n.parse(t.TxnID)
		if !ok || !slices.Contains(subtasks, index) || index == n.index && attempt > n.attempt || nonce == n.nonce || slices.Contains(keep, t.TxnID) {
			continue
		}
		r := kmsg.NewPtrInitProducerIDRequest()
		r.TransactionalID, r.TransactionTimeoutMillis = &t.TxnID, 60_000
		answer, err := r.RequestWith(ctx, client)
		if err == nil {
			err = kerr.ErrorForCode(answer.ErrorCode)
		}
		if err != nil && !errors.Is(err, kerr.ConcurrentTransactions) {
			return asked("abort transaction "+t.TxnID+" of a former attempt", err)
		}
	}
	return nil
}

// second reports whether the brokers have the second kind of transactions.
func second(ctx context.Context, client *kgo.Client) (bool, error) {
	r := kmsg.NewPtrApiVersionsRequest()
	answer, err := r.RequestWith(ctx, client)
	if err != nil {
		return false, asked("ask what brokers can do", err)
	}
	for _, f := range answer.FinalizedFeatures {
		if f.Name == "transaction.version" {
			return f.MaxVersionLevel >= 2, nil
		}
	}
	return false, nil
}
