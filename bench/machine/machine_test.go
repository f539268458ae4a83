package machine

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestBusy(t *testing.T) {
	got, ok := parseBusy("cpu  100 2 30 4000 50 6 7 8 0 0\ncpu0 1\n")
	if want := 153 * Tick; !ok || got != want {
		t.Errorf("got %v, %t; want %v", got, ok, want)
	}
	for _, bad := range []string{"", "cpu 1 2", "intr 1 2 3 4 5 6 7 8", "cpu a 2 30 4000 50 6 7 8"} {
		if got, ok := parseBusy(bad); ok {
			t.Errorf("%q is %v", bad, got)
		}
	}
}

func TestStatus(t *testing.T) {
	if got := parseStatus("Name:\tx\nVmRSS:\t    2048 kB\n", "VmRSS:"); got != 2 {
		t.Errorf("got %v MiB, want 2", got)
	}
	for _, bad := range []string{"", "VmRSS:", "VmRSS: many kB"} {
		if got := parseStatus(bad, "VmRSS:"); got != 0 {
			t.Errorf("%q is %v", bad, got)
		}
	}
}

// Work costs CPU time, whatever the machine's load.
func TestCPU(t *testing.T) {
	before := CPU()
	for CPU() == before {
		for start := time.Now(); time.Since(start) < time.Millisecond; {
		}
	}
}

// Other processes count like this one, which stands in for one; one that is gone
// counts nothing.
func TestOtherProcesses(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	me, gone := os.Getpid(), 1<<23 // no id is so large
	if CPU(gone) > CPU() {
		t.Error("a process that is gone takes time")
	}
	for before := cpuOf(me); cpuOf(me) == before || CPU(me) <= CPU(); { // ends, as this is work
	}
	ResetPeak(me, gone)
	if one, two := PeakMegas(), PeakMegas(me, gone); one <= 0 || two < 1.5*one {
		t.Errorf("one holds %v MiB, two %v", one, two)
	}
}
