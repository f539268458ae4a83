package memory

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/core/config"
)

// unknownMemory is assumed where the machine does not say how much it has.
const unknownMemory = 4 << 30

// OfProcess is what a worker's process may use, in bytes: worker.memory.size, or seven
// tenths of the memory of the machine or container. Divide says what of it the ledger
// has.
func OfProcess(c config.Config) int64 {
	if n := config.Memory.Get(c); n > 0 {
		return n
	}
	return machineMemory() / 10 * 7
}

// machineMemory is the machine's memory or the container's limit, if that is
// less.
func machineMemory() int64 {
	most := int64(unknownMemory)
	if info, err := os.ReadFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "MemTotal:" {
				if kib, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
					most = kib << 10
				}
			}
		}
	}
	for _, name := range groupFiles() {
		if text, err := os.ReadFile(name); err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 {
				most = min(most, n)
			}
		}
	}
	return most
}

// groupFiles are the files with the limits of the process's control group and of
// those above it. Some of them may not be there.
func groupFiles() []string {
	names := []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}
	text, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(text)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		for ok && group != "/" && group != "." {
			names = append(names, filepath.Join("/sys/fs/cgroup", group, "memory.max"))
			group = filepath.Dir(group)
		}
	}
	return names
}
