package machine

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuOf returns the CPU time of a process; none of one that is gone.
func cpuOf(pid int) time.Duration {
	const scheduled = 2 // CPUCLOCK_SCHED: nanoseconds, not ticks
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
