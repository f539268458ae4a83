package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/process"
)

// child is a member of up's cluster that is a process, through all its lives.
type child struct {
	up     *cluster
	member *member
	log    string

	mu       sync.Mutex
	stopping bool
	cmd      *exec.Cmd
	input    io.WriteCloser // closing it ends the process
	watching chan struct{}  // closed when it is over for good
}

// mostLog is the size of a log beyond which a new one is begun at the next start.
const mostLog = 16 << 20

// spawn starts a member as a process, and again when it dies. The function ends it.
func (u *cluster) spawn(m *member) (func() error, error) {
	logs := filepath.Join(u.flags.dir, "log")
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return nil, err
	}
	c := &child{up: u, member: m, log: filepath.Join(logs, m.name+".log"), watching: make(chan struct{})}
	if err := c.start(); err != nil {
		return nil, err
	}
	go c.watch()
	return c.stop, nil
}

// start begins a life.
func (c *child) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if info, err := os.Stat(c.log); err == nil && info.Size() > mostLog {
		_ = os.Rename(c.log, c.log+".1") // or it grows on
	}
	out, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // the child has its own
	cmd := exec.CommandContext(context.Background(), self, c.member.line()...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, apart()
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the %s: %w", c.member.name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cmd, c.input = cmd, input
	if c.stopping {
		_ = input.Close()
	}
	return nil
}

// watch waits for the end of each life, and begins the next one.
func (c *child) watch() {
	defer close(c.watching)
	for {
		c.mu.Lock()
		cmd := c.cmd
		c.mu.Unlock()
		err := cmd.Wait()
		c.mu.Lock()
		stopping := c.stopping
		c.mu.Unlock()
		switch {
		case stopping:
			return
		case err == nil: // it was drained
			c.up.log.Info("ended", "member", c.member.name)
			return
		case c.up.flags.noRestart || !c.member.served.Load():
			c.up.ended <- c.failed(err)
			return
		}
		c.up.log.Warn("died and is started again", "member", c.member.name, "how", err)
		time.Sleep(restartPause)
		if err := c.start(); err != nil {
			c.up.ended <- failure.Wrap(failure.Transient, err)
			return
		}
	}
}

// failed is the error of a child that died, with its exit code's class.
func (c *child) failed(err error) error {
	class := failure.Fatal
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		for _, k := range []failure.Class{failure.Usage, failure.NotFound, failure.Conflict, failure.Unauthorized, failure.Transient} {
			if exit.ExitCode() == k.ExitCode() {
				class = k
			}
		}
	}
	return failure.Errorf(class, "the %s has died: %w\n%s", c.member.name, err, lastWords(c.log))
}

// stop ends the process, by force if it takes too long.
func (c *child) stop() error {
	c.mu.Lock()
	c.stopping = true
	_ = c.input.Close()
	cmd := c.cmd
	c.mu.Unlock()
	select {
	case <-c.watching:
		return nil
	case <-time.After(downPatience):
	}
	_ = cmd.Process.Kill()
	<-c.watching
	return failure.Errorf(failure.Fatal, "the %s did not end within %v and was killed", c.member.name, downPatience)
}

// keep has the next life of a master serve where this one did.
func (m *member) keep(a process.Address) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.args[:len(m.args)-1] {
		if m.args[i] == "--listen" {
			m.args[i+1] = a.Address
		}
	}
}

// line is the command line of a life.
func (m *member) line() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append(slices.Clone(m.args), "--child")
}
