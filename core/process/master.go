package process

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"

	"github.com/tidemill/tidemill/core/checkpoint/storage"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/rpc/network"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/raftmeta"
	"github.com/tidemill/tidemill/raftmeta/blobstore"
	"github.com/tidemill/tidemill/raftmeta/raftstore"
	"github.com/tidemill/tidemill/scheduler"
	"github.com/tidemill/tidemill/scheduler/checkpointing"
	"github.com/tidemill/tidemill/scheduler/rest"
)

// MasterOptions are those of a master.
type MasterOptions struct {
	Options
	// Bootstrap has a master with an empty data directory begin a cluster although it was
	// told of other masters, once each of them has said that it is in none; it joins the
	// one that there is. A master that was told of no others begins one always.
	Bootstrap bool
}

// Master takes part in the replicated store, and leads or waits.
type Master struct {
	*role
	id string // for ever: where it was first found
	// logAddress is where other masters reach its log.
	logAddress string
	founding   atomic.Bool // it is to begin a cluster, if there is none
	store      *raftstore.Store
	blobs      *blobstore.Store
	candidate  *scheduler.Candidate
	running    sync.WaitGroup // the candidate, and joining
}

// Names in a master's directory, DIR/master.
const (
	masterDir  = "master"
	idFile     = "id"
	logAddress = "log-address"
)

// StartMaster returns a master that takes part, whether it leads or not. ctx ends the
// start only.
func StartMaster(ctx context.Context, o MasterOptions) (*Master, error) {
	r, err := open(security.Master, o.Options)
	if err != nil {
		return nil, err
	}
	m := &Master{role: r}
	if err := m.start(ctx, o.Bootstrap); err != nil {
		return nil, r.failed(err)
	}
	return m, nil
}

func (m *Master) start(ctx context.Context, bootstrap bool) error {
	dir, err := m.dir.below(masterDir)
	if err != nil {
		return err
	}
	if m.id, err = m.remember(idFile, m.door.address); err != nil {
		return err
	}
	if err := m.openStore(ctx, dir, len(m.opts.Masters) == 0); err != nil {
		return err
	}
	members, err := m.store.Members(ctx)
	if err != nil {
		return err
	}
	m.founding.Store(bootstrap && len(members) == 0)
	root, stop := context.WithCancel(context.Background())
	m.closer(func() error {
		stop()
		m.running.Wait()
		return nil
	})
	m.candidate = scheduler.NewCandidate(scheduler.CandidateOptions{
		Master: scheduler.Options{
			Store: m.store, Blobs: m.blobs, Dialer: m.network, Name: m.id, Address: m.door.address,
			Files: m.files, Log: m.opts.Log, Logs: m.logs, Metrics: m.opts.Metrics, Refused: m.network.Refused,
		},
		AddressOf: func(l raftmeta.Leadership) string { return l.Leader },
	})
	m.measure()
	m.running.Go(func() {
		if err := m.candidate.Run(root); err != nil {
			m.broken(fmt.Errorf("this master has failed: %w", err))
		}
	})
	m.door.serve(m.opts, func(g grpc.ServiceRegistrar) {
		network.Register(g, network.Services{
			Master: m.candidate.Master, Cluster: m.candidate.Cluster, Blobs: keptBlobs{m.blobs.Local()}, Peer: self{m},
			Authority: m.opts.Authority, Token: m.opts.Token,
		})
	}, m.pages())
	m.running.Go(func() { m.callLost(root) })
	if len(m.opts.Masters) > 0 {
		m.running.Go(func() { m.enter(root) })
	}
	defer Trim()
	return m.announce()
}

// openStore opens the replicated store with its connections to other masters, and blobs.
func (m *Master) openStore(ctx context.Context, dir string, bootstrap bool) error {
	host, _, err := net.SplitHostPort(m.opts.Listen)
	if err != nil {
		return err
	}
	listener, err := m.listenForMasters(host)
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if host, _, err = net.SplitHostPort(m.door.address); err != nil {
		return errors.Join(err, listener.Close())
	}
	m.logAddress = net.JoinHostPort(host, port)
	dialer := tls.Dialer{Config: m.opts.Identity.Client(security.Master)}
	links := &raftstore.Network{
		Listener: network.NewDoor(listener).GuardedBy(m.opts.Identity.Server(security.Master)), Address: m.logAddress,
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		},
	}
	files, err := raftstore.DirStorage(dir)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	m.store, err = raftstore.New(ctx, files, raftstore.Options{ID: m.id, Network: links, Bootstrap: bootstrap, Log: m.opts.Log})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	m.closer(m.store.Close)
	if m.blobs, err = blobstore.Open(filepath.Join(dir, "blobs"), blobstore.Options{Peers: m.peers}); err != nil {
		return err
	}
	m.closer(m.blobs.Close)
	return nil
}

// listenForMasters listens at the port where the other masters found this one before, or at
// any. The host is what it was told now: an earlier life may have had a wider door.
func (m *Master) listenForMasters(host string) (net.Listener, error) {
	before, _ := m.dir.root.ReadFile(filepath.Join(masterDir, logAddress)) // none: its first life
	_, port, _ := net.SplitHostPort(strings.TrimSpace(string(before)))
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort(host, cmp.Or(port, "0")))
	if err != nil && port != "" {
		l, err = new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return nil, fmt.Errorf("listen for other masters: %w", err)
	}
	if at := l.Addr().String() + "\n"; at != string(before) {
		if err := m.dir.root.WriteFile(filepath.Join(masterDir, logAddress), []byte(at), 0o600); err != nil {
			return nil, errors.Join(fmt.Errorf("write where other masters find this one: %w", err), l.Close())
		}
	}
	return l, nil
}

// remember returns what a file of DIR/master says, and makes it say value if there is
// none.
func (m *Master) remember(name, value string) (string, error) {
	name = filepath.Join(masterDir, name)
	text, err := m.dir.root.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		text = []byte(value + "\n")
		err = m.dir.root.WriteFile(name, text, 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("the master's %s: %w", filepath.Base(name), err)
	}
	return strings.TrimSpace(string(text)), nil
}

// files opens where a job keeps its checkpoints.
func (m *Master) files(job config.Config) (checkpointing.Files, fs.FileSystem, error) {
	return storage.Open(m.opts.FileSystems, job, memory.DefaultAllocator)
}

// pages are the REST interface; a master that does not lead asks the one that does.
func (m *Master) pages() http.Handler {
	hosts := []string{}
	for _, address := range []string{m.opts.HTTP, m.opts.Advertise, m.opts.Listen} {
		if host, _, err := net.SplitHostPort(address); err == nil && host != "" {
			hosts = append(hosts, host)
		}
	}
	return rest.New(rest.Options{
		Cluster: m.network.Cluster(), Metrics: m.opts.Metrics, Token: m.opts.Token, Hosts: hosts, Version: m.opts.Version,
	})
}

// peers are the blobs of the other masters.
func (m *Master) peers() (out []blobstore.Peer) {
	members, err := m.store.Members(context.Background())
	if err != nil {
		return nil
	}
	for _, k := range members {
		if k.Voter && k.ID != m.id {
			out = append(out, remoteBlobs{m.network.Blobs(k.ID)})
		}
	}
	return out
}

// Client is the leading master as clients see it.
func (m *Master) Client() rpc.ClusterClient { return m.network.Cluster() }

// remoteBlobs are those of another master.
type remoteBlobs struct {
	blobs network.Blobs
}

// Put implements blobstore.Peer.
func (b remoteBlobs) Put(ctx context.Context, name raftmeta.BlobName, data []byte) error {
	_, err := b.blobs.Put(ctx, &rpc.BlobRequest{Name: string(name), Data: data})
	return err
}

// Get implements blobstore.Peer.
func (b remoteBlobs) Get(ctx context.Context, name raftmeta.BlobName) ([]byte, error) {
	r, err := b.blobs.Get(ctx, &rpc.BlobRequest{Name: string(name)})
	return r.GetData(), err
}

// keptBlobs are this master's, for others.
type keptBlobs struct {
	files *blobstore.Files
}

// Put implements network.Blobs.
func (b keptBlobs) Put(ctx context.Context, r *rpc.BlobRequest) (*rpc.BlobReply, error) {
	return &rpc.BlobReply{}, b.files.Put(ctx, raftmeta.BlobName(r.GetName()), r.GetData())
}

// Get implements network.Blobs.
func (b keptBlobs) Get(ctx context.Context, r *rpc.BlobRequest) (*rpc.BlobReply, error) {
	data, err := b.files.Get(ctx, raftmeta.BlobName(r.GetName()))
	return &rpc.BlobReply{Data: data}, err
}
