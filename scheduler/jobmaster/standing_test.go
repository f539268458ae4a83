package jobmaster

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/stream"
)

// threeInARow is a stream through three vertices to a client.
func threeInARow() *jobgraph.Graph {
	op := func() *jobgraph.Operator {
		return &jobgraph.Operator{Spec: &jobgraph.Operator_Calc{Calc: &jobgraph.Calc{}}}
	}
	g := &jobgraph.Graph{Name: "row", Mode: jobgraph.Mode_MODE_STREAMING, KeyGroups: 128}
	for i, name := range []string{"read", "group", "write"} {
		v := &jobgraph.Vertex{Id: uint32(i), Name: name, Chain: []*jobgraph.Operator{op()}, Outputs: []uint32{uint32(i)}, Parallelism: 1}
		x := &jobgraph.Exchange{Id: uint32(i), Producer: uint32(i), Consumer: uint32(i + 1), Distribution: jobgraph.Distribution_DISTRIBUTION_HASH, Retention: jobgraph.Retention_RETENTION_NONE}
		if i > 0 {
			v.Inputs = []uint32{uint32(i - 1)}
		}
		if i == 2 {
			x.Consumer, x.Result, x.Distribution = 0, true, jobgraph.Distribution_DISTRIBUTION_SINGLETON
		}
		g.Vertices, g.Exchanges = append(g.Vertices, v), append(g.Exchanges, x)
	}
	return g
}

// What running attempts tell of themselves is what a job waits for, with since when. Of a
// row of tasks that wait for each other the last is told: it is the one that holds up all.
func TestStandings(t *testing.T) {
	onStageOf(t, threeInARow(), func(s *stage) {
		for _, r := range s.deployed() {
			s.report(r, rpc.TaskState_TASK_STATE_RUNNING, nil)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		waits := func(vertex uint32, all ...*rpc.TaskWait) {
			s.m.Progress(&rpc.TaskProgress{Attempt: &rpc.Attempt{Vertex: vertex}, LateRows: 3, Standing: &rpc.TaskStanding{OutputWatermark: int64(vertex), Waits: all}})
		}
		told := func() (out []string, status *rpc.JobStatus) {
			status = &rpc.JobStatus{Vertices: []*rpc.VertexStatus{{Vertex: 0}, {Vertex: 1}, {Vertex: 2}}}
			s.m.Describe(status)
			for _, w := range status.GetWaits() {
				since := time.Duration(w.GetSince()) * time.Millisecond
				out = append(out, since.String()+" "+w.GetPart()+": "+w.GetReason()+" of "+w.GetOwner())
			}
			return out, status
		}
		credit := func(nanos time.Duration) *rpc.TaskWait {
			return &rpc.TaskWait{Kind: rpc.TaskWait_CREDIT, Nanos: int64(nanos)}
		}
		waits(0, credit(50*time.Second), &rpc.TaskWait{Kind: rpc.TaskWait_ROWS, Split: "orders-3", Nanos: int64(40 * time.Second)})
		waits(1, credit(time.Second), &rpc.TaskWait{Kind: rpc.TaskWait_BARRIER, Checkpoint: 4, Nanos: int64(2 * time.Second)})
		got, status := told()
		want := []string{
			"20s subtask 0.0#0 (read): rows of a split: event time waits for them of split orders-3",
			"58s subtask 1.0#0 (group): the barrier of checkpoint 4 of vertex 0 (read)",
			"59s subtask 1.0#0 (group): room for its rows, which are not taken as fast as it makes them of vertex 2 (write)",
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s", strings.Join(got, "\n"))
		}
		if p := status.GetVertices()[1].GetProgress(); len(p) != 1 || p[0].GetStanding().GetOutputWatermark() != 1 {
			t.Errorf("progress: %v", p)
		}
		if late := s.m.Status().Vertices[0].LateRows; late != 3 {
			t.Errorf("%d late rows", late)
		}
		waits(1)
		waits(2, credit(time.Second))
		if got, _ := told(); len(got) != 3 || !strings.Contains(got[2], "of the client that reads the result") || !strings.HasPrefix(got[0], "10s subtask 0.0#0 (read): room") {
			t.Errorf("%s", strings.Join(got, "\n"))
		}
	})
}

// A checkpoint whose parts take more than a second says whose are missing.
func TestMissingParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Master{begun: time.Now(), layout: &layout{graph: threeInARow()}}
		d := details{barrier: &stream.Barrier{Checkpoint: 9, Kind: stream.CheckpointKind, TriggeredAt: time.Now().UnixMilli()}}
		for i := range uint32(maxMissing + 3) {
			d.missing = append(d.missing, id.Attempt{Subtask: id.Subtask{Vertex: 1, Index: i}})
		}
		if w := m.collecting(d); len(w) != 0 {
			t.Errorf("at once: %v", w)
		}
		time.Sleep(2 * time.Second)
		w := m.collecting(d)
		if len(w) != maxMissing+1 || w[0].GetPart() != "checkpoint 9" || w[0].GetReason() != "the part of subtask 1.0#0" || w[0].GetOwner() != "vertex 1 (group)" ||
			w[maxMissing].GetReason() != "the parts of 3 other subtasks" {
			t.Errorf("%v", w)
		}
	})
}

// The metrics of a streaming job are there as long as it runs.
func TestMetricsOfAJob(t *testing.T) {
	registry := metric.NewRegistry(metric.Options{})
	names := func() (out []string) {
		for s := range registry.All() {
			out = append(out, s.Name)
		}
		return out
	}
	rejecting := threeInARow()
	for _, v := range rejecting.GetVertices()[:2] {
		v.Chain[0].Spec = &jobgraph.Operator_Watermark{Watermark: &jobgraph.WatermarkAssigner{Rejects: "c.d.t"}}
	}
	onStageOf(t, rejecting, func(s *stage) {
		s.deployed()
		s.m.opts.Metrics = registry
		end := s.m.measure()
		s.m.Progress(&rpc.TaskProgress{Attempt: &rpc.Attempt{}, RejectedRecords: 3, Standing: &rpc.TaskStanding{OutputWatermark: time.Now().UnixMilli() - 1500}})
		s.m.Progress(&rpc.TaskProgress{Attempt: &rpc.Attempt{Vertex: 1}, RejectedRecords: 4, Standing: &rpc.TaskStanding{OutputWatermark: 1, EventIdle: true}})
		if got := s.m.lag(); got != 1.5 {
			t.Errorf("lag %v", got)
		}
		if got := names(); !slices.Equal(got, []string{"tidemill_job_rejected_records", "tidemill_job_restarts", "tidemill_job_watermark_lag_seconds"}) {
			t.Errorf("%v", got)
		}
		for sample := range registry.All() {
			if sample.Name == "tidemill_job_rejected_records" && (sample.Value != 7 || !slices.Contains(sample.Labels, metric.L("table", "c.d.t"))) {
				t.Errorf("%+v", sample)
			}
		}
		end()
	})
	if got := names(); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}
