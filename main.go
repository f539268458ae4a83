package tidemill

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tidemill/tidemill/core/datastream"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc/network"
	"github.com/tidemill/tidemill/core/security"
)

// Main makes a program of its caller's what a cluster of its job is made of. build adds the
// job's streams to an Env; every process calls it, and it must do the same in each.
//
//	program [-p N] [-D key=value]...                      runs the job in this process
//	program submit --cluster HOST:PORT,... [-p N] [-D key=value]... [--wait]
//	program worker --join HOST:PORT,... [--listen HOST:PORT] [--data-dir DIR] ...
//	program master, program shuffle                       as of the tidemill command
//	program up [--workers N]                              a cluster in this process
//
// A cluster needs workers of the program; its masters and shuffle servers may be those of
// the tidemill command, whose flags and environment variables the roles understand.
// Main returns when the job has finished, or what was started has ended in order; it ends
// the process with the documented exit code where something fails.
func Main(build func(env *datastream.Env) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := programMain(ctx, build, os.Args[1:], os.Stdout)
	stop()
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintf(os.Stderr, "error: %v\n", err)
	os.Exit(failure.Of(err).ExitCode())
}

// program is a command line of a program of somebody's own.
type program struct {
	env   *datastream.Env
	out   io.Writer
	flags *flag.FlagSet

	settings    map[string]string
	parallelism int
	token, tls  string
}

func programMain(ctx context.Context, build func(*datastream.Env) error, args []string, out io.Writer) error {
	verb := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		verb, args = args[0], args[1:]
	}
	p := &program{
		env: datastream.New(datastream.Options{Name: filepath.Base(os.Args[0])}), out: out,
		flags: flag.NewFlagSet(verb, flag.ContinueOnError), settings: map[string]string{},
	}
	if err := build(p.env); err != nil {
		return err
	}
	p.flags.Func("D", "setting `key=value`", func(text string) error {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return fmt.Errorf("want key=value")
		}
		p.settings[name] = value
		return nil
	})
	p.flags.StringVar(&p.token, "token-file", os.Getenv("TIDEMILL_TOKEN_FILE"), "`file` with the cluster's token")
	p.flags.StringVar(&p.tls, "tls-dir", os.Getenv("TIDEMILL_TLS_DIR"), "`directory` with the cluster's certificate")
	verbs := map[string]func(context.Context, []string) error{
		"": p.embedded, "submit": p.submit, "up": p.up,
		"master":  func(ctx context.Context, args []string) error { return p.role(ctx, security.Master, args) },
		"worker":  func(ctx context.Context, args []string) error { return p.role(ctx, security.Worker, args) },
		"shuffle": func(ctx context.Context, args []string) error { return p.role(ctx, security.Shuffle, args) },
	}
	run, ok := verbs[verb]
	if !ok {
		return failure.Errorf(failure.Usage, "unknown command %q: there are submit, up, master, worker and shuffle, or none to run the job here", verb)
	}
	return run(ctx, args)
}

// parse reads the flags of a command, after which nothing may follow.
func (p *program) parse(args []string) error {
	if err := p.flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return failure.Wrap(failure.Usage, err)
	}
	if p.flags.NArg() > 0 {
		return failure.Errorf(failure.Usage, "%q is no flag", p.flags.Arg(0))
	}
	return nil
}

// jobFlags are those of commands that run the job.
func (p *program) jobFlags() {
	p.flags.IntVar(&p.parallelism, "p", 0, "`parallelism` of the job; 0: as it was built")
}

func (p *program) embedded(ctx context.Context, args []string) error {
	p.jobFlags()
	if err := p.parse(args); err != nil {
		return err
	}
	p.env.Configure(datastream.Options{Parallelism: p.parallelism, Settings: p.settings})
	return Run(ctx, p.env, Options{Settings: p.settings})
}

// submit starts the job on a cluster and prints its id.
func (p *program) submit(ctx context.Context, args []string) error {
	p.jobFlags()
	masters := p.flags.String("cluster", os.Getenv("TIDEMILL_CLUSTER"), "`address`es of the masters")
	wait := p.flags.Bool("wait", false, "wait until the job is over")
	if err := p.parse(args); err != nil {
		return err
	}
	to, err := p.access(*masters)
	if err != nil {
		return err
	}
	registry, err := Builtins(nil)
	if err != nil {
		return err
	}
	defer func() { _ = registry.Close() }()
	p.env.Configure(datastream.Options{Parallelism: p.parallelism, Settings: p.settings})
	g, err := p.env.Graph(ctx, registry.Connector)
	if err != nil {
		return err
	}
	if err := absolute(g); err != nil {
		return err
	}
	n := network.New(to)
	defer n.Close()
	job, err := datastream.Submit(ctx, n.Cluster(), g)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(p.out, job.ID); err != nil || !*wait {
		return err
	}
	return job.Wait(ctx)
}

// access is how a client reaches a cluster.
func (p *program) access(masters string) (network.Options, error) {
	o := network.Options{CallTimeout: callPatience}
	if masters == "" {
		return o, failure.Errorf(failure.Usage, "the addresses of the masters are missing (--cluster HOST:PORT,...)")
	}
	o.Masters = strings.Split(masters, ",")
	var err error
	if text := os.Getenv("TIDEMILL_TOKEN"); p.token == "" && text != "" {
		o.Token, err = security.ParseToken(text)
	} else {
		o.Token, err = security.ReadToken(cmp.Or(p.token, filepath.Join(programHome(), "token")))
	}
	if err != nil {
		return o, fmt.Errorf("the cluster's token (--token-file FILE): %w", err)
	}
	trust, err := security.LoadTrust(cmp.Or(p.tls, filepath.Join(programHome(), "tls")))
	if err != nil {
		return o, fmt.Errorf("the cluster's certificate (--tls-dir DIR): %w", err)
	}
	o.TLS = trust.Client()
	return o, nil
}

// programHome is where credentials are looked for, as the tidemill command does.
func programHome() string {
	if dir := os.Getenv("TIDEMILL_HOME"); dir != "" {
		return dir
	}
	dir, err := os.UserHomeDir()
	if err != nil {
		return ".tidemill"
	}
	return filepath.Join(dir, ".tidemill")
}
