package network

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/security"
)

// A process is connected by a certificate whose authority is taken out. If it has another
// certificate by now it goes on with that, over a new connection; if not it is refused.
func TestConnectionsOutliveTheirAuthority(t *testing.T) {
	before, after := authority(t), authority(t)
	both := append(before.Certificate(), after.Certificate()...)
	place := func(i *security.Identity, role security.Role) (string, *security.Identity) {
		t.Helper()
		dir := t.TempDir()
		err := errors.Join(i.Save(dir, role.String()), os.WriteFile(filepath.Join(dir, "ca.crt"), both, 0o600))
		if err != nil {
			t.Fatal(err)
		}
		opened, err := security.OpenIdentity(dir, role)
		if err != nil {
			t.Fatal(err)
		}
		return dir, opened
	}
	reload := func(i *security.Identity) {
		t.Helper()
		if changed, err := i.Reload(time.Now()); err != nil || !changed {
			t.Fatalf("changed %v, %v", changed, err)
		}
	}
	atServer, server := place(identity(t, after, security.Worker), security.Worker)
	atMaster, master := place(identity(t, before, security.Master), security.Master)
	_, late := place(identity(t, before, security.Master), security.Master)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(ServerOptions(Admission{TLS: server.Server(), Check: server.Check, Token: security.NewToken()})...)
	Register(s, Services{Worker: someWorker{}})
	served := make(chan error)
	go func() { served <- s.Serve(NewDoor(l)) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	ask := func(n *Network) error {
		_, err := n.Worker(id.Worker(rpc.NewName(l.Addr().String()))).Logs(t.Context(), &rpc.LogsRequest{})
		return err
	}
	renewed, forgotten := dialer(t, Options{TLS: master.Client()}), dialer(t, Options{TLS: late.Client()})
	if err := errors.Join(ask(renewed), ask(forgotten)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(identity(t, after, security.Master).Save(atMaster, "master"), os.WriteFile(filepath.Join(atServer, "ca.crt"), after.Certificate(), 0o600)); err != nil {
		t.Fatal(err)
	}
	reload(master)
	reload(server)
	_ = ask(renewed) // the call that finds the connection ended
	if err := ask(renewed); err != nil {
		t.Errorf("with a new certificate: %v", err)
	}
	if err := errors.Join(ask(forgotten), ask(forgotten)); err == nil {
		t.Error("with one of the old authority it is served")
	}
}
