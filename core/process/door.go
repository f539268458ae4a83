package process

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/rpc/network"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/flight"
	"github.com/tidemill/tidemill/shuffle/service"
)

// maxSocketPath is the longest path that a unix socket can have.
const maxSocketPath = 100

// doorPatience is for calls under way when the role ends.
const doorPatience = 5 * time.Second

// door is where a role is reached: TCP with TLS, a unix socket, HTTP.
type door struct {
	address  string // that others use
	name     string
	grpc     *grpc.Server
	streams  *service.Server // nil: no partitions are kept here
	tcp      net.Listener
	unix     net.Listener // nil: the path would be too long
	pages    net.Listener // nil: there is none
	http     *http.Server
	insecure bool // pages are plain
	socket   string
	broken   func(error) // is told why nothing is answered any more
	serving  sync.WaitGroup
}

// openDoor listens; serve serves.
func openDoor(o Options, d *directory) (_ *door, err error) {
	p := &door{}
	if p.tcp, err = new(net.ListenConfig).Listen(context.Background(), "tcp", o.Listen); err != nil {
		return nil, failure.Errorf(failure.Usage, "listen: %w", err)
	}
	if p.address, err = o.advertised(p.tcp.Addr()); err != nil {
		return nil, errors.Join(err, p.tcp.Close())
	}
	p.name = rpc.NewName(p.address)
	if path := filepath.Join(d.path, socketFile); len(path) <= maxSocketPath {
		if p.unix, err = new(net.ListenConfig).Listen(context.Background(), "unix", path); err != nil {
			return nil, errors.Join(failure.Errorf(failure.Usage, "listen: %w", err), p.tcp.Close())
		}
		p.socket = path
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, errors.Join(err, p.tcp.Close(), p.unix.Close())
		}
	}
	if o.HTTP != "" {
		if p.pages, err = new(net.ListenConfig).Listen(context.Background(), "tcp", o.HTTP); err != nil {
			return nil, errors.Join(failure.Errorf(failure.Usage, "listen: %w", err), p.close())
		}
		p.insecure = security.Near(o.HTTP)
	}
	return p, nil
}

// server is the process as a shuffle server.
func (p *door) server() shuffle.Server {
	return shuffle.Server{ID: p.name, Host: flight.Machine(), Socket: p.socket, Address: p.address}
}

// serve answers calls with what register adds, and pages where there is a place for them.
func (p *door) serve(o Options, register func(grpc.ServiceRegistrar), pages http.Handler, more ...grpc.ServerOption) {
	admission := network.Admission{TLS: o.Identity.Server(), Check: o.Identity.Check, Token: o.Token, Authority: o.Authority, Name: p.name, Version: o.Version}
	p.grpc = grpc.NewServer(append(network.ServerOptions(admission), more...)...)
	register(p.grpc)
	for _, l := range []net.Listener{p.tcp, p.unix} {
		if l == nil {
			continue
		}
		p.serving.Go(func() {
			if err := p.grpc.Serve(p.shared(network.NewDoor(l), admission)); err != nil {
				p.broken(fmt.Errorf("calls at %s are not answered any more: %w", l.Addr(), err))
			}
		})
	}
	if p.pages == nil {
		return
	}
	p.http = pagesServer(o, pages)
	l := net.Listener(network.NewDoor(p.pages))
	if !p.insecure {
		l = tls.NewListener(l, o.Identity.Server())
	}
	p.serving.Go(func() {
		if err := p.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.broken(fmt.Errorf("pages at %s are not served any more: %w", l.Addr(), err))
		}
	})
}

// shared is a listener that streams of the shuffle come by too, if the role keeps
// partitions.
func (p *door) shared(l net.Listener, a network.Admission) net.Listener {
	if p.streams == nil {
		return l
	}
	return p.streams.Listener(l, service.DoorOptions{TLS: a.TLS, Admit: a.Stream})
}

// url is where the pages are; empty: nowhere.
func (p *door) url() string {
	switch {
	case p.pages == nil:
		return ""
	case p.insecure:
		return "http://" + p.pages.Addr().String()
	}
	return "https://" + p.pages.Addr().String()
}

// close ends what is answered, with some patience, and the listeners.
func (p *door) close() error {
	var err error
	if p.http != nil {
		ctx, stop := context.WithTimeout(context.Background(), doorPatience)
		defer stop()
		if err = p.http.Shutdown(ctx); err != nil {
			err = errors.Join(fmt.Errorf("end pages: %w", err), p.http.Close())
		}
	} else if p.pages != nil {
		err = p.pages.Close()
	}
	if p.grpc != nil {
		p.grpc.Stop()
	}
	for _, l := range []net.Listener{p.tcp, p.unix} {
		if l != nil {
			_ = l.Close() // the server has, if it served
		}
	}
	p.serving.Wait()
	return err
}
