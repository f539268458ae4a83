package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/bench/tpch"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

// TPCHOptions are what TPCH measures.
type TPCHOptions struct {
	Programs
	// Dir holds TABLE.parquet; a path, or a URL without peers.
	Dir string
	// Scale, if given, makes data of that scale in Local, or else in Dir, unless it is
	// there.
	Scale float64
	// Local, if given, is a directory of the same files: each query runs on both and
	// the report has the ratio to it, and what was asked of Dir's file system. Files
	// that Dir lacks are copied there.
	Local string
	// FileSystems finds those of Dir and Local.
	FileSystems *fs.Registry
	// Queries are those to run; empty means all 22.
	Queries []int
	// Peers are duckdb and polars.
	Peers []string
	// Runs is how many are counted, after one that is not; zero means 5.
	Runs int
	// Parallelism of every engine; zero means 2. Several have ours run at each of
	// them and the report show the speed-up over the first.
	Parallelism []int
	// Cluster, if given, is the data directory of an up that runs: each query runs
	// there and embedded, and the report has the ratio to that. With Workers a cluster
	// of so many is started for the time of the run, and the slots are shared out.
	Cluster string
	Workers int
	// RewriteOptional, if given, is a directory: DuckDB writes the tables there anew,
	// all columns optional, unless they are there, and those files are measured.
	RewriteOptional string
	// JSON prints the report as JSON instead of a table.
	JSON bool
	Out  io.Writer
}

func (o TPCHOptions) complete() (TPCHOptions, error) {
	if o.Dir == "" {
		return o, failure.Errorf(failure.Usage, "no directory of data is given: --data names one, --scale makes one")
	}
	if err := checkPeers(o.Peers); err != nil {
		return o, err
	}
	if len(o.Parallelism) == 0 {
		o.Parallelism = []int{2}
	}
	if slices.Min(o.Parallelism) < 1 {
		return o, failure.Errorf(failure.Usage, "--parallelism %v: want 1 or more", o.Parallelism)
	}
	if several(len(o.Peers) > 0, o.Local != "", len(o.Parallelism) > 1, len(o.Memory) > 1, o.clustered()) {
		return o, failure.Errorf(failure.Usage, "compare with peers, local files, another parallelism, another memory limit or a cluster, one at a time")
	}
	if err := o.checkCluster(); err != nil {
		return o, err
	}
	if remote(o.Dir) && len(o.Peers)+len(o.RewriteOptional) > 0 {
		return o, failure.Errorf(failure.Usage, "peers read local files, not %s", o.Dir)
	}
	if o.Runs <= 0 {
		o.Runs = 5
	}
	if len(o.Queries) == 0 {
		for n := 1; n <= tpch.Count; n++ {
			o.Queries = append(o.Queries, n)
		}
	}
	for _, n := range o.Queries {
		if _, err := tpch.Query(n); err != nil {
			return o, err
		}
	}
	return o, nil
}

func checkPeers(peers []string) error {
	for _, name := range peers {
		if name != "duckdb" && name != "polars" {
			return failure.Errorf(failure.Usage, "peer %q: want duckdb or polars", name)
		}
	}
	return nil
}

func several(conditions ...bool) bool {
	n := 0
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n > 1
}

// remote reports a URL of another file system than the machine's.
func remote(dir string) bool {
	scheme, _ := fs.SplitURI(dir)
	return scheme != "" && scheme != "file"
}

// TPCH runs queries of TPC-H over o.Dir and prints times, CPU times and memory.
// Every engine is one warm process, so nobody's start counts, and the engines take
// turns. Every engine's answer is compared with ours, and on data of scale 1 ours
// with the one that is checked in; a query that fails or differs has its line say
// so, the others still run, and TPCH returns an error.
func TPCH(ctx context.Context, o TPCHOptions) (err error) {
	o, err = o.complete()
	if err != nil {
		return err
	}
	if len(o.Peers)+len(o.RewriteOptional) > 0 {
		if err := o.havePython(); err != nil {
			return err
		}
	}
	views, err := o.data(ctx)
	if err != nil {
		return err
	}
	if o.Workers > 0 {
		own, err := o.up(ctx, o.Workers, slices.Max(o.Parallelism))
		if err != nil {
			return err
		}
		o.Cluster = own.dir
		defer func() { err = errors.Join(err, own.down()) }()
	}
	engines, err := o.start(ctx, o.contestants(views))
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := closeAll(engines); err == nil {
			err = closeErr
		}
	}()
	trials, err := o.trials(scaleOne(engines[0]))
	if err != nil {
		return err
	}
	return contest{engines: engines, runs: o.Runs, warm: 1, served: remote(o.Dir), report: newReport(engines, o.Runs, o.layout())}.all(ctx, trials)
}

// data sees to it that the data is there and returns the tables' files.
func (o TPCHOptions) data(ctx context.Context) (map[string]string, error) {
	if o.Scale > 0 {
		if err := o.generate(ctx, cmp.Or(o.Local, o.Dir)); err != nil {
			return nil, err
		}
	}
	if o.Local != "" {
		if err := o.copy(ctx); err != nil {
			return nil, err
		}
	}
	if o.RewriteOptional == "" {
		return tpchFiles(o.Dir), nil
	}
	if err := o.rewrite(ctx, tpchFiles(o.Dir)); err != nil {
		return nil, fmt.Errorf("rewrite files with optional columns: %w", err)
	}
	return tpchFiles(o.RewriteOptional), nil
}

// contestants are ours first; what ours is compared with comes last.
func (o TPCHOptions) contestants(views map[string]string) []contestant {
	slots := slices.Max(o.Parallelism)
	all := []contestant{{name: "tidemill", slots: slots, views: views}}
	if len(o.Memory) > 1 {
		return o.atEach(slots, views)
	}
	if len(o.Parallelism) > 1 {
		all = nil
		for _, n := range slices.Backward(slices.Sorted(slices.Values(o.Parallelism))) {
			all = append(all, contestant{name: slotsName(n), slots: n, views: views})
		}
	}
	if o.clustered() {
		all[0].name, all[0].cluster = "cluster", o.Cluster
		all = append(all, contestant{name: "embedded", slots: slots, views: views})
	}
	if o.Local != "" {
		all = append(all, contestant{name: "local", slots: slots, views: tpchFiles(o.Local)})
	}
	for _, name := range o.Peers {
		all = append(all, contestant{name: name, peer: name, slots: slots, views: views})
	}
	return all
}

func slotsName(n int) string {
	if n == 1 {
		return "1 slot"
	}
	return fmt.Sprintf("%d slots", n)
}

func (o TPCHOptions) layout() layout {
	l := layout{Base: -1, JSON: o.JSON, Out: o.Out, Storage: remote(o.Dir), SpeedUp: len(o.Parallelism) > 1}
	l.Title = fmt.Sprintf("TPC-H on %s; %s", o.Dir, o.limits(slices.Max(o.Parallelism), o.Runs))
	switch {
	case l.SpeedUp:
		l.Base = len(o.Parallelism) - 1
	case len(o.Memory) > 1:
		l.Base = len(o.Memory) - 1
	case o.Local != "", o.clustered():
		l.Base = 1
	case len(o.Peers) > 0:
		l.Base = 1 + max(slices.Index(o.Peers, "duckdb"), 0)
	}
	return l
}

func (o TPCHOptions) trials(official bool) (all []trial, err error) {
	for _, n := range o.Queries {
		text, err := tpch.Query(n)
		if err != nil {
			return nil, err
		}
		all = append(all, trial{
			name: fmt.Sprintf("q%d", n),
			text: func(int) string { return text },
			check: func(engine int, ours, theirs string) error {
				if engine > 0 {
					return tpch.SameAnswer(n, ours, theirs)
				}
				if official {
					return tpch.OfficialAnswer(n, ours)
				}
				return nil
			},
		})
	}
	return all, nil
}

// scaleOne reports the official data of scale 1, whose lineitem has its own count.
func scaleOne(e *engine) bool {
	r, err := e.ask(Request{SQL: "SELECT COUNT(*) FROM lineitem"})
	return err == nil && strings.HasSuffix(strings.TrimSpace(r.CSV), "\n6001215")
}

func tpchFiles(dir string) map[string]string {
	files := map[string]string{}
	for _, t := range tpch.Tables() {
		files[t] = fs.Join(dir, t+".parquet")
	}
	return files
}

// rewrite has DuckDB copy the tables that are not there yet.
func (o TPCHOptions) rewrite(ctx context.Context, views map[string]string) (err error) {
	if err := os.MkdirAll(o.RewriteOptional, 0o755); err != nil {
		return err
	}
	programs := o.Programs
	programs.Memory = nil
	all, err := programs.start(ctx, []contestant{{name: "duckdb", peer: "duckdb", slots: slices.Max(o.Parallelism), views: views}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(all)) }()
	for t, file := range tpchFiles(o.RewriteOptional) {
		if _, err := os.Stat(file); err == nil {
			continue
		}
		if _, err := all[0].ask(Request{SQL: fmt.Sprintf("COPY %s TO %s (FORMAT parquet)", t, quote(file+".part"))}); err != nil {
			return err
		}
		if err := os.Rename(file+".part", file); err != nil {
			return err
		}
	}
	return nil
}

// quote makes a literal that both dialects read.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
