package flink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

// Options are how a cluster is started.
type Options struct {
	// Home is the distribution: bin, lib, opt, conf.
	Home string
	// Dir is for configuration, logs, checkpoints and RocksDB; it is left to the caller.
	Dir string
	// Slots of the TaskManager, and the parallelism of jobs.
	Slots int
	// Memory of the TaskManager's process, as "4g"; empty means that.
	Memory string
	// Checkpoint is the interval of checkpoints; empty: none.
	Checkpoint string
	// Settings are more of Flink's, and take the place of those that it is given otherwise.
	Settings map[string]string
	// Limit is the longest that a job may run before it is cancelled; zero: there is none.
	Limit time.Duration
}

// Cluster is a Flink that runs.
type Cluster struct {
	o         Options
	processes []*process
	jobs      rest // the JobManager's
	gateway   rest
	session   string
}

// process is one of the cluster's.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   *os.File
	ended chan struct{}
}

// Installed returns an error of class Usage unless there is a distribution.
func Installed(home string) error {
	if _, err := os.Stat(filepath.Join(home, "bin", "jobmanager.sh")); err != nil {
		return failure.Errorf(failure.Usage, "Apache Flink is not in %s: make bench-flink installs it", home)
	}
	return nil
}

// startTimeout bounds how long a process takes until it answers.
const startTimeout = 2 * time.Minute

// Start starts a cluster and waits until it takes statements. It ends with Close, and
// when ctx does.
func Start(ctx context.Context, o Options) (c *Cluster, err error) {
	o.Memory = cmp.Or(o.Memory, "4g")
	if err := Installed(o.Home); err != nil {
		return nil, err
	}
	ports, err := freePorts(ctx, 3)
	if err != nil {
		return nil, err
	}
	c = &Cluster{o: o, jobs: newREST(ports[1]), gateway: newREST(ports[2])}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if err := c.configure(ports); err != nil {
		return nil, fmt.Errorf("configure Flink: %w", err)
	}
	if err := c.spawn(ctx, "jobmanager"); err != nil {
		return nil, err
	}
	if err := c.await(ctx, c.processes[0], func() bool { return c.jobs.get(ctx, "/overview", nil) == nil }); err != nil {
		return nil, err
	}
	for _, name := range []string{"taskmanager", "sql-gateway"} {
		if err := c.spawn(ctx, name); err != nil {
			return nil, err
		}
	}
	if err := c.await(ctx, c.processes[1], func() bool {
		var overview struct {
			Slots int `json:"slots-available"`
		}
		return c.jobs.get(ctx, "/overview", &overview) == nil && overview.Slots == o.Slots
	}); err != nil {
		return nil, err
	}
	return c, c.await(ctx, c.processes[2], func() bool { return c.open(ctx) == nil })
}

// freePorts finds ports that nobody uses at the moment.
func freePorts(ctx context.Context, n int) (ports []int, err error) {
	for range n {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

var javaOptions = regexp.MustCompile(`(?m)^ *all: *(--add-exports.*)$`)

// configure writes the configuration. ports are the JobManager's for RPC and REST, and
// the gateway's.
func (c *Cluster) configure(ports []int) error {
	conf := filepath.Join(c.o.Dir, "conf")
	for _, dir := range []string{conf, c.path("tmp"), c.path("checkpoints"), c.path("rocksdb"), c.path("pids"), c.path("log")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	theirs, err := os.ReadFile(filepath.Join(c.o.Home, "conf", "config.yaml"))
	if err != nil {
		return err
	}
	options := javaOptions.FindSubmatch(theirs)
	if options == nil {
		return errors.New("conf/config.yaml has no options of Java")
	}
	settings := map[string]string{
		"env.java.opts.all":                          string(options[1]),
		"jobmanager.rpc.address":                     "localhost",
		"jobmanager.rpc.port":                        fmt.Sprint(ports[0]),
		"jobmanager.bind-host":                       "localhost",
		"jobmanager.memory.process.size":             "1600m",
		"taskmanager.bind-host":                      "localhost",
		"taskmanager.host":                           "localhost",
		"taskmanager.memory.process.size":            c.o.Memory,
		"taskmanager.numberOfTaskSlots":              fmt.Sprint(c.o.Slots),
		"parallelism.default":                        fmt.Sprint(c.o.Slots),
		"rest.address":                               "localhost",
		"rest.bind-address":                          "localhost",
		"rest.port":                                  fmt.Sprint(ports[1]),
		"sql-gateway.endpoint.rest.address":          "localhost",
		"sql-gateway.endpoint.rest.port":             fmt.Sprint(ports[2]),
		"io.tmp.dirs":                                c.path("tmp"),
		"state.backend.type":                         "rocksdb",
		"state.backend.rocksdb.localdir":             c.path("rocksdb"),
		"execution.checkpointing.dir":                "file://" + c.path("checkpoints"),
		"execution.checkpointing.incremental":        "true",
		"execution.checkpointing.mode":               "EXACTLY_ONCE",
		"table.exec.mini-batch.enabled":              "true",
		"table.exec.mini-batch.allow-latency":        "2s",
		"table.exec.mini-batch.size":                 "50000",
		"table.optimizer.distinct-agg.split.enabled": "true",
	}
	if c.o.Checkpoint != "" {
		settings["execution.checkpointing.interval"] = c.o.Checkpoint
	}
	maps.Copy(settings, c.o.Settings)
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&text, "%s: %s\n", key, settings[key])
	}
	if err := os.WriteFile(filepath.Join(conf, "config.yaml"), []byte(text.String()), 0o644); err != nil {
		return err
	}
	logging := "rootLogger.level = INFO\nrootLogger.appenderRef.c.ref = C\nappender.c.name = C\nappender.c.type = CONSOLE\n" +
		"appender.c.layout.type = PatternLayout\nappender.c.layout.pattern = %d %-5p %c - %m%n\n"
	return os.WriteFile(filepath.Join(conf, "log4j-console.properties"), []byte(logging), 0o644)
}

func (c *Cluster) path(name string) string { return filepath.Join(c.o.Dir, name) }

func (c *Cluster) spawn(ctx context.Context, name string) error {
	log, err := os.Create(c.path(name + ".log"))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(c.o.Home, "bin", name+".sh"), "start-foreground")
	cmd.Env = append(cmd.Environ(), "FLINK_HOME="+c.o.Home, "FLINK_CONF_DIR="+c.path("conf"), "FLINK_LOG_DIR="+c.path("log"), "FLINK_PID_DIR="+c.path("pids"))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start Flink's %s: %w", name, errors.Join(err, log.Close()))
	}
	p := &process{name: name, cmd: cmd, log: log, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // it is ended by a signal
	}()
	c.processes = append(c.processes, p)
	return nil
}

// await waits until a process answers.
func (c *Cluster) await(ctx context.Context, p *process, ready func() bool) error {
	ctx, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-p.ended:
			return fmt.Errorf("Flink's %s has ended, see %s", p.name, p.log.Name()) //nolint:staticcheck // a name
		case <-ctx.Done():
			return fmt.Errorf("Flink's %s does not answer, see %s: %w", p.name, p.log.Name(), context.Cause(ctx)) //nolint:staticcheck // a name
		}
	}
	return nil
}

// Workers are the processes that run jobs.
func (c *Cluster) Workers() (pids []int) {
	for _, p := range c.processes[:min(2, len(c.processes))] {
		pids = append(pids, p.cmd.Process.Pid)
	}
	return pids
}

// Close ends the processes and waits for them.
func (c *Cluster) Close() error {
	for _, p := range c.processes {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // or it has ended
	}
	var errs []error
	for _, p := range c.processes {
		select {
		case <-p.ended:
		case <-time.After(20 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
		errs = append(errs, p.log.Close())
	}
	c.processes = nil
	return errors.Join(errs...)
}
