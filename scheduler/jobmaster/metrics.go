package jobmaster

import (
	"math"
	"time"

	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/stream"
)

// measure shows what a streaming job does beyond its tasks, until the scope is closed; nil
// where nothing is shown. Batch jobs are too many and too short for it.
func (m *Master) measure() *metric.Scope {
	if m.opts.Metrics == nil || !m.layout.streaming() {
		return nil
	}
	s := m.opts.Metrics.Scope(metric.L("job", m.opts.Job.String()))
	s.GaugeFunc("tidemill_job_restarts", "Restarts of the streaming job, or of parts of it.", func() float64 { return float64(m.Status().Restarts) })
	s.GaugeFunc("tidemill_job_watermark_lag_seconds", "By which the least watermark in the job is behind the clock; NaN while there is none.", m.lag)
	if !m.checkpointed {
		return s
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
	return s
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
