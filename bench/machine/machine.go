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

// CPU returns the CPU time that this process and the others, by their ids, have
// taken.
func CPU(others ...int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	sum := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	for _, pid := range others {
		sum += cpuOf(pid)
	}
	return sum
}

// self is this process's directory below /proc.
const self = "self"

// ResetPeak has PeakMegas count from now on, where Linux allows it; elsewhere the
// peak is that of a process's whole life.
func ResetPeak(others ...int) {
	for _, process := range append(directories(others), self) {
		_ = os.WriteFile("/proc/"+process+"/clear_refs", []byte("5"), 0)
	}
}

// PeakMegas is the sum of the most memory that this process and each of the others
// have held, in MiB.
func PeakMegas(others ...int) float64 {
	sum := status(self, "VmHWM:")
	for _, process := range directories(others) {
		sum += status(process, "VmHWM:")
	}
	return sum
}

// RSSMegas is the memory that this process holds, in MiB.
func RSSMegas() float64 { return status(self, "VmRSS:") }

func directories(pids []int) (names []string) {
	for _, pid := range pids {
		names = append(names, strconv.Itoa(pid))
	}
	return names
}

func status(process, line string) float64 {
	data, err := os.ReadFile("/proc/" + process + "/status")
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
