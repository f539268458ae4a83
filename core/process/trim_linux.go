package process

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Trim unmaps pages of the program that its start has read and that it may never read
// again: tables of protocols, time zones and the like. Those that are needed come back
// from the page cache, a few microseconds each. Only what cannot have been written is
// given back: read-only parts of the program's own file.
func Trim() {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	lines := bufio.NewScanner(bytes.NewReader(maps))
	for lines.Scan() {
		// 00400000-00e2e000 r-xp 00000000 fe:01 1234    /usr/bin/tidemill
		f := strings.Fields(lines.Text())
		if len(f) != 6 || f[5] != self || f[1] != "r-xp" && f[1] != "r--p" {
			continue
		}
		from, to, _ := strings.Cut(f[0], "-")
		begin, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 != nil || err2 != nil || begin >= end {
			continue
		}
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, uintptr(begin), uintptr(end-begin), syscall.MADV_DONTNEED)
	}
}
