package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

func (o TPCHOptions) clustered() bool { return o.Cluster != "" || o.Workers > 0 }

func (o TPCHOptions) checkCluster() error {
	if !o.clustered() {
		return nil
	}
	if o.Workers < 0 || o.Workers > 0 && o.Cluster != "" {
		return failure.Errorf(failure.Usage, "--workers %d: want 1 or more, of a cluster that is started for the run", o.Workers)
	}
	if len(o.Memory) > 0 {
		return failure.Errorf(failure.Usage, "--memory limits one process: a cluster's are limited by -D worker.memory.size=SIZE, each by so much")
	}
	if info, err := os.Stat(o.Cluster); o.Cluster != "" && (err != nil || !info.IsDir()) {
		return failure.Errorf(failure.Usage, "--cluster %s: want the data directory of tidemill up, which tells what its processes take", o.Cluster)
	}
	return nil
}

// clusterPatience is how long a cluster may take to end.
const clusterPatience = 30 * time.Second

// running is a cluster of this run's own.
type running struct {
	dir  string
	cmd  *exec.Cmd
	out  io.ReadCloser
	errs tail
}

// up starts a cluster in a new directory and returns once it serves. The workers
// have so many slots together, or one each.
func (p Programs) up(ctx context.Context, workers, slots int) (r *running, err error) {
	r = &running{}
	if r.dir, err = os.MkdirTemp("", "tidemill-bench-"); err != nil {
		return nil, err
	}
	args := []string{
		"up", "--data-dir", r.dir, "--http", "127.0.0.1:0", "--no-restart",
		"--workers", strconv.Itoa(workers), "--slots", strconv.Itoa(max(1, slots/workers)),
	}
	for key, value := range p.Settings {
		args = append(args, "-D", key+"="+value)
	}
	r.cmd = exec.CommandContext(ctx, p.Binary, args...)
	r.cmd.Env = append(r.cmd.Environ(), fmt.Sprintf("GOMAXPROCS=%d", slots))
	r.cmd.Stderr, r.cmd.WaitDelay = &r.errs, clusterPatience
	r.cmd.Cancel = func() error { return r.cmd.Process.Signal(os.Interrupt) }
	if r.out, err = r.cmd.StdoutPipe(); err == nil {
		err = r.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a cluster: %w", err), os.RemoveAll(r.dir))
	}
	for lines := bufio.NewScanner(r.out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "use ") { // the last line, once all is there
			return r, nil
		}
	}
	err = errors.Join(r.cmd.Wait(), os.RemoveAll(r.dir))
	return nil, fmt.Errorf("the cluster ended before it served: %w: %s", err, r.errs.String())
}

// interrupted is the exit code of an up that was told to end.
const interrupted = 130

// down ends the cluster and removes what it has left.
func (r *running) down() error {
	_ = r.cmd.Process.Signal(os.Interrupt) // or it has ended
	err := r.cmd.Wait()
	if r.cmd.ProcessState.ExitCode() == interrupted {
		return os.RemoveAll(r.dir)
	}
	return fmt.Errorf("the cluster in %s ended: %w: %s", filepath.Clean(r.dir), err, r.errs.String())
}
