package verify

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// Proxies stand before all nodes, workers are told of theirs and of the masters', and
// connections live on, or are cut, after what a network does to them.
func TestInterpose(t *testing.T) {
	c := testCluster(t, Shape{Masters: 1, Workers: 1})
	if err := c.disturb(t.Context(), 0, reset, time.Millisecond); err == nil {
		t.Error("a network without proxies was disturbed")
	}
	if err := c.interpose(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	args := strings.Join(c.nodes[1].arguments(c.nodes[1].masters), " ")
	if !strings.Contains(args, "--join "+c.proxies[0].Addr().String()) || !strings.Contains(args, "--advertise "+c.proxies[1].Addr().String()) {
		t.Error(args)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", c.nodes[0].address)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", c.proxies[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	through := func() error {
		if _, err := conn.Write([]byte("x")); err != nil {
			return err
		}
		_, err := io.ReadFull(server, make([]byte, 1))
		return err
	}
	for _, f := range []networkFault{delayed, stalled} {
		if err := c.disturb(t.Context(), 0, f, time.Millisecond); err != nil {
			t.Fatal(f, err)
		}
		if err := through(); err != nil {
			t.Errorf("after %v: %v", f, err)
		}
	}
	if err := c.disturb(t.Context(), 0, halfOpen, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(server, make([]byte, 1)); err == nil {
		t.Error("a connection lives on that has lost bytes")
	}
	if err := c.disturb(t.Context(), 0, noNetworkFault, time.Millisecond); err == nil {
		t.Error("no fault was done")
	}
}

// Every scenario has a name of its own and tells what it shows; long ones are played
// when they are named.
func TestScenariosAreChosenByName(t *testing.T) {
	var names []string
	for _, s := range Scenarios() {
		if s.Name == "" || s.Shows == "" || s.play == nil || slices.Contains(names, s.Name) {
			t.Errorf("%+v", s)
		}
		names = append(names, s.Name)
	}
	short, err := choose(nil)
	if err != nil || len(short) == 0 || len(short) >= len(names) {
		t.Errorf("%d of %d, %v", len(short), len(names), err)
	}
	if chosen, err := choose(names); err != nil || len(chosen) != len(names) {
		t.Errorf("%d, %v", len(chosen), err)
	}
	if _, err := choose([]string{"none"}); err == nil || !strings.Contains(err.Error(), "worker-after-stage") {
		t.Error(err)
	}
}

// What holds at last is waited for; what never holds ends with its reason.
func TestUntil(t *testing.T) {
	tries := 0
	err := until(t.Context(), "three tries", func() (bool, error) { tries++; return tries == 3, nil })
	if err != nil || tries != 3 {
		t.Errorf("%v after %d", err, tries)
	}
	ctx, stop := context.WithCancel(t.Context())
	if err := until(ctx, "never", func() (bool, error) { stop(); return false, nil }); err == nil {
		t.Error("what never holds does")
	}
}
