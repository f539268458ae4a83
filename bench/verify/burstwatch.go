package verify

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// watch looks at what masters take, from outside.
type watch struct {
	names []string
	rss   map[string]float64       // the most seen, in MB
	cpu   map[string]time.Duration // of the present life
}

// lookPause is between looks.
const lookPause = 100 * time.Millisecond

// begin looks until the function that it returns is called, which may be called again.
func (w *watch) begin(nodes []*node) (end func()) {
	w.rss, w.cpu = map[string]float64{}, map[string]time.Duration{}
	for _, n := range nodes {
		w.names = append(w.names, n.name)
	}
	over := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		tick := time.NewTicker(lookPause)
		defer tick.Stop()
		for {
			for _, n := range nodes {
				w.look(n)
			}
			select {
			case <-tick.C:
			case <-over:
				return
			}
		}
	})
	return sync.OnceFunc(func() {
		close(over)
		looking.Wait()
	})
}

func (w *watch) look(n *node) {
	pid := n.pid()
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
		w.rss[n.name] = max(w.rss[n.name], residentMegas(string(status)))
	}
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		w.cpu[n.name] = max(w.cpu[n.name], processorTime(string(stat)))
	}
}

// residentMegas reads /proc/PID/status.
func residentMegas(status string) float64 {
	_, rest, _ := strings.Cut(status, "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kilos, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		return 0
	}
	return kilos / 1024
}

// tick is the unit of /proc/PID/stat, on every system that has it.
const tick = 10 * time.Millisecond

// processorTime reads /proc/PID/stat: user and system time are the 12th and 13th field
// behind the name, which may hold blanks.
func processorTime(stat string) (t time.Duration) {
	at := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[at+1:])
	if len(fields) < 13 {
		return 0
	}
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0
		}
		t += time.Duration(n) * tick
	}
	return t
}

func (w *watch) tell(say func(string, ...any)) {
	for _, name := range w.names {
		say("%s: %.0f MB at most, %v of CPU in a life", name, w.rss[name], w.cpu[name].Round(100*time.Millisecond))
	}
}
