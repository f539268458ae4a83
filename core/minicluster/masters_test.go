package minicluster_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/minicluster"
	"github.com/tidemill/tidemill/core/rpc"
)

// The leading one of three masters dies, dies with its disk and is cut off: another leads
// within seconds, workers and shuffle servers come to it, and whoever was away takes part
// again. What jobs make of it is shown by core/simulation.
func TestMastersComeAndGo(t *testing.T) {
	blobs, spill := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		settings, err := config.FromMap(map[string]string{"io.tmp.dir": spill, "worker.slots": "2"}, "test")
		if err != nil {
			t.Fatal(err)
		}
		registry, err := tidemill.Builtins(nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := minicluster.New(t.Context(), minicluster.Options{
			Config: settings, Connectors: registry.Connector, FileSystems: registry.FileSystems,
			Workers: 2, Servers: 1, Masters: 3, Blobs: blobs, Wire: rpc.LocalOptions{Serialize: true},
		})
		if err != nil {
			t.Fatal(err)
		}
		leader := whole(t, c, "")
		for name, strike := range map[string]func() error{
			"killed":         func() error { return c.KillMaster(t.Context(), false, 3*time.Second) },
			"lost its disk":  func() error { return c.KillMaster(t.Context(), true, time.Second) },
			"was cut off":    func() error { c.IsolateMaster(t.Context(), 5*time.Second); return nil },
			"lost it, again": func() error { return c.KillMaster(t.Context(), true, 0) },
		} {
			if err := strike(); err != nil {
				t.Fatalf("%s %s: %v", leader, name, err)
			}
			leader = whole(t, c, leader)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := registry.Close(); err != nil {
			t.Error(err)
		}
	})
}

// whole waits until a cluster has all that it began with and another leader than before.
func whole(t *testing.T, c *minicluster.Cluster, before string) string {
	t.Helper()
	for range 100 {
		r, err := c.Client().Nodes(t.Context(), &rpc.NodesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		roles, leader := []string{}, ""
		for _, n := range r.GetNodes() {
			roles = append(roles, n.GetRole())
			if n.GetLeader() {
				leader = n.GetId()
			}
		}
		slices.Sort(roles)
		if leader != before && slices.Equal(roles, []string{"master", "master", "master", "shuffle", "worker", "worker"}) {
			return leader
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("the cluster is not whole, or %s leads still", before)
	return ""
}
