package main_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo terminal with somebody in front of it: it shows what the
// shell prints and answers when asked for the cursor's place, as terminals do.
type terminal struct {
	t     *testing.T
	ours  *os.File
	mu    sync.Mutex
	shown bytes.Buffer
	seen  int // of shown, by wait
	grown chan struct{}
}

func openTerminal(t *testing.T) (term *terminal, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	fd := int(ours.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 160}); err != nil {
		t.Fatal(err)
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return &terminal{t: t, ours: ours, grown: make(chan struct{}, 1)}, theirs
}

// watch reads until the shell has gone.
func (x *terminal) watch() {
	buf := make([]byte, 4096)
	for {
		n, err := x.ours.Read(buf)
		if err != nil {
			return
		}
		for range bytes.Count(buf[:n], []byte("\x1b[6n")) {
			x.typed("\x1b[1;1R")
		}
		x.mu.Lock()
		x.shown.Write(buf[:n])
		x.mu.Unlock()
		select {
		case x.grown <- struct{}{}:
		default:
		}
	}
}

func (x *terminal) typed(keys string) { _, _ = x.ours.WriteString(keys) }

// wait waits until something new on the screen holds text.
func (x *terminal) wait(text string) {
	x.t.Helper()
	late := time.After(patience)
	for {
		x.mu.Lock()
		all := x.shown.String()
		i := strings.Index(all[x.seen:], text)
		if i >= 0 {
			x.seen += i + len(text)
		}
		x.mu.Unlock()
		if i >= 0 {
			return
		}
		select {
		case <-x.grown:
		case <-late:
			x.t.Fatalf("no %q in %q", text, all[x.seen:])
		}
	}
}

// prompted waits until the prompt stands and the cursor is shown: keys typed
// before are mixed with the answer about the cursor's place.
func (x *terminal) prompted() {
	x.t.Helper()
	x.wait("tidemill> ")
	x.wait("\x1b[?25h")
}

// At the prompt Ctrl-C ends the statement that runs, and the session goes on with
// what it knew: its tables, its history.
func TestPrompt(t *testing.T) {
	x, theirs := openTerminal(t)
	dir := t.TempDir()
	cmd := command(t, dir, "sql")
	cmd.Env = append(cmd.Env, "TERM=xterm", "XDG_CONFIG_HOME="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	var watching sync.WaitGroup
	watching.Go(x.watch)

	x.prompted()
	x.typed(endless)
	x.wait("sequence');")
	x.typed("\r")
	x.wait("time: ")
	x.prompted()
	x.typed("SELECT id + 1000000 FROM g;")
	x.wait("g;")
	x.typed("\r")
	x.wait("1000005")
	x.typed("\x03")
	x.wait("error: interrupted")
	x.prompted()
	x.typed("SELECT idd FROM g;")
	x.wait("g;")
	x.typed("\r")
	x.wait("did you mean id?")
	x.prompted()
	x.typed(`\q`)
	x.wait(`\q`)
	x.typed("\r")
	if code := exitStatus(t, cmd, cmd.Wait()); code != 0 {
		t.Errorf("exit code %d", code)
	}
	x.ours.Close()
	watching.Wait()
	if history, err := os.ReadFile(dir + "/tidemill/history"); err != nil || !strings.Contains(string(history), "SELECT idd FROM g;") {
		t.Errorf("history: %s, %v", history, err)
	}
}
