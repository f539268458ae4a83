package tidemill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/process"
	"github.com/tidemill/tidemill/core/security"
)

// role runs one role of a cluster until it is to end.
func (p *program) role(ctx context.Context, kind security.Role, args []string) error {
	o := process.Options{}
	var join, level string
	bootstrap := false
	p.flags.StringVar(&o.Listen, "listen", "127.0.0.1:0", "`address` to serve at; port 0 takes a free one")
	p.flags.StringVar(&o.Advertise, "advertise", "", "`address` at which others find it; empty: where it listens")
	p.flags.StringVar(&o.HTTP, "http", "", "`address` of metrics and, of a master, REST pages; empty: none")
	p.flags.StringVar(&join, "join", "", "`address`es of masters")
	p.flags.StringVar(&o.DataDir, "data-dir", filepath.Join(programHome(), kind.String()), "`directory` of its own")
	p.flags.StringVar(&level, "log", "info", "log `level`: debug, info, warn or error")
	if kind == security.Master {
		p.flags.BoolVar(&bootstrap, "bootstrap", false, "begin a cluster once all that --join names have said that they are in none")
	}
	if err := p.parse(args); err != nil {
		return err
	}
	if join != "" {
		o.Masters = strings.Split(join, ",")
	} else if kind != security.Master {
		return failure.Errorf(failure.Usage, "the masters' addresses are missing (--join HOST:PORT,...)")
	}
	registry, err := p.options(kind, level, &o)
	if err != nil {
		return err
	}
	defer func() { _ = registry.Close() }()
	r, err := process.Start(ctx, kind, process.MasterOptions{Options: o, Bootstrap: bootstrap})
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	o.Log.Info("serves", "role", kind, "address", r.Address().Address)
	select {
	case <-ctx.Done():
	case <-r.Drained():
	case err = <-r.Failed():
	}
	return errors.Join(err, r.Close())
}

// options completes what a role is made of; the caller closes the registry.
func (p *program) options(kind security.Role, level string, o *process.Options) (*Registry, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, failure.Errorf(failure.Usage, "--log %s: want debug, info, warn or error", level)
	}
	o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l}))
	var err error
	if o.Config, err = config.FromMap(p.settings, kind.String()); err != nil {
		return nil, err
	}
	if err := p.credentials(kind, o); err != nil {
		return nil, err
	}
	if o.Functions, err = p.env.Functions(); err != nil {
		return nil, err
	}
	registry, err := Builtins(p.settings)
	if err != nil {
		return nil, err
	}
	o.Connectors, o.FileSystems = p.env.Connectors(registry.Connector), registry.FileSystems
	return registry, nil
}

// credentials are those that flags name, or, on this machine alone, those of the home
// directory, which are made there.
func (p *program) credentials(kind security.Role, o *process.Options) (err error) {
	near := security.Near(o.Listen)
	dir := p.tls
	switch {
	case dir == "" && !near:
		return failure.Errorf(failure.Usage, "beyond this machine a certificate is needed (--tls-dir DIR)")
	case dir == "":
		dir = filepath.Join(programHome(), "tls")
		if _, err := security.EnsureCA(dir); err != nil {
			return err
		}
	}
	if o.Identity, err = security.OpenIdentity(dir, kind); err != nil {
		return err
	}
	switch text := os.Getenv("TIDEMILL_TOKEN"); {
	case p.token != "":
		o.Token, err = security.ReadToken(p.token)
	case text != "":
		o.Token, err = security.ParseToken(text)
	case near:
		o.Token, err = security.EnsureToken(filepath.Join(programHome(), "token"))
	default:
		return failure.Errorf(failure.Usage, "beyond this machine a token is needed (--token-file FILE)")
	}
	return err
}

// up runs a master, a shuffle server and workers in this process until it is to end.
func (p *program) up(ctx context.Context, args []string) (err error) {
	workers := p.flags.Int("workers", 2, "`number` of workers")
	listen := p.flags.String("listen", "127.0.0.1:0", "`address` of the master")
	dir := p.flags.String("data-dir", filepath.Join(programHome(), "up"), "`directory` of the cluster")
	level := p.flags.String("log", "info", "log `level`: debug, info, warn or error")
	if err := p.parse(args); err != nil {
		return err
	}
	if *workers < 1 {
		return failure.Errorf(failure.Usage, "--workers %d: want at least one", *workers)
	}
	var roles []process.Role
	defer func() {
		for i := range roles {
			err = errors.Join(err, roles[len(roles)-1-i].Close())
		}
	}()
	begin := func(kind security.Role, name, listen string, masters ...string) error {
		o := process.Options{Listen: listen, DataDir: filepath.Join(*dir, name), Masters: masters}
		registry, err := p.options(kind, *level, &o)
		if err != nil {
			return err
		}
		r, err := process.Start(ctx, kind, process.MasterOptions{Options: o})
		if err != nil {
			return errors.Join(err, registry.Close())
		}
		roles = append(roles, closing{r, registry})
		return nil
	}
	if err := begin(security.Master, "master", *listen); err != nil {
		return err
	}
	master := roles[0].Address().Address
	if err := begin(security.Shuffle, "shuffle", "127.0.0.1:0", master); err != nil {
		return err
	}
	for i := range *workers {
		if err := begin(security.Worker, fmt.Sprintf("worker-%d", i+1), "127.0.0.1:0", master); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(p.out, "serves at %s: submit --cluster %s\n", master, master); err != nil {
		return err
	}
	return firstFailure(ctx, roles)
}

// firstFailure waits until a role ends by itself, or ctx does.
func firstFailure(ctx context.Context, roles []process.Role) error {
	ctx, stop := context.WithCancel(ctx)
	failed := make(chan error, len(roles))
	var watching sync.WaitGroup
	defer watching.Wait()
	defer stop()
	for _, r := range roles {
		watching.Go(func() {
			select {
			case err := <-r.Failed():
				failed <- err
			case <-ctx.Done():
			}
		})
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// closing is a role with what it reads and writes with.
type closing struct {
	process.Role
	registry *Registry
}

// Close implements process.Role.
func (c closing) Close() error { return errors.Join(c.Role.Close(), c.registry.Close()) }
