package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/process"
	"github.com/tidemill/tidemill/core/security"
)

// roleFlags are the flags of master, worker and shuffle.
type roleFlags struct {
	clusterFlags // its credentials
	listen       string
	advertise    string
	http         string
	join         string
	joinToken    string
	dataDir      string
	configFile   string
	settings     []string
	level        string
	child        bool
	bootstrap    bool
}

func newMaster() *cobra.Command {
	f := &roleFlags{}
	cmd := f.command(security.Master, "Run a master: the replicated store, the scheduler and REST")
	cmd.Flags().BoolVar(&f.bootstrap, "bootstrap", false, "begin a cluster once all that --join names have said that they are in none")
	return cmd
}

func newWorker() *cobra.Command {
	f := &roleFlags{}
	return f.command(security.Worker, "Run a worker: slots for tasks")
}

func newShuffle() *cobra.Command {
	f := &roleFlags{}
	return f.command(security.Shuffle, "Run a shuffle server: stored partitions that outlive workers")
}

func (f *roleFlags) command(kind security.Role, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use: kind.String(), Short: short, Args: cobra.NoArgs,
		Long: short + `.

It serves at --listen, by TCP with TLS, and by a unix socket in its data directory. On loopback the token
and the certificate authority in the home directory (` + homeVariable + `) are used, and made if needed;
beyond loopback both must be given: --token-file and --tls-dir, or --join-token.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), kind) },
	}
	cmd.Flags().StringVar(&f.listen, "listen", "127.0.0.1:0", "`address` to serve at; port 0 takes a free one")
	cmd.Flags().StringVar(&f.advertise, "advertise", "", "`address` at which others find it; empty: where it listens")
	cmd.Flags().StringVar(&f.http, "http", "", "`address` of metrics and, of a master, REST pages; empty: none")
	cmd.Flags().StringVar(&f.join, "join", "", "`address`es of masters")
	cmd.Flags().StringVar(&f.joinToken, "join-token", "", "`file` with a join token (tidemill token --join): get certificate and token from a master")
	cmd.Flags().StringVar(&f.dataDir, "data-dir", "", "`directory` of its own; empty takes one in the home directory")
	cmd.Flags().StringVar(&f.configFile, "config", "", "read settings from a `file`, in YAML: keys whole or nested")
	cmd.Flags().StringArrayVarP(&f.settings, "set", "D", nil, "setting `key=value`")
	cmd.Flags().StringVar(&f.level, "log", "info", "log `level`: debug, info, warn or error")
	cmd.Flags().BoolVar(&f.child, "child", false, "end when standard input does")
	_ = cmd.Flags().MarkHidden("child")
	f.registerCredentials(cmd)
	return cmd
}

func (f *roleFlags) run(ctx context.Context, kind security.Role) error {
	if err := f.enroll(ctx, kind); err != nil {
		return err
	}
	o, registry, err := f.options(kind)
	if err != nil {
		return err
	}
	defer func() { _ = registry.Close() }() // nothing was written by it that is not closed
	if f.child {
		var stop context.CancelFunc
		ctx, stop = withInput(ctx, os.Stdin)
		defer stop()
	}
	r, err := process.Start(ctx, kind, process.MasterOptions{Options: o, Bootstrap: f.bootstrap})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	a := r.Address()
	o.Log.Info("serves", "role", a.Role, "name", a.Name, "address", a.Address, "http", a.HTTP)
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case err = <-r.Failed():
	case <-r.Drained():
		o.Log.Info("drained: nothing is kept here any more")
	}
	return errors.Join(err, closeSoon(r.Close, o.Log))
}

// closePatience is how long a role may take to end. What ends it has limits of its own:
// this one is for what nobody thought of, and tells what that was.
const closePatience = 15 * time.Second

// closeSoon ends a role, or gives up: the process ends with it.
func closeSoon(end func() error, log *slog.Logger) error {
	ended := make(chan error, 1)
	go func() { ended <- end() }()
	late := time.NewTimer(closePatience)
	defer late.Stop()
	select {
	case err := <-ended:
		return err
	case <-late.C:
	}
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	log.Error("the role does not end and is given up", "after", closePatience, "goroutines", string(stacks))
	return failure.Errorf(failure.Internal, "the role did not end within %v", closePatience)
}

// options are the role's, with what it reads and writes with, which the caller closes.
func (f *roleFlags) options(kind security.Role) (o process.Options, _ *tidemill.Registry, err error) {
	if f.join == "" && kind != security.Master {
		return o, nil, failure.Errorf(failure.Usage, "the masters' addresses are missing (--join HOST:PORT,...)")
	}
	o = process.Options{
		Listen: f.listen, Advertise: f.advertise, HTTP: f.http, Version: version,
		DataDir: cmp.Or(f.dataDir, filepath.Join(home(), kind.String())),
	}
	if f.join != "" {
		if o.Masters, err = addresses(f.join); err != nil {
			return o, nil, err
		}
	}
	if o.Log, err = logger(f.level, os.Stderr); err != nil {
		return o, nil, err
	}
	settings, err := readSettings(f.configFile, f.settings)
	if err != nil {
		return o, nil, err
	}
	if o.Config, err = config.FromMap(settings, kind.String()); err != nil {
		return o, nil, err
	}
	if err := f.credentials(kind, &o); err != nil {
		return o, nil, err
	}
	registry, err := tidemill.Builtins(settings)
	if err != nil {
		return o, nil, err
	}
	o.Connectors, o.FileSystems = registry.Connector, registry.FileSystems
	return o, registry, limitMemory(settings)
}

// credentials takes the token and the certificate that flags name, or, on loopback, those
// of the home directory.
func (f *roleFlags) credentials(kind security.Role, o *process.Options) (err error) {
	near := security.Near(f.listen) && (f.http == "" || security.Near(f.http))
	if given := f.token != "" || os.Getenv(tokenVariable) != ""; given || near {
		if !given {
			f.token = filepath.Join(home(), tokenFile)
			if _, err := security.EnsureToken(f.token); err != nil {
				return err
			}
		}
		if o.Token, err = f.readToken(""); err != nil {
			return err
		}
	}
	dir := f.tls
	switch {
	case dir == "" && !near:
		return nil
	case dir == "":
		dir = filepath.Join(home(), tlsDir)
		if _, err := security.EnsureCA(dir); err != nil {
			return err
		}
	}
	if o.Identity, err = security.OpenIdentity(dir, kind); err != nil {
		return err
	}
	o.Authority, err = authorityIn(dir, kind)
	return err
}

// logger writes lines of a level and above.
func logger(level string, out io.Writer) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, failure.Errorf(failure.Usage, "--log %s: want debug, info, warn or error", level)
	}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: l})), nil
}

// withInput returns a context that ends when in does: the one who holds its other end
// has died, or wants us to end.
func withInput(ctx context.Context, in io.Reader) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	go func() { // it ends with its input, or with the process
		_, _ = io.Copy(io.Discard, in)
		stop()
	}()
	return ctx, stop
}
