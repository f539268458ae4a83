package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

// Role is what a process of a cluster does.
type Role uint8

// The roles.
const (
	noRole Role = iota
	Master
	Worker
	Shuffle
)

func (r Role) String() string {
	switch r {
	case Master:
		return "master"
	case Worker:
		return "worker"
	case Shuffle:
		return "shuffle"
	default:
		return "no role"
	}
}

// Each shuffle server has little memory, so that it writes files; less in random rounds,
// so that damage meets some.
const shuffleMemory, scarceMemory = "64 mb", "32 mb"

// workerSlots is how many slots each worker has.
const workerSlots = "2"

// arguments are those of a role's process.
func (n *node) arguments(masters []string) []string {
	args := []string{n.role.String(), "--listen", n.address, "--data-dir", n.dir}
	switch n.role {
	case Master:
		if others := without(masters, n.address); len(others) > 0 {
			args = append(args, "--join", strings.Join(others, ","))
			if n.address == masters[0] {
				args = append(args, "--bootstrap") // which means nothing to its later lives
			}
		}
	case Worker:
		args = append(args, "--join", strings.Join(masters, ","), "-D", "worker.slots="+workerSlots)
	default:
		args = append(args, "--join", strings.Join(masters, ","), "-D", "worker.memory.size="+n.memory)
	}
	return append(args, n.more...)
}

func without(all []string, one string) (rest []string) {
	for _, a := range all {
		if a != one {
			rest = append(rest, a)
		}
	}
	return rest
}

// answer is how a client's process ended.
type answer struct {
	rows  string // what it printed
	notes string // what it told
	code  int
	took  time.Duration
}

// retryable tells that the client failed in the way that says: try again.
func (a answer) retryable() bool {
	return a.code == failure.Transient.ExitCode() && strings.TrimSpace(a.notes) != ""
}

func (a answer) String() string {
	return fmt.Sprintf("exit code %d after %v: %s", a.code, a.took.Round(time.Millisecond), shorten(a.notes))
}

const mostShown = 2000

func shorten(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > mostShown {
		s = "... " + s[len(s)-mostShown:]
	}
	return s
}

// hungCode is the code of a client that had to be ended; no program ends with it.
const hungCode = -1

// ask runs statements as a client of a cluster, or with the embedded engine where
// there are no masters.
func (o Options) ask(ctx context.Context, script string, masters []string, more ...string) (answer, error) {
	args := append([]string{"sql", "-f", "-", "-o", "csv"}, more...)
	if len(masters) > 0 {
		args = append(args, "--cluster", strings.Join(masters, ","))
	}
	return o.command(ctx, script, args...)
}

// command runs the program with some input until it ends or patience does.
func (o Options) command(ctx context.Context, input string, args ...string) (answer, error) {
	ctx, stop := context.WithTimeout(ctx, o.Patience)
	defer stop()
	cmd := exec.CommandContext(ctx, o.Binary, args...)
	cmd.Stdin = strings.NewReader(input)
	cmd.Env = o.environment("")
	var rows, notes bytes.Buffer
	cmd.Stdout, cmd.Stderr = &rows, &notes
	cmd.WaitDelay = time.Second
	start := time.Now()
	err := cmd.Run()
	a := answer{rows: rows.String(), notes: notes.String(), code: cmd.ProcessState.ExitCode(), took: time.Since(start)}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return a, fmt.Errorf("run the client: %w", err)
	}
	if ctx.Err() != nil {
		a.code = hungCode
	}
	return a, nil
}

// environment is what a process of ours sees, with failpoints where a directory is
// given.
func (o Options) environment(failpoints string) []string {
	env := []string{"TIDEMILL_FAILPOINTS=" + failpoints, "NO_COLOR=1", "HOME=" + o.Scratch, "TIDEMILL_HOME=" + filepath.Join(o.Scratch, "home"), "TMPDIR=" + o.Scratch}
	for _, name := range []string{"PATH", "LANG", "GOGC", "GOMAXPROCS"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// apart has a child not get the signals that a terminal sends to us.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
