package machine

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Tick is the unit of Busy: USER_HZ, a hundredth of a second on every Linux.
const Tick = 10 * time.Millisecond

// Busy returns the CPU time that all processes of the machine have taken, and
// false where that is not known.
func Busy() (time.Duration, bool) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, false
	}
	return parseBusy(string(data))
}

func parseBusy(stat string) (time.Duration, bool) {
	line, _, _ := strings.Cut(stat, "\n")
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return 0, false
	}
	var sum int64
	for _, i := range []int{1, 2, 3, 6, 7, 8} { // user, nice, system, irq, softirq, steal
		n, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			return 0, false
		}
		sum += n
	}
	return time.Duration(sum) * Tick, true
}

// CPU returns the CPU time that this process has taken.
func CPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// ResetPeak has PeakMegas count from now on, where Linux allows it; elsewhere the
// peak is that of the process's whole life.
func ResetPeak() {
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}

// PeakMegas is the most memory that this process has held, in MiB.
func PeakMegas() float64 { return status("VmHWM:") }

// RSSMegas is the memory that this process holds, in MiB.
func RSSMegas() float64 { return status("VmRSS:") }

func status(line string) float64 {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	return parseStatus(string(data), line)
}

func parseStatus(text, line string) float64 {
	_, after, _ := strings.Cut(text, line)
	f := strings.Fields(after)
	if len(f) == 0 {
		return 0
	}
	kilos, err := strconv.ParseFloat(f[0], 64)
	if err != nil {
		return 0
	}
	return kilos / 1024
}
