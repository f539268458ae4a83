package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// node is one role of a cluster through all its lives. Its methods may be called
// concurrently.
type node struct {
	role    Role
	name    string
	address string
	dir     string // its data
	logs    string // the directory of its lives' output
	options Options
	masters []string
	memory  string   // of a shuffle server
	more    []string // arguments that this one has beside those of its role
	points  string   // the directory of failpoints
	binary  string   // another program than that of the options; empty: it is none
	env     []string // what its environment has beside

	mu    sync.Mutex
	lives int
	cmd   *exec.Cmd     // nil before the first life
	ended chan struct{} // closed when this life is over
	how   error         // how it ended, once it has
}

// start begins the next life.
func (n *node) start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lives++
	out, err := os.OpenFile(n.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	cmd := exec.CommandContext(context.Background(), cmp.Or(n.binary, n.options.Binary), n.arguments(n.masters)...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env, cmd.SysProcAttr = append(n.options.environment(n.points), n.env...), apart()
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", n.name, err), out.Close())
	}
	ended := make(chan struct{})
	n.cmd, n.ended, n.how = cmd, ended, nil
	go func() { // ends with the process, and whoever stops the node waits for ended
		err := cmd.Wait()
		n.mu.Lock()
		defer n.mu.Unlock()
		n.how = errors.Join(err, out.Close())
		close(ended)
	}()
	return nil
}

func (n *node) logFile() string {
	return filepath.Join(n.logs, fmt.Sprintf("%s.%d.log", n.name, n.lives))
}

// lastWords is the end of the present life's output.
func (n *node) lastWords() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	text, err := os.ReadFile(n.logFile())
	if err != nil {
		return err.Error()
	}
	return shorten(string(text))
}

func (n *node) pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil {
		return 0
	}
	return n.cmd.Process.Pid
}

// over is closed when the present life has ended.
func (n *node) over() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ended
}

// alive tells whether the present life goes on.
func (n *node) alive() bool {
	select {
	case <-n.over():
		return false
	default:
		return true
	}
}

// ending is how the life that is over ended; nil is exit code 0.
func (n *node) ending() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.how
}

// signal sends one to the present life. One that is over already takes none.
func (n *node) signal(s os.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", n.name, err)
	}
	return nil
}

// kill ends the present life as a power failure would, and waits for it.
func (n *node) kill() error {
	if err := n.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-n.over()
	return nil
}

// dumpPatience is how long a process may write its goroutines.
const dumpPatience = 5 * time.Second

// dump has the node write what its goroutines do into its log, and ends it.
func (n *node) dump() error {
	if err := n.signal(syscall.SIGQUIT); err != nil {
		return err
	}
	select {
	case <-n.over():
	case <-time.After(dumpPatience):
	}
	return n.kill()
}

// stop asks the node to end and waits until it has; one that does not is a defect.
func (n *node) stop(patience time.Duration) error {
	if err := n.signal(syscall.SIGTERM); err != nil {
		return err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-n.over():
	case <-timer.C:
		return errors.Join(fmt.Errorf("%s does not end within %v of SIGTERM: its goroutines are in %s", n.name, patience, n.logFile()), n.dump())
	}
	if how := n.ending(); how != nil && !strings.Contains(how.Error(), "exit status 143") {
		return fmt.Errorf("%s ended by SIGTERM: %w", n.name, how)
	}
	return nil
}
