package minicluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/connector/nexmark"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/sql/parser"
)

// A streaming job gets another parallelism while it runs: its output is what one job would
// have written that ran through. Each test compares the files of the stream with what a
// batch job says of the same events.

const bids = `
	CREATE TABLE events (event_type INT,
		person ROW<id BIGINT, "dateTime" TIMESTAMP(3)>, auction ROW<id BIGINT, "dateTime" TIMESTAMP(3)>,
		bid ROW<auction BIGINT, bidder BIGINT, price BIGINT, "dateTime" TIMESTAMP(3)>,
		at AS CASE event_type WHEN 0 THEN person."dateTime" WHEN 1 THEN auction."dateTime" ELSE bid."dateTime" END,
		WATERMARK FOR at AS at - INTERVAL '4' SECOND
	) WITH ('connector' = 'held', 'events.num' = '40000', 'event-rate' = '1000', 'tps' = '10000');
	CREATE VIEW bids AS SELECT bid.bidder, bid.price, at FROM events WHERE event_type = 2;
	CREATE TABLE out (w TIMESTAMP(3), bidder BIGINT, n BIGINT, s BIGINT)
		WITH ('connector' = 'filesystem', 'path' = '%s', 'format' = 'parquet');`

// held is connector nexmark whose events are due until three quarters of them have come, and
// the others when they are let go: however slow the machine is, a job does not end before.
type held struct {
	nexmark.Connector
	begin atomic.Pointer[time.Time]
	free  atomic.Bool
}

const holdAfter = 3 * time.Second // of the four that the events of bids take

func (*held) Name() string { return "held" }

// Enumerator implements connector.Connector.
func (h *held) Enumerator(ctx context.Context, s connector.SourceSpec, restored []byte) (connector.Enumerator, error) {
	now := time.Now()
	h.begin.CompareAndSwap(nil, &now)
	return h.Connector.Enumerator(ctx, s, restored)
}

// Reader implements connector.Connector.
func (h *held) Reader(ctx context.Context, s connector.SourceSpec, env connector.ReaderEnv) (connector.Reader, error) {
	clock := env.Now
	env.Now = func() time.Time {
		now := clock()
		if last := h.begin.Load().Add(holdAfter); !h.free.Load() && now.After(last) {
			return last
		}
		return now
	}
	return h.Connector.Reader(ctx, s, env)
}

// scaled is a job that runs.
type scaled struct {
	*nodes
	t      *testing.T
	held   *held
	result client.Result
	job    id.Job
}

// startScaled leaves the last statement of a script running.
func startScaled(t *testing.T, settings map[string]string, script string) *scaled {
	t.Helper()
	h := &held{}
	n := startNodesWith(t, settings, map[string]string{"io.tmp.dir": t.TempDir()}, h)
	statements, err := parser.ParseScript(script)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range statements {
		r, err := n.session.Execute(t.Context(), script, s)
		if err != nil {
			t.Fatal(err)
		}
		if i < len(statements)-1 {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		job, _ := r.(interface{ Job() (id.Job, bool) }).Job()
		return &scaled{nodes: n, t: t, held: h, result: r, job: job}
	}
	return nil
}

func (s *scaled) status() *rpc.JobStatus {
	s.t.Helper()
	status, err := s.Client().GetJob(s.t.Context(), &rpc.GetJobRequest{Job: s.job[:]})
	if err != nil {
		s.t.Fatal(err)
	}
	return status
}

func (s *scaled) rescale(p uint32) {
	s.t.Helper()
	if _, err := s.Client().Rescale(s.t.Context(), &rpc.RescaleRequest{Job: s.job[:], Parallelism: p}); err != nil {
		s.t.Fatal(err)
	}
}

// await waits until the job runs with so many subtasks at the widest, and has taken
// checkpoints since.
func (s *scaled) await(p int) {
	s.t.Helper()
	ctx, stop := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for taken := uint64(0); ; {
		now := s.status()
		if now.GetOver() {
			s.t.Fatalf("the job has ended before it ran with %d: %s %s\n%v", p, now.GetState(), now.GetCause().GetText(), now.GetDecisions())
		}
		switch {
		case !runs(now, p):
			taken = 0
		case taken == 0:
			taken = now.GetCheckpoints() + 1
		case now.GetCheckpoints() > taken:
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("the job does not come to run with %d:\n%v", p, now)
		}
	}
}

func runs(s *rpc.JobStatus, p int) bool {
	widest := 0
	for _, v := range s.GetVertices() {
		widest = max(widest, int(v.GetParallelism()))
		if v.GetSubtasks()["RUNNING"]+v.GetSubtasks()["FINISHED"] != v.GetParallelism() {
			return false
		}
	}
	return widest == p
}

// end lets the last events go and reads the result to its end.
func (s *scaled) end() {
	s.t.Helper()
	s.held.free.Store(true)
	if _, err := read(s.t.Context(), s.result); err != nil {
		s.t.Fatalf("%v\n%v", err, s.status())
	}
	if err := s.result.Close(); err != nil {
		s.t.Fatal(err)
	}
}

func streamSettings(t *testing.T, more map[string]string) map[string]string {
	out := map[string]string{
		"execution.runtime-mode": "streaming", "execution.checkpointing.interval": "50 ms", "state.checkpoints.dir": t.TempDir(),
		"exchange.batch-retention": "automatic", "jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout": "10 ms",
		"jobmanager.adaptive-scheduler.rescale.standby-min-size": "1 b", // state is restored ahead
	}
	for k, v := range more {
		out[k] = v
	}
	return out
}

const windows = `
	INSERT INTO out SELECT window_start, bidder, COUNT(*), SUM(price)
	FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(at), INTERVAL '2' SECOND))
	GROUP BY window_start, window_end, bidder`

// compare says where the output of the stream is not what a batch job says.
func (s *scaled) compare(expect string) {
	s.t.Helper()
	sorted := func(text string) []string {
		rows, _ := s.query(s.t, "SET 'execution.runtime-mode' = 'batch'; "+text)
		lines := strings.Split(rows, "\n")
		slices.Sort(lines)
		return lines
	}
	got, want := sorted("SELECT * FROM out"), sorted(expect)
	if !slices.Equal(got, want) {
		s.t.Errorf("the stream has %d rows, want %d; the first of them:\n%s\n%s", len(got), len(want), strings.Join(got[:min(5, len(got))], "\n"), strings.Join(want[:min(5, len(want))], "\n"))
	}
}

const (
	takenAhead = "state was restored ahead"
	notAhead   = "a worker has not restored state ahead"
	inVain     = "state was restored ahead in vain"
)

func TestRescaleWindows(t *testing.T) {
	s := startScaled(t, streamSettings(t, map[string]string{"parallelism.default": "1"}), fmt.Sprintf(bids, t.TempDir())+windows)
	s.await(1)
	all := int64(0)
	for _, p := range []int{2, 1, 3} {
		s.rescale(uint32(p))
		s.await(p)
		if all += int64(p); s.log.count(takenAhead) != all || s.log.count(inVain) != 0 {
			t.Errorf("with %d: state of %d subtasks was restored ahead, want %d; in vain that of %d", p, s.log.count(takenAhead), all, s.log.count(inVain))
		}
	}
	s.end()
	s.compare(strings.TrimPrefix(strings.TrimSpace(windows), "INSERT INTO out"))
}

const updating = `
	INSERT INTO out SELECT MAX(at), bidder, COUNT(*), SUM(price) FROM bids GROUP BY bidder`

// Where workers cannot restore state ahead it is restored as ever.
func TestRescaleWithoutStandby(t *testing.T) {
	s := startScaled(t, streamSettings(t, map[string]string{"parallelism.default": "1"}), fmt.Sprintf(bids, t.TempDir())+windows)
	s.await(1)
	fault := func(method string) error {
		if method == "worker.StandBy" {
			return errors.New("wire cut")
		}
		return nil
	}
	s.fault.Store(&fault)
	for _, p := range []int{2, 1} {
		s.rescale(uint32(p))
		s.await(p)
	}
	if s.log.count(takenAhead) != 0 || s.log.count(notAhead) == 0 {
		t.Errorf("state of %d subtasks was restored ahead, and %d workers could not", s.log.count(takenAhead), s.log.count(notAhead))
	}
	s.end()
	s.compare(strings.TrimPrefix(strings.TrimSpace(windows), "INSERT INTO out"))
}

// A job that is cancelled while workers restore its state ahead ends, and leaves nothing.
func TestCancelledWhileItStandsBy(t *testing.T) {
	s := startScaled(t, streamSettings(t, map[string]string{"parallelism.default": "1"}), fmt.Sprintf(bids, t.TempDir())+windows)
	s.await(1)
	began, cancelled := make(chan struct{}, 2), make(chan struct{})
	fault := func(method string) error {
		if method == "worker.StandBy" {
			began <- struct{}{}
			<-cancelled
		}
		return nil
	}
	s.fault.Store(&fault)
	s.rescale(2)
	<-began
	if waits := s.status().GetWaits(); !slices.ContainsFunc(waits, func(w *rpc.Wait) bool { return strings.Contains(w.GetReason(), "restored where it will be") }) {
		t.Errorf("it is not told what it waits for: %v", waits)
	}
	if _, err := s.Client().CancelJob(t.Context(), &rpc.CancelJobRequest{Job: s.job[:]}); err != nil {
		t.Fatal(err)
	}
	s.waitFor("its attempts to end", func() bool {
		return !slices.ContainsFunc(s.status().GetVertices(), func(v *rpc.VertexStatus) bool { return v.GetSubtasks()["RUNNING"] > 0 })
	})
	close(cancelled)
	s.waitFor("its end", func() bool { return s.status().GetOver() })
	if err := s.result.Close(); err != nil {
		t.Error(err)
	}
	if n := s.log.count(takenAhead); n != 0 {
		t.Errorf("state of %d subtasks was restored ahead", n)
	}
}

// A group-by that takes rows back keeps a value for each key; it is the last ones that
// are written.
func TestRescaleUpdating(t *testing.T) {
	s := startScaled(t, streamSettings(t, map[string]string{"parallelism.default": "3"}), fmt.Sprintf(bids, t.TempDir())+updating)
	s.await(3)
	for _, p := range []int{1, 4, 2} {
		s.rescale(uint32(p))
		s.await(p)
	}
	s.end()
	s.compare(strings.TrimPrefix(strings.TrimSpace(updating), "INSERT INTO out"))
}

// A worker dies: the job goes on with the slots that are left. One comes: it grows to what
// was asked for, and no further.
func TestStreamFollowsSlots(t *testing.T) {
	s := startScaled(t, streamSettings(t, map[string]string{
		"parallelism.default": "4", "jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling": "10 ms",
	}), fmt.Sprintf(bids, t.TempDir())+windows)
	s.await(4)
	if err := s.Kill("worker-1"); err != nil {
		t.Fatal(err)
	}
	s.await(2)
	s.rescale(3) // there are no slots
	s.await(2)
	if waits := s.status().GetWaits(); !slices.ContainsFunc(waits, func(w *rpc.Wait) bool { return w.GetPart() == "parallelism 3" }) {
		t.Errorf("it is not told that it waits for slots: %v", waits)
	}
	for range 2 {
		if err := s.AddWorker(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.await(3)
	s.end()
	s.compare(strings.TrimPrefix(strings.TrimSpace(windows), "INSERT INTO out"))
}

// With reactive a job takes all slots that there are, whatever was asked for.
func TestReactive(t *testing.T) {
	s := startScaled(t, streamSettings(t, map[string]string{
		"parallelism.default": "1", "scheduler-mode": "reactive", "jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling": "10 ms",
	}), fmt.Sprintf(bids, t.TempDir())+windows)
	s.await(4)
	if err := s.AddWorker(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.await(6)
	s.end()
	s.compare(strings.TrimPrefix(strings.TrimSpace(windows), "INSERT INTO out"))
}

// A worker dies while the job stops to be rescaled, or starts again.
func TestWorkerDiesWhileItRescales(t *testing.T) {
	s := startScaled(t, streamSettings(t, map[string]string{"parallelism.default": "1"}), fmt.Sprintf(bids, t.TempDir())+windows)
	s.await(1)
	var killed error
	s.when(1, func() { killed = s.Kill("worker-2") })
	s.rescale(3)
	s.await(2)
	if killed != nil {
		t.Error(killed)
	}
	s.end()
	s.compare(strings.TrimPrefix(strings.TrimSpace(windows), "INSERT INTO out"))
}

// What cannot be rescaled says why.
func TestRescaleRefusals(t *testing.T) {
	s := startScaled(t, map[string]string{"execution.runtime-mode": "streaming"}, fmt.Sprintf(bids, t.TempDir())+windows)
	s.waitFor("it to run", func() bool { return s.status().GetState() == "RUNNING" })
	for _, c := range []struct {
		r    *rpc.RescaleRequest
		want string
	}{
		{&rpc.RescaleRequest{Job: s.job[:], Parallelism: 2}, "set execution.checkpointing.interval"},
		{&rpc.RescaleRequest{Job: make([]byte, 16), Parallelism: 2}, "does not exist"},
	} {
		if _, err := s.Client().Rescale(t.Context(), c.r); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c.r, err)
		}
	}
	s.end()
}
