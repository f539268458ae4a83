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
