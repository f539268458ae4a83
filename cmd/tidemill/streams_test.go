//go:build streams

package main_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A topic is copied into another one by a cluster of real processes, exactly once, while
// workers and the broker are killed and come back. A reader of committed rows sees each
// row once.
func TestStreamsKafkaToKafka(t *testing.T) {
	copyTopic(t, 40_000, 4, "n BIGINT, pad STRING", "'connector' = 'kafka', 'format' = 'json'", "'scan.startup.mode' = 'earliest-offset'")
}

// So is a topic of changes by key, by a job that passes them on as they are.
func TestStreamsUpsertToUpsert(t *testing.T) {
	copyTopic(t, 15_000, 2, "n BIGINT, pad STRING, PRIMARY KEY (n) NOT ENFORCED",
		"'connector' = 'upsert-kafka', 'key.format' = 'json', 'value.format' = 'json'", "'scan.topic-partition-discovery.interval' = '5 min'")
}

// copyTopic copies rows while workers and the broker are killed so many times; connect is what
// both tables are with, and source what the first one is.
func copyTopic(t *testing.T, rows, times int, columns, connect, source string) {
	k := newCopied(t)
	m := newMill(t, "--workers", "2")
	put(t, m.work, "copy.sql", fmt.Sprintf(`
		SET 'execution.runtime-mode' = 'streaming';
		SET 'execution.checkpointing.interval' = '500 ms';
		SET 'state.checkpoints.dir' = '%s/checkpoints';
		SET 'parallelism.default' = '2';
		SET 'restart-strategy.type' = 'fixed-delay';
		SET 'restart-strategy.fixed-delay.attempts' = '1000';
		SET 'restart-strategy.fixed-delay.delay' = '200 ms';
		CREATE TABLE a (%s) WITH (%s, 'properties.bootstrap.servers' = '%s', 'topic' = '%s', %s);
		CREATE TABLE b (%s) WITH (%s, 'properties.bootstrap.servers' = '%s', 'topic' = '%s',
			'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = '%s', 'properties.transaction.timeout.ms' = '60000');
		INSERT INTO b SELECT n, pad FROM a;`, m.work, columns, connect, k.at, k.in, source, columns, connect, k.at, k.out, k.out))
	o := m.run("submit", "copy.sql")
	if o.code != 0 {
		t.Fatalf("submit: exit code %d\n%s", o.code, o.stderr)
	}
	job := lines(o.stdout)[0]

	var seen atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	sent := make(chan error, 1)
	go func() { sent <- k.send(ctx, rows, &seen) }()
	kills := []func(){
		func() { k.killWorker(m, "worker-1") }, k.killBroker, func() { k.killWorker(m, "worker-2") },
		func() { k.killWorker(m, "worker-1"); k.killBroker() },
	}[:times]
	done, begun := 0, time.Now()
	k.read(rows, func(n int) {
		seen.Store(int64(n))
		if done < len(kills) && n >= rows/(len(kills)+1)*(done+1) {
			since := time.Now()
			kills[done]()
			done++
			t.Logf("%v: %d rows, kill %d took %v", since.Sub(begun).Round(time.Millisecond), n, done, time.Since(since).Round(time.Millisecond))
		}
	})
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if o := m.run("cancel", "-w", job); o.code != 0 {
		t.Errorf("cancel: exit code %d\n%s\n%s", o.code, o.stderr, m.run("why", job).stdout)
	}
	if done < len(kills) {
		t.Errorf("%d kills", done)
	}
	k.check(rows)
}

// copied is the topics of the test, and their broker.
type copied struct {
	t       *testing.T
	at, dir string // of the broker
	in, out string
	client  *kgo.Client
}

func newCopied(t *testing.T) *copied {
	t.Helper()
	k := &copied{t: t, at: os.Getenv("TIDEMILL_KAFKA"), dir: os.Getenv("TIDEMILL_KAFKA_SERVER"), in: "in" + strings.ToLower(rand.Text()), out: "out" + strings.ToLower(rand.Text())}
	if k.at == "" {
		t.Fatal("TIDEMILL_KAFKA names no broker; run: make test-streams")
	}
	var err error
	if k.client, err = kgo.NewClient(kgo.SeedBrokers(k.at), kgo.RecordPartitioner(kgo.RoundRobinPartitioner())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.client.Close)
	for _, topic := range []string{k.in, k.out} {
		if _, err := kadm.NewClient(k.client).CreateTopic(t.Context(), 4, 1, nil, topic); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// send keeps a few thousand rows ahead of what has been seen.
func (k *copied) send(ctx context.Context, rows int, seen *atomic.Int64) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var failed atomic.Pointer[error]
	for n := 0; n < rows; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		for batch := 0; batch < 100 && n < rows && int64(n) < seen.Load()+8000; batch++ {
			k.client.Produce(ctx, &kgo.Record{Topic: k.in, Key: fmt.Appendf(nil, `{"n":%d}`, n), Value: fmt.Appendf(nil, `{"n":%d,"pad":"row %d"}`, n, n)}, func(_ *kgo.Record, err error) {
				if err != nil {
					failed.Store(&err)
				}
			})
			n++
		}
	}
	err := k.client.Flush(ctx)
	if e := failed.Load(); e != nil {
		err = errors.Join(err, *e)
	}
	return err
}

func (k *copied) reader() *kgo.Client {
	r, err := kgo.NewClient(kgo.SeedBrokers(k.at), kgo.ConsumeTopics(k.out), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.KeepControlRecords())
	if err != nil {
		k.t.Fatal(err)
	}
	return r
}

// read tells how many committed rows there are, until there are enough.
func (k *copied) read(rows int, tell func(n int)) {
	r := k.reader()
	defer r.Close()
	ctx, stop := context.WithTimeout(k.t.Context(), 3*time.Minute)
	defer stop()
	for n := 0; n < rows; tell(n) {
		r.PollFetches(ctx).EachRecord(func(m *kgo.Record) {
			if !m.Attrs.IsControl() {
				n++
			}
		})
		if ctx.Err() != nil {
			k.t.Fatalf("%d rows of %d were committed", n, rows)
		}
	}
}

// check reads the topic from its beginning to its end: each row is there once.
func (k *copied) check(rows int) {
	k.t.Helper()
	ends, err := kadm.NewClient(k.client).ListCommittedOffsets(k.t.Context(), k.out)
	if err != nil {
		k.t.Fatal(err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	times := make([]int, rows)
	r := k.reader()
	defer r.Close()
	for len(left) > 0 && k.t.Context().Err() == nil {
		r.PollFetches(k.t.Context()).EachRecord(func(m *kgo.Record) {
			if !m.Attrs.IsControl() {
				text, _, _ := strings.Cut(strings.TrimPrefix(string(m.Value), `{"n":`), ",")
				n, err := strconv.Atoi(text)
				if err != nil || n < 0 || n >= rows {
					k.t.Errorf("row %s", m.Value)
				} else {
					times[n]++
				}
			}
			if m.Offset+1 >= left[m.Partition] {
				delete(left, m.Partition)
			}
		})
	}
	lost, twice := 0, 0
	for _, n := range times {
		if n == 0 {
			lost++
		} else if n > 1 {
			twice++
		}
	}
	k.t.Logf("%d rows: %d lost, %d twice", rows, lost, twice)
	if lost+twice > 0 {
		k.t.Errorf("%d rows: %d lost, %d twice", rows, lost, twice)
	}
}

func (k *copied) killWorker(m *mill, name string) {
	if err := syscall.Kill(m.member(name).PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		k.t.Error(err)
	}
}

// killBroker kills the broker and brings it back.
func (k *copied) killBroker() {
	for _, verb := range []string{"kill", "start"} {
		if out, err := exec.Command("../../tools/streams/kafka.sh", verb, k.dir).CombinedOutput(); err != nil {
			k.t.Fatalf("%s: %v\n%s", verb, err, out)
		}
	}
}
