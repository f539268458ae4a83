package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/process"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/rpc/network"
	"github.com/tidemill/tidemill/core/security"
)

// upFlags are the flags of up.
type upFlags struct {
	dir       string
	listen    string
	http      string
	masters   int
	workers   int
	slots     int
	settings  []string
	config    string
	inProcess bool
	noRestart bool
	level     string
}

func newUp() *cobra.Command {
	f := &upFlags{}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run a cluster on this machine: masters, workers and a shuffle server",
		Long: `Run a cluster on this machine until a signal ends it: masters, workers and a shuffle server, each a
process of its own with its data and its log below --data-dir. A token and a certificate authority are
made there, and commands find the cluster by ` + clusterVariable + `=DIR or --cluster DIR.`,
		Example: `  tidemill up
  TIDEMILL_CLUSTER=~/.tidemill tidemill sql "SELECT 1"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	cmd.Flags().StringVar(&f.dir, "data-dir", home(), "`directory` of the cluster; "+homeVariable)
	cmd.Flags().StringVar(&f.listen, "listen", "", "`address` of the master; empty takes the one of last time, or a free port")
	cmd.Flags().StringVar(&f.http, "http", "", "`address` of the REST pages; empty takes 127.0.0.1:8081, or a free port")
	cmd.Flags().IntVar(&f.masters, "masters", 1, "number of masters; of three one may die")
	cmd.Flags().IntVar(&f.workers, "workers", 2, "number of workers")
	cmd.Flags().IntVar(&f.slots, "slots", 0, "slots of each worker; 0 shares the cores out")
	cmd.Flags().StringArrayVarP(&f.settings, "set", "D", nil, "setting `key=value` of every process")
	cmd.Flags().StringVar(&f.config, "config", "", "read settings of every process from a `file`, in YAML: keys whole or nested")
	cmd.Flags().BoolVar(&f.inProcess, "in-process", false, "run everything in this process")
	cmd.Flags().BoolVar(&f.noRestart, "no-restart", false, "do not start what has died again")
	cmd.Flags().StringVar(&f.level, "log", "info", "log `level`: debug, info, warn or error")
	return cmd
}

// Patience of up.
const (
	upPatience     = 30 * time.Second // for the cluster to be healthy
	downPatience   = 10 * time.Second // for a child to end
	lookPause      = 10 * time.Millisecond
	restartPause   = 200 * time.Millisecond
	lastDeathWords = 2 << 10
)

// member is one role of the cluster.
type member struct {
	kind     security.Role
	name     string
	dir      string
	args     []string
	settings map[string]string
	served   atomic.Bool // since up has started it

	mu sync.Mutex // of args, once it has begun
}

func (f *upFlags) run(ctx context.Context, out io.Writer) error {
	if f.workers < 1 {
		return failure.Errorf(failure.Usage, "--workers %d: want at least one", f.workers)
	}
	if f.masters < 1 || f.masters > mostMasters {
		return failure.Errorf(failure.Usage, "--masters %d: want 1 to %d, and 3 for one to be allowed to die", f.masters, mostMasters)
	}
	settings, err := readSettings(f.config, f.settings)
	if err != nil {
		return err
	}
	if _, err := config.FromMap(settings, "up"); err != nil {
		return err
	}
	dir, err := filepath.Abs(f.dir)
	if err != nil {
		return failure.Wrap(failure.Usage, err)
	}
	f.dir = dir
	lock, err := process.Lock(filepath.Join(dir, "up"))
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := f.secrets(); err != nil {
		return err
	}
	u := &cluster{flags: f, ended: make(chan error, 1+f.masters+f.workers)}
	if u.log, err = logger(f.level, os.Stderr); err != nil {
		return err
	}
	err = u.up(ctx, out)
	_ = os.Remove(filepath.Join(dir, contextFile))
	return errors.Join(err, u.down())
}

// secrets makes the token and the authority.
func (f *upFlags) secrets() error {
	if _, err := security.EnsureToken(filepath.Join(f.dir, tokenFile)); err != nil {
		return err
	}
	_, err := security.EnsureCA(filepath.Join(f.dir, tlsDir))
	return err
}

// cluster is what up has started.
type cluster struct {
	flags *upFlags
	log   *slog.Logger
	ended chan error // of members that nobody starts again

	mu    sync.Mutex
	stops []func() error // by the order in which they were started
}

// up starts the members, tells when all are there, and waits for the end.
func (u *cluster) up(ctx context.Context, out io.Writer) error {
	begun := time.Now()
	ready, stop := context.WithTimeout(ctx, upPatience)
	defer stop()
	masters, at, err := u.masters()
	if err != nil {
		return err
	}
	c := clusterContext{}
	for i, m := range masters {
		a, err := u.begin(ready, m)
		if err != nil {
			return err
		}
		if at[i] = a.Address; i == 0 {
			c.HTTP = a.HTTP
		}
	}
	c.Masters = at
	members, err := u.others(strings.Join(at, ","))
	if err != nil {
		return err
	}
	for _, m := range members {
		if _, err := u.begin(ready, m); err != nil {
			return err
		}
	}
	if err := c.write(u.flags.dir); err != nil {
		return err
	}
	if err := u.healthy(ready, len(masters)+len(members)); err != nil {
		return err
	}
	u.log.Info("the cluster is up", "after", time.Since(begun).Round(time.Millisecond))
	_, err = fmt.Fprintf(out, "master   %s\nrest     %s/api/v1\ndata     %s\nuse      export %s=%s\n", strings.Join(at, ","), c.HTTP, u.flags.dir, clusterVariable, u.flags.dir)
	if err != nil {
		return err
	}
	process.Trim()
	select {
	case err := <-u.ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// mostMasters is how many masters up runs at most: more make no cluster safer.
const mostMasters = 7

// masters are the members that the others join, and where they are to serve. Several are
// told of each other: one of them begins the cluster, if there is none.
func (u *cluster) masters() (out []*member, at []string, err error) {
	name := func(i int) string {
		if i == 0 {
			return "master"
		}
		return fmt.Sprintf("master-%d", i+1)
	}
	for i := u.flags.masters; i < mostMasters; i++ {
		if process.FoundAt(filepath.Join(u.flags.dir, name(i))) != "" {
			return nil, nil, failure.Errorf(failure.Usage, "the cluster in %s has more masters, such as %s: say --masters %d, or remove them first (tidemill nodes remove) and their directories", u.flags.dir, name(i), i+1)
		}
	}
	taken := map[string]bool{}
	for i := range u.flags.masters {
		m, err := u.member(security.Master, name(i), nil)
		if err != nil {
			return nil, nil, err
		}
		listen, http := free(process.FoundAt(m.dir)), "127.0.0.1:0"
		if i == 0 {
			listen, http = cmp.Or(u.flags.listen, listen), cmp.Or(u.flags.http, free("127.0.0.1:8081"))
		}
		for u.flags.masters > 1 && (strings.HasSuffix(listen, ":0") || taken[listen]) {
			if listen, err = somewhere(); err != nil {
				return nil, nil, err
			}
		}
		taken[listen] = true
		m.args = append(m.args, "--listen", listen, "--http", http)
		out, at = append(out, m), append(at, listen)
	}
	for _, m := range out {
		if len(out) > 1 {
			m.args = append(m.args, "--join", strings.Join(at, ","), "--bootstrap")
		}
	}
	return out, at, nil
}

// somewhere is a free address on loopback, for who has to be told of before it listens.
func somewhere() (string, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", failure.Errorf(failure.Transient, "find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// free is an address where somebody can listen, or any on loopback.
func free(address string) string {
	if address != "" {
		if l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	return "127.0.0.1:0"
}

// others are the shuffle server and the workers, which share what the machine has.
func (u *cluster) others(master string) (out []*member, err error) {
	given, err := readSettings(u.flags.config, u.flags.settings)
	if err != nil {
		return nil, err
	}
	c, err := config.FromMap(given, "up")
	if err != nil {
		return nil, err
	}
	share := memory.OfProcess(c)
	if _, _, ok := c.Given(config.Memory.Key()); !ok {
		share /= int64(u.flags.workers + 1)
	}
	slots := cmp.Or(u.flags.slots, config.Slots.Get(c), max(1, runtime.GOMAXPROCS(0)/u.flags.workers))
	own := map[string]string{config.Memory.Key(): strconv.FormatInt(share, 10), config.Slots.Key(): strconv.Itoa(slots)}
	for i := range u.flags.workers + 1 {
		kind, name := security.Worker, fmt.Sprintf("worker-%d", i)
		if i == 0 {
			kind, name = security.Shuffle, "shuffle"
		}
		m, err := u.member(kind, name, own)
		if err != nil {
			return nil, err
		}
		m.args = append(m.args, "--join", master, "--http", "127.0.0.1:0")
		out = append(out, m)
	}
	return out, nil
}

// member is a role with its settings in a file of its own.
func (u *cluster) member(kind security.Role, name string, own map[string]string) (*member, error) {
	settings, err := readSettings(u.flags.config, u.flags.settings)
	if err != nil {
		return nil, err
	}
	maps.Copy(settings, own)
	file := filepath.Join(u.flags.dir, "settings", name+".yaml")
	if err := writeSettings(file, settings); err != nil {
		return nil, fmt.Errorf("settings of the %s: %w", name, err)
	}
	m := &member{kind: kind, name: name, dir: filepath.Join(u.flags.dir, name), settings: settings}
	m.args = []string{
		kind.String(), "--data-dir", m.dir, "--token-file", filepath.Join(u.flags.dir, tokenFile),
		"--tls-dir", filepath.Join(u.flags.dir, tlsDir), "--log", u.flags.level, "--config", file,
	}
	return m, nil
}

// begin starts a member, and returns where it serves.
func (u *cluster) begin(ctx context.Context, m *member) (process.Address, error) {
	if err := os.Remove(filepath.Join(m.dir, "address.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return process.Address{}, err
	}
	var stop func() error
	var err error
	if u.flags.inProcess {
		stop, err = u.host(ctx, m)
	} else {
		stop, err = u.spawn(m)
	}
	if err != nil {
		return process.Address{}, err
	}
	u.mu.Lock()
	u.stops = append(u.stops, stop)
	u.mu.Unlock()
	look := time.NewTicker(lookPause)
	defer look.Stop()
	for {
		if a, err := process.ReadAddress(m.dir); err == nil {
			m.served.Store(true)
			m.keep(a)
			return a, nil
		}
		select {
		case <-look.C:
		case err := <-u.ended:
			return process.Address{}, err
		case <-ctx.Done():
			return process.Address{}, given(ctx, "the "+m.name+" does not serve")
		}
	}
}

// given is the error of a wait that was given up.
func given(ctx context.Context, what string) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return failure.Errorf(failure.Transient, "%s after %v", what, upPatience)
	}
	return ctx.Err()
}

// healthy waits until so many members are known to the master that leads; of masters, those
// that count: before, the death of one may be the end of the cluster.
func (u *cluster) healthy(ctx context.Context, members int) error {
	f := clusterFlags{cluster: u.flags.dir, token: filepath.Join(u.flags.dir, tokenFile), tls: filepath.Join(u.flags.dir, tlsDir)}
	a, err := f.find()
	if err != nil {
		return err
	}
	n := network.New(a.network())
	defer n.Close()
	look := time.NewTicker(lookPause)
	defer look.Stop()
	for {
		r, err := n.Cluster().Nodes(ctx, &rpc.NodesRequest{})
		if err != nil {
			return err
		}
		here := 0
		for _, node := range r.GetNodes() {
			if !node.GetLost() && !node.GetJoining() {
				here++
			}
		}
		if here >= members {
			return nil
		}
		select {
		case <-look.C:
		case err := <-u.ended:
			return err
		case <-ctx.Done():
			return given(ctx, fmt.Sprintf("%d of %d members are here", here, members))
		}
	}
}

// host runs a member in this process.
func (u *cluster) host(ctx context.Context, m *member) (func() error, error) {
	f := &roleFlags{}
	if err := f.command(m.kind, "").ParseFlags(m.args[1:]); err != nil {
		return nil, err
	}
	o, registry, err := f.options(m.kind)
	if err != nil {
		return nil, err
	}
	r, err := process.Start(ctx, m.kind, process.MasterOptions{Options: o, Bootstrap: f.bootstrap})
	if err != nil {
		return nil, errors.Join(err, registry.Close())
	}
	over, watching := make(chan struct{}), sync.WaitGroup{}
	watching.Go(func() {
		select {
		case err := <-r.Failed():
			u.ended <- fmt.Errorf("the %s has failed: %w", m.name, err)
		case <-over:
		}
	})
	return func() error {
		close(over)
		watching.Wait()
		return errors.Join(r.Close(), registry.Close())
	}, nil
}

// down ends the members, the last one first.
func (u *cluster) down() error {
	u.mu.Lock()
	stops := u.stops
	u.stops = nil
	u.mu.Unlock()
	var err error
	for i := len(stops) - 1; i >= 0; i-- {
		err = errors.Join(err, stops[i]())
	}
	return err
}

// lastWords is the end of a log.
func lastWords(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if n := len(text) - lastDeathWords; n > 0 {
		text = text[n:]
	}
	return string(bytes.TrimSpace(text))
}
