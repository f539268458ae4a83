package process

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Trim unmaps pages of the program that its start has read and that it may never read
// again: tables of protocols, time zones and the like. Those that are needed come back
// from the page cache, a few microseconds each. Only what is as the file has it is given
// back: of read-only parts of the program's own file those that nobody has written to. A
// linker writes the addresses of functions into such parts before they become read-only,
// and without them a program that calls C ends at its next call.
func Trim() {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, p := range unwritten(string(maps), self) {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, p.begin, p.end-p.begin, syscall.MADV_DONTNEED)
	}
}

// stretch is of addresses.
type stretch struct{ begin, end uintptr }

// unwritten are the read-only parts of a file of which no page is the process's own, as
// /proc/self/smaps tells it.
func unwritten(smaps, file string) (all []stretch) {
	var now stretch
	for lines := bufio.NewScanner(strings.NewReader(smaps)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) >= 5 && strings.Contains(f[0], "-"): // 00400000-00e2e000 r-xp 00000000 fe:01 1234  /usr/bin/tidemill
			now = stretch{}
			from, to, _ := strings.Cut(f[0], "-")
			begin, err1 := strconv.ParseUint(from, 16, 64)
			end, err2 := strconv.ParseUint(to, 16, 64)
			if len(f) == 6 && f[5] == file && (f[1] == "r-xp" || f[1] == "r--p") && err1 == nil && err2 == nil && begin < end {
				now = stretch{uintptr(begin), uintptr(end)}
			}
		case len(f) == 3 && f[0] == "Anonymous:" && f[1] == "0" && now != stretch{}: // Anonymous:  4 kB
			all = append(all, now)
		}
	}
	return all
}
