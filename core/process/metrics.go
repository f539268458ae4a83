package process

import (
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/scheduler"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

// processMetrics shows what the process takes.
func processMetrics(r *metric.Registry, kind security.Role) *metric.Scope {
	begun := time.Now()
	s := r.Scope(metric.L("role", kind.String()))
	s.GaugeFunc("tidemill_process_uptime_seconds", "Time since the role was started.", func() float64 { return time.Since(begun).Seconds() })
	s.GaugeFunc("tidemill_process_resident_memory_bytes", "Memory of the process that is in RAM.", func() float64 { return float64(resident()) })
	s.GaugeFunc("tidemill_process_heap_bytes", "Memory of objects on the heap, and of those not collected yet.", func() float64 { return heapBytes() })
	s.GaugeFunc("tidemill_process_goroutines", "Goroutines of the process.", func() float64 { return float64(runtime.NumGoroutine()) })
	return s
}

// measure shows what is kept for other processes, and what memory and disk it takes.
func (s *store) measure(scope *metric.Scope) {
	show := func(name, help string, read func() float64) { scope.GaugeFunc(name, help, read) }
	show("tidemill_memory_used_bytes", "Memory that tasks and exchanges have taken of the ledger.", func() float64 { return float64(s.ledger.Used()) })
	show("tidemill_memory_limit_bytes", "Memory that the ledger has.", func() float64 { return float64(s.ledger.Limit()) })
	show("tidemill_spill_bytes", "Disk that spilled rows and stored partitions take.", func() float64 { return float64(s.spill.Used()) })
	show("tidemill_shuffle_memory_bytes", "Memory that partitions take.", func() float64 { return float64(s.server.Stats().MemoryBytes) })
	show("tidemill_shuffle_disk_bytes", "Disk that stored partitions take.", func() float64 { return float64(s.server.Stats().DiskBytes) })
	show("tidemill_shuffle_remote_bytes", "Bytes of stored partitions in the remote tier.", func() float64 { return float64(s.tier.Usage().Remote) })
	show("tidemill_shuffle_moved_bytes", "Bytes of stored partitions that were moved to the remote tier since the start.", func() float64 { return float64(s.tier.Usage().Moved) })
	show("tidemill_shuffle_failed_moves", "Segments that were not moved to the remote tier when it was tried, since the start.", func() float64 { return float64(s.tier.Usage().FailedMoves) })
	show("tidemill_shuffle_waiting_writes", "Writes that wait for room on disk.", func() float64 { return float64(s.tier.Usage().Waiting) })
	show("tidemill_shuffle_disk_full", "1 when the last write of a stored partition to disk found no room.", func() float64 { return flag(s.tier.Usage().Full != nil) })
	show("tidemill_shuffle_exchanges", "Exchanges of which something is kept.", func() float64 { return float64(s.server.Stats().Exchanges) })
	show("tidemill_shuffle_writers", "Streams that write to other processes' order.", func() float64 { return float64(s.server.Stats().Writers) })
	show("tidemill_shuffle_readers", "Streams that read to other processes' order.", func() float64 { return float64(s.server.Stats().Readers) })
	show("tidemill_shuffle_received_bytes", "Bytes that other processes have written here since the start.", func() float64 { return float64(s.server.Stats().BytesIn) })
	show("tidemill_shuffle_sent_bytes", "Bytes that other processes have read here since the start.", func() float64 { return float64(s.server.Stats().BytesOut) })
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// jobStates are those of which a master shows how many jobs are in them.
func jobStates() []execgraph.JobState {
	return []execgraph.JobState{
		execgraph.JobCreated, execgraph.JobRunning, execgraph.JobRestarting, execgraph.JobFailing, execgraph.JobCancelling,
		execgraph.JobFinished, execgraph.JobFailed, execgraph.JobCanceled,
	}
}

// measure shows the cluster as the leading master sees it; one that waits shows zeros.
func (m *Master) measure() {
	leading := func(read func(*scheduler.Master) int) func() float64 {
		return func() float64 {
			now, err := m.candidate.Leading()
			if err != nil {
				return 0
			}
			return float64(read(now))
		}
	}
	m.metrics.GaugeFunc("tidemill_master_leads", "1 on the master that leads.", leading(func(*scheduler.Master) int { return 1 }))
	m.metrics.GaugeFunc("tidemill_cluster_workers", "Workers that are registered.", leading(func(now *scheduler.Master) int {
		return len(now.Resources().Workers())
	}))
	m.metrics.GaugeFunc("tidemill_cluster_slots", "Slots of all workers.", leading(func(now *scheduler.Master) int {
		total, _ := now.Resources().Slots()
		return total
	}))
	m.metrics.GaugeFunc("tidemill_cluster_free_slots", "Slots that no task has.", leading(func(now *scheduler.Master) int {
		_, free := now.Resources().Slots()
		return free
	}))
	for _, state := range jobStates() {
		scope := m.metrics.With(metric.L("state", strings.ToLower(state.String())))
		m.closer(func() error {
			scope.Close()
			return nil
		})
		scope.GaugeFunc("tidemill_jobs", "Jobs that are known, by state.", leading(func(now *scheduler.Master) (n int) {
			for _, j := range now.Dispatcher().List() {
				if j.State == state {
					n++
				}
			}
			return n
		}))
	}
}

func heapBytes() float64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return float64(sample[0].Value.Uint64())
}

// resident is the process's memory in RAM; zero where the system does not say.
func resident() int64 {
	text, _ := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
