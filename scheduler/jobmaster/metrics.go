package jobmaster

import (
	"math"
	"time"

	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/stream"
)

// measure shows what a streaming job does beyond its tasks, until end is called. Batch jobs are
// too many and too short for it.
func (m *Master) measure() (end func()) {
	if m.opts.Metrics == nil || !m.layout.streaming() {
		return func() {}
	}
	s := m.opts.Metrics.Scope(metric.L("job", m.opts.Job.String()))
	m.measureJob(s)
	rejected := m.measureRejected(s)
	return func() {
		for _, x := range append(rejected, s) {
			x.Close()
		}
	}
}

func (m *Master) measureJob(s *metric.Scope) {
	s.GaugeFunc("tidemill_job_restarts", "Restarts of the streaming job, or of parts of it.", func() float64 { return float64(m.Status().Restarts) })
	s.GaugeFunc("tidemill_job_watermark_lag_seconds", "By which the least watermark in the job is behind the clock; NaN while there is none.", m.lag)
	if !m.checkpointed {
		return
	}
	s.GaugeFunc("tidemill_job_checkpoints_completed", "Checkpoints and savepoints of the job that were completed.", func() float64 { return float64(m.history.Last().GetCompleted()) })
	s.GaugeFunc("tidemill_job_checkpoints_failed", "Checkpoints and savepoints of the job that failed.", func() float64 { return float64(m.history.Last().GetFailed()) })
	last := func(name, help string, read func(c *rpc.CheckpointStatus) float64) {
		s.GaugeFunc("tidemill_job_last_checkpoint_"+name, help, func() float64 {
			all := m.history.Last().GetCheckpoints()
			if len(all) == 0 {
				return math.NaN()
			}
			return read(all[0])
		})
	}
	last("duration_seconds", "From the trigger of the last complete checkpoint to its end.", func(c *rpc.CheckpointStatus) float64 {
		return (time.Duration(c.GetEndedAt()-c.GetTriggeredAt()) * time.Millisecond).Seconds()
	})
	last("bytes", "State that a restore of the last complete checkpoint reads.", func(c *rpc.CheckpointStatus) float64 { return float64(c.GetBytes()) })
	last("written_bytes", "State that the last complete checkpoint has written anew.", func(c *rpc.CheckpointStatus) float64 { return float64(c.GetWroteBytes()) })
	last("in_flight_bytes", "Rows in flight that are a part of the last complete checkpoint.", func(c *rpc.CheckpointStatus) float64 { return float64(c.GetInFlightBytes()) })
	last("alignment_seconds", "Longest that a subtask waited for barriers in the last complete checkpoint.", func(c *rpc.CheckpointStatus) float64 {
		return time.Duration(c.GetAlignedNanos()).Seconds()
	})
	last("pause_seconds", "Longest that a subtask stood still for the last complete checkpoint.", func(c *rpc.CheckpointStatus) float64 {
		return time.Duration(c.GetPausedNanos()).Seconds()
	})
}

// measureRejected shows what was rejected of each table of which something may be.
func (m *Master) measureRejected(s *metric.Scope) (scopes []*metric.Scope) {
	seen := map[string]bool{}
	for _, v := range m.layout.graph.GetVertices() {
		table := rejectedOf(v)
		if table == "" || seen[table] {
			continue
		}
		seen[table] = true
		one := s.With(metric.L("table", table))
		scopes = append(scopes, one)
		one.GaugeFunc("tidemill_job_rejected_records", "Records that are no rows of the table, or have no event time, and were left out.", func() float64 {
			n := uint64(0)
			for _, v := range m.Status().Vertices {
				if v.RejectedOf == table {
					n += v.RejectedRecords
				}
			}
			return float64(n)
		})
	}
	return scopes
}

// lag is by how many seconds the least watermark of subtasks that event time waits for is
// behind the clock.
func (m *Master) lag() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	least := stream.MaxWatermark
	for _, p := range m.progress {
		if s := p.GetStanding(); s != nil && !s.GetEventIdle() {
			least = min(least, stream.Watermark(s.GetOutputWatermark()))
		}
	}
	if least == stream.MaxWatermark || least == stream.MinWatermark {
		return math.NaN()
	}
	return float64(time.Now().UnixMilli()-int64(least)) / 1000
}
