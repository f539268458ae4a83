package process

import (
	"cmp"
	"log/slog"
	"net"
	"slices"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/joblog"
	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/operator/process"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/fs"
)

// Options say where a role lives and what it is made of.
type Options struct {
	// Listen is where the role serves: host:port; port 0 takes a free one. Required.
	Listen string
	// Advertise is where others find it: host:port, or host:0 for the port where it listens;
	// empty: where it listens, which must be an address that others can reach.
	Advertise string
	// HTTP is where it shows metrics, and a master its REST pages; empty: nowhere.
	HTTP string
	// Masters are the addresses of the masters; of a master, those of the others.
	Masters []string
	// DataDir is its directory, made if needed and locked. Required.
	DataDir string
	// Config has the process's settings.
	Config config.Config
	// Identity is the role's certificate: what is spoken over TCP is TLS on both sides.
	// Required.
	Identity *security.Identity
	// Token is what clients and, over sockets, roles show. Required.
	Token security.Token
	// Authority has a master give certificates to processes that show a join token; nil:
	// it does not.
	Authority *security.CA
	Version   string
	// Connectors finds a connector by the value of its 'connector' option.
	Connectors func(name string) (connector.Connector, error)
	// Functions finds the functions of the program's own operators; nil: there are none.
	Functions process.Functions
	// FileSystems hold tables and checkpoints.
	FileSystems *fs.Registry
	Metrics     *metric.Registry // nil: one of its own
	Log         *slog.Logger     // nil: discarded
}

func (o Options) complete() (Options, error) {
	switch {
	case o.DataDir == "":
		return o, failure.Errorf(failure.Usage, "a data directory is missing (--data-dir DIR)")
	case o.Listen == "":
		return o, failure.Errorf(failure.Usage, "an address to listen at is missing (--listen HOST:PORT)")
	}
	addresses := []string{o.Listen}
	if o.HTTP != "" {
		addresses = append(addresses, o.HTTP)
	}
	for _, address := range addresses {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return o, failure.Errorf(failure.Usage, "%q is no HOST:PORT: %w", address, err)
		}
	}
	slices.SortStableFunc(addresses, func(a, b string) int { return nearness(a) - nearness(b) }) // the widest door is told of
	for _, address := range addresses {
		if err := security.CheckBind(address, o.Identity != nil, !o.Token.IsZero()); err != nil {
			return o, err
		}
	}
	if err := o.checkAdvertise(); err != nil {
		return o, err
	}
	if o.Identity == nil {
		return o, failure.Errorf(failure.Usage, "a certificate is missing (--tls-dir DIR; `tidemill cert` makes one)")
	}
	o.Metrics = cmp.Or(o.Metrics, metric.NewRegistry(metric.Options{}))
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// checkAdvertise refuses addresses at which nobody finds the role.
func (o Options) checkAdvertise() error {
	address, flag := o.Advertise, "--advertise"
	if address == "" {
		address, flag = o.Listen, "--listen"
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return failure.Errorf(failure.Usage, "%s %q is no HOST:PORT: %w", flag, address, err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return failure.Errorf(failure.Usage, "nobody finds a process at %s: say where others reach it (--advertise HOST:PORT)", address)
	}
	return nil
}

// advertised is where others find a role that listens at an address.
func (o Options) advertised(at net.Addr) (string, error) {
	if o.Advertise == "" {
		return at.String(), nil
	}
	host, port, err := net.SplitHostPort(o.Advertise)
	if err == nil && port == "0" {
		_, port, err = net.SplitHostPort(at.String())
	}
	return net.JoinHostPort(host, port), err
}

func nearness(address string) int {
	if security.Near(address) {
		return 1
	}
	return 0
}

// logged is the log of a role with a name, and the lines of it that are kept by job.
func (o *Options) logged(name string) *joblog.Ring {
	ring := joblog.New(joblog.Options{Node: name})
	o.Log = slog.New(ring.Handler(o.Log.Handler()))
	return ring
}
