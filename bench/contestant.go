package bench

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

//go:embed peer.py
var peerScript string

// Programs are how engines are started.
type Programs struct {
	// Binary is our command; each contestant of ours is one process of it.
	Binary string
	// Settings are ours, by their keys.
	Settings map[string]string
	// Python has the packages of the peers.
	Python string
	// Flink is where Apache Flink is.
	Flink string
	// FlinkSettings are Flink's, by their keys.
	FlinkSettings map[string]string
	// FlinkLimit is the longest that a run of Flink's may take; zero: there is none.
	FlinkLimit time.Duration
	// Memory, if given, is the limit of ours and DuckDB's ("500 mb"; Polars has none).
	// Several have ours run at each of them, and be compared with the last; "none" is
	// no limit.
	Memory []string
}

// noLimit is the memory of engines that take what they want.
const noLimit = "none"

// limit is the only memory limit; noLimit where none is given.
func (p Programs) limit() string {
	if len(p.Memory) == 0 {
		return noLimit
	}
	return p.Memory[0]
}

// atEach are contestants of ours, one for each memory limit.
func (p Programs) atEach(slots int, views map[string]string) (all []contestant) {
	for _, m := range p.Memory {
		all = append(all, contestant{name: limitName(m), slots: slots, memory: m, views: views})
	}
	return all
}

func limitName(memory string) string {
	if memory == noLimit {
		return "no limit"
	}
	return memory
}

// flinkPeer is the peer that runs streams.
const flinkPeer = "flink"

// contestant is an engine to start.
type contestant struct {
	name    string            // in the report
	peer    string            // duckdb, polars or flink; empty: ours
	scratch string            // of flink: a directory to work in
	every   string            // of flink: the interval of checkpoints; empty: none
	cluster string            // ours: data directory of the cluster whose client it is; empty: embedded
	slots   int               // or threads; ours has as many CPUs, as threads have
	memory  string            // its limit; empty: that of Programs
	views   map[string]string // tables by their files
}

// start starts all, ours first, or none.
func (p Programs) start(ctx context.Context, contestants []contestant) (all []*engine, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(all))
			all = nil
		}
	}()
	for _, c := range contestants {
		args, err := p.command(c)
		if err != nil {
			return all, err
		}
		e, err := start(ctx, c.name, args, c.slots, c.views)
		if err != nil && c.peer != "" && c.peer != flinkPeer {
			err = fmt.Errorf("%w (make bench-peers installs the peers)", err)
		}
		if err != nil {
			return all, err
		}
		all = append(all, e)
	}
	return all, nil
}

func (p Programs) command(c contestant) ([]string, error) {
	memory := cmp.Or(c.memory, p.limit())
	if memory == noLimit {
		memory = ""
	}
	if c.peer == flinkPeer {
		args := []string{p.Binary, "bench", "flink", "--home", p.Flink, "--dir", c.scratch, "--slots", fmt.Sprint(c.slots), "--checkpoint", c.every}
		for key, value := range p.FlinkSettings {
			args = append(args, "--set", key+"="+value)
		}
		return append(args, "--memory", memory, "--limit", p.FlinkLimit.String()), nil
	}
	if c.peer != "" {
		if err := p.havePython(); err != nil {
			return nil, err
		}
		config, err := json.Marshal(map[string]any{"threads": c.slots, "memory": memory, "scratch": os.TempDir()})
		return []string{p.Python, "-c", peerScript, c.peer, string(config)}, err
	}
	// The environment may name a cluster, too: the flag is given in any case.
	args := []string{p.Binary, "bench", "serve", "--cluster=" + c.cluster, "-D", fmt.Sprintf("parallelism.default=%d", c.slots), "-D", fmt.Sprintf("worker.slots=%d", c.slots)}
	if memory != "" {
		args = append(args, "-D", "worker.memory.size="+memory)
	}
	for key, value := range p.Settings {
		args = append(args, "-D", key+"="+value)
	}
	return args, nil
}

func (p Programs) havePython() error {
	if _, err := os.Stat(p.Python); err != nil {
		return failure.Errorf(failure.Usage, "peers run in a Python environment, and %s is not there: make bench-peers installs it, --python names another", p.Python)
	}
	return nil
}

// limits says under which limits a report's figures were taken.
func (p Programs) limits(slots, runs int) string {
	memory := "no memory limit"
	if len(p.Memory) > 0 {
		memory = "memory limit " + strings.Join(p.Memory, ", ")
	}
	return fmt.Sprintf("%d slots or threads, %s, median of %d", slots, memory, runs)
}
