package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/tidemill/tidemill/bench/machine"
	"github.com/tidemill/tidemill/fs"
)

// Request is one line that an engine's process reads: tables to make, or a
// statement to run.
type Request struct {
	Views map[string]string `json:"views,omitempty"` // name to file
	SQL   string            `json:"sql,omitempty"`
}

// Reply is one line that an engine's process writes for each Request.
type Reply struct {
	WallMillis float64 `json:"wall"` // unless the engine says it, from request to reply
	CPUMillis  float64 `json:"cpu"`
	RSSMegas   float64 `json:"rss"` // the largest while the statement ran
	CSV        string  `json:"csv"` // rows with a header
	Version    string  `json:"version,omitempty"`
	Error      string  `json:"error,omitempty"`
	// Storage is what the statement asked of servers of files.
	Storage fs.Stats `json:"storage"`
}

// Serve answers requests until the input ends, one at a time; run does one and
// fills the rows, or the version of the engine. Figures are those of this process and
// of the others, which are asked for before each request.
func Serve(ctx context.Context, in io.Reader, out io.Writer, others func() []int, run func(context.Context, Request) (Reply, error)) error {
	requests, replies := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var q Request
		if err := requests.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a request: %w", err)
		}
		all := others()
		machine.ResetPeak(all...)
		cpu, start := machine.CPU(all...), time.Now()
		r, err := run(ctx, q)
		r.WallMillis = cmp.Or(r.WallMillis, millis(time.Since(start)))
		r.CPUMillis, r.RSSMegas = millis(machine.CPU(all...)-cpu), machine.PeakMegas(all...)
		if err != nil {
			r = Reply{Error: err.Error()}
		}
		if err := replies.Encode(r); err != nil {
			return fmt.Errorf("write a reply: %w", err)
		}
	}
}

// engine is a process that lives through a run and is asked one thing at a time.
type engine struct {
	name, version string
	cmd           *exec.Cmd
	in            io.WriteCloser
	out           *bufio.Reader
	errs          *tail // to be read after ended
	ended         bool
}

// start starts the process and makes its tables. A process of Go runs on so many
// CPUs at a time; 0: on all.
func start(ctx context.Context, name string, args []string, cpus int, views map[string]string) (*engine, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	if cpus > 0 {
		cmd.Env = append(cmd.Environ(), fmt.Sprintf("GOMAXPROCS=%d", cpus))
	}
	e := &engine{name: name, cmd: cmd, errs: &tail{}}
	cmd.Stderr, cmd.WaitDelay = e.errs, 5*time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	e.in, e.out = in, bufio.NewReaderSize(out, 1<<20)
	r, err := e.ask(Request{Views: views})
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	e.version = r.Version
	return e, nil
}

// ask sends a request and waits for its reply.
func (e *engine) ask(q Request) (Reply, error) {
	var r Reply
	line, err := json.Marshal(q)
	if err != nil {
		return r, err
	}
	_, writeErr := e.in.Write(append(line, '\n'))
	line, err = e.out.ReadBytes('\n')
	if err != nil {
		return r, fmt.Errorf("%s ended: %w: %s", e.name, errors.Join(writeErr, err, e.close()), e.errs)
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("read the reply of %s: %w", e.name, err)
	}
	if r.Error != "" {
		text, _, _ := strings.Cut(r.Error, "\n") // what follows is a stack or an excerpt
		return r, fmt.Errorf("%s: %s", e.name, text)
	}
	return r, nil
}

// close ends the process and waits for it, once.
func (e *engine) close() error {
	if e.ended {
		return nil
	}
	e.ended = true
	return errors.Join(e.in.Close(), e.cmd.Wait())
}

// tail keeps the last kilobytes of what is written to it.
type tail struct{ bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	if t.Len()+len(p) > 8<<10 {
		t.Reset()
	}
	t.Buffer.Write(p[max(0, len(p)-4<<10):])
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(t.Buffer.String()) }

func closeAll(all []*engine) error {
	var errs []error
	for _, e := range all {
		errs = append(errs, e.close())
	}
	return errors.Join(errs...)
}
