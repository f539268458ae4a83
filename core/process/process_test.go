package process

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/rpc/network"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/fs"
)

// Roles in one process, on loopback, with the credentials of a cluster: they find each
// other, and leave nothing when they end. How they are as processes is shown by the tests
// of cmd/tidemill.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// place is where the roles of a test live.
type place struct {
	t     *testing.T
	dir   string
	ca    *security.CA
	token security.Token
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir := t.TempDir()
	ca, err := security.EnsureCA(filepath.Join(dir, "tls"))
	if err != nil {
		t.Fatal(err)
	}
	return &place{t: t, dir: dir, ca: ca, token: security.NewToken()}
}

func (p *place) options(kind security.Role, name string, masters ...string) Options {
	p.t.Helper()
	i, err := p.ca.Issue(security.Grant{Roles: []security.Role{kind}})
	if err != nil {
		p.t.Fatal(err)
	}
	c, err := config.FromMap(map[string]string{"worker.slots": "2", "worker.memory.size": "256mb"}, "test")
	if err != nil {
		p.t.Fatal(err)
	}
	return Options{
		Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Masters: masters, DataDir: filepath.Join(p.dir, name), Config: c,
		Identity: i, Token: p.token, Version: "test", FileSystems: fs.NewRegistry(),
		Connectors: func(name string) (connector.Connector, error) {
			return nil, failure.Errorf(failure.InvalidSQL, "no connector %s", name)
		},
	}
}

func (p *place) master() *Master {
	p.t.Helper()
	m, err := StartMaster(p.t.Context(), MasterOptions{Options: p.options(security.Master, "master")})
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

func end(t *testing.T, roles ...interface{ Close() error }) {
	t.Helper()
	for _, r := range roles {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
	}
}

func TestRoles(t *testing.T) {
	p := newPlace(t)
	m := p.master()
	at := m.Address()
	// What lives on from here is swept: an earlier life's files, its socket, its address.
	stale := filepath.Join(p.dir, "shuffle", "shuffle", "tidemill-1")
	if err := os.MkdirAll(stale, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Join(stale, "lock"), filepath.Join(stale, "pack"), filepath.Join(p.dir, "shuffle", socketFile), filepath.Join(p.dir, "shuffle", addressFile)} {
		if err := os.WriteFile(name, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := StartShuffle(t.Context(), p.options(security.Shuffle, "shuffle", at.Address))
	if err != nil {
		t.Fatal(err)
	}
	w, err := StartWorker(t.Context(), p.options(security.Worker, "worker", at.Address))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an earlier life's files: %v", err)
	}
	r, err := m.Client().Nodes(t.Context(), &rpc.NodesRequest{})
	if err != nil || len(r.GetNodes()) != 3 {
		t.Fatalf("nodes: %v, %v", r, err)
	}
	for _, n := range r.GetNodes() {
		if n.GetRole() == "worker" && (n.GetSlots() != 2 || n.GetId() != w.Address().Name || n.GetShuffle().GetSocket() == "") {
			t.Errorf("worker: %v", n)
		}
	}
	if got, err := ReadAddress(filepath.Join(p.dir, "worker")); err != nil || got != w.Address() {
		t.Errorf("%+v, %v", got, err)
	}
	if len(s.store.key.get()) == 0 {
		t.Error("the shuffle server has no key for tickets")
	}
	// Drained, with nothing kept, it may end.
	if _, err := m.Client().DrainNode(t.Context(), &rpc.DrainNodeRequest{Id: s.Address().Name}); err != nil {
		t.Fatal(err)
	}
	<-s.Drained()
	end(t, w)
	left, err := m.Client().Nodes(t.Context(), &rpc.NodesRequest{})
	if err != nil || len(left.GetNodes()) != 2 { // who ends signs off
		t.Errorf("nodes: %v, %v", left, err)
	}
	end(t, s, m)
	if _, err := ReadAddress(filepath.Join(p.dir, "worker")); failure.Of(err) != failure.NotFound {
		t.Errorf("the address of a worker that has ended: %v", err)
	}
	for _, name := range []string{"worker/spill", "shuffle/shuffle"} {
		if left, err := os.ReadDir(filepath.Join(p.dir, name)); err != nil || len(left) > 0 {
			t.Errorf("%s: %v, %v", name, left, err)
		}
	}
}

// A master that is started again has its name and its address for other masters, though
// it listens elsewhere.
func TestMasterIsStartedAgain(t *testing.T) {
	p := newPlace(t)
	if FoundAt(filepath.Join(p.dir, "master")) != "" {
		t.Error("a master that never was has an address")
	}
	m := p.master()
	first := m.Address().Address
	members, err := m.store.Members(t.Context())
	if err != nil || len(members) != 1 || members[0].ID != first {
		t.Fatalf("%v, %v", members, err)
	}
	end(t, m)
	m = p.master()
	again, err := m.store.Members(t.Context())
	if err != nil || len(again) != 1 || again[0] != members[0] || FoundAt(filepath.Join(p.dir, "master")) != first {
		t.Errorf("%v, %v", again, err)
	}
	end(t, m)
}

// What is wrong is said, by class, before anything is left behind.
func TestRefused(t *testing.T) {
	p := newPlace(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	held, err := Lock(filepath.Join(p.dir, "held"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	for name, c := range map[string]struct {
		change func(o *Options)
		class  failure.Class
		says   string
	}{
		"no directory":    {func(o *Options) { o.DataDir = "" }, failure.Usage, "--data-dir"},
		"no address":      {func(o *Options) { o.Listen = "" }, failure.Usage, "--listen"},
		"no port":         {func(o *Options) { o.Listen = "localhost" }, failure.Usage, "HOST:PORT"},
		"open":            {func(o *Options) { o.Listen, o.Identity = "0.0.0.0:0", nil }, failure.Usage, "has not TLS"},
		"open pages":      {func(o *Options) { o.HTTP, o.Token = "0.0.0.0:0", security.Token{} }, failure.Usage, "0.0.0.0:0"},
		"no token":        {func(o *Options) { o.Token = security.Token{} }, failure.Usage, "token"},
		"no certificate":  {func(o *Options) { o.Identity = nil }, failure.Usage, "--tls-dir"},
		"taken address":   {func(o *Options) { o.Listen = taken.Addr().String() }, failure.Usage, "in use"},
		"taken pages":     {func(o *Options) { o.HTTP = taken.Addr().String() }, failure.Usage, "in use"},
		"taken directory": {func(o *Options) { o.DataDir = filepath.Join(p.dir, "held") }, failure.Conflict, "in use by another process"},
		"a file":          {func(o *Options) { o.DataDir = filepath.Join(p.dir, "tls", "ca.crt") }, failure.Usage, "data directory"},
	} {
		o := p.options(security.Worker, "worker", "127.0.0.1:1")
		c.change(&o)
		w, err := StartWorker(t.Context(), o)
		if err == nil {
			end(t, w)
		}
		if failure.Of(err) != c.class || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v (%v), want %v with %q", name, err, failure.Of(err), c.class, c.says)
		}
	}
}

// A worker waits for a master that is not there yet, and ends when it is told so; one of
// another cluster is refused at once.
func TestMastersThatDoNotAnswer(t *testing.T) {
	p := newPlace(t)
	ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	if _, err := StartShuffle(ctx, p.options(security.Shuffle, "shuffle", "127.0.0.1:1")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a master: %v", err)
	}
	m := p.master()
	stranger := newPlace(t)
	o := stranger.options(security.Worker, "worker", m.Address().Address)
	if _, err := StartWorker(t.Context(), o); failure.Of(err) != failure.Unauthorized {
		t.Errorf("of another cluster: %v", err)
	}
	// A certificate of the cluster, but of another role.
	o = p.options(security.Client, "client", m.Address().Address)
	if _, err := StartWorker(t.Context(), o); failure.Of(err) != failure.Unauthorized {
		t.Errorf("with a client's certificate: %v", err)
	}
	// A client that does not speak TLS.
	n := network.New(network.Options{Masters: []string{m.Address().Address}, Token: p.token, CallTimeout: time.Second})
	if _, err := n.Cluster().Nodes(t.Context(), &rpc.NodesRequest{}); err == nil {
		t.Error("a plain client was served")
	}
	n.Close()
	end(t, m)
}
