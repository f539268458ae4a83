package minicluster

import (
	"os"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/core/config"
)

// unknownMemory is assumed where the machine does not say how much it has.
const unknownMemory = 4 << 30

// memoryLimit is what the worker may use: the option, or three quarters of the
// machine's memory.
func memoryLimit(c config.Config) int64 {
	if n := config.Memory.Get(c); n > 0 {
		return n
	}
	return machineMemory() / 4 * 3
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
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 {
			most = min(most, n)
		}
	}
	return most
}
