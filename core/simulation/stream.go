package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tidemill/tidemill/core/datastream/ledger"
	"github.com/tidemill/tidemill/fs/faultfs"
)

// Stream is a streaming job with checkpoints, of which it is known what it writes, and what
// is asked of it while it runs.
type Stream struct {
	Kind        StreamKind
	Rows        int64 // of each split of a ledger, or of the table that is read
	Rate        int   // of them a second
	By          int64 // accounts of a ledger, or groups or factor, as the kind has it
	Parallelism int
	Orders      []Order
}

// StreamKind is the kind of a stream.
type StreamKind uint8

// The kinds.
const (
	noStream  StreamKind = iota
	Ledger               // core/datastream/ledger
	Windows              // counts and sums of groups in windows of time
	Multiples            // numbers joined with their multiples
	Nearby               // numbers joined with those that come soon after
	Totals               // counts and sums of groups, of which the last ones count
)

func (k StreamKind) String() string {
	return [...]string{"none", "ledger", "windows", "multiples", "nearby", "totals"}[min(k, Totals)]
}

// OrderKind is what can be asked of a job that runs.
type OrderKind uint8

// The orders.
const (
	noOrder OrderKind = iota
	Save              // a savepoint is taken
	Stop              // the job is stopped with a savepoint, and another one goes on from it
	Rescale           // it goes on with another parallelism
	Cancel            // it is cancelled, and another one goes on from its latest checkpoint
)

func (k OrderKind) String() string {
	return [...]string{"none", "savepoint", "stop", "rescale", "cancel"}[min(k, Cancel)]
}

// Order is something asked of a job.
type Order struct {
	Kind        OrderKind
	After       time.Duration // after the one before, or the start
	Parallelism int           // of what goes on
}

func (o Order) String() string {
	return fmt.Sprintf("%s after %v, parallelism %d", o.Kind, o.After, o.Parallelism)
}

func (s Stream) String() string {
	return fmt.Sprintf("%s of %d rows, %d a second, by %d, parallelism %d, orders %v", s.Kind, s.Rows, s.Rate, s.By, s.Parallelism, s.Orders)
}

const (
	mostOrders = 3
	// mostStreamFaults are the faults beside those of masters.
	mostStreamFaults = 6
	// mostStreamNth is the number of a message that something happens to, at most: as many
	// as there are of most of them until a job ends.
	mostStreamNth = 40
	ledgerSplits  = 4
)

// checkpointMessages are those by which checkpoints are taken, published and gone back to.
func checkpointMessages() []string {
	return []string{
		"worker.Trigger", "master.Acknowledge", "master.Decline", "coordinator.Snapshot", "coordinator.Commit", "worker.Notify",
		"worker.Rewind", "worker.StandBy", "coordinator.Gather", "worker.Deploy", "worker.StartCoordinator", "master.Report", "coordinator.Abort",
	}
}

// NewStreamPlan draws a plan of one streaming job.
func NewStreamPlan(seed uint64) Plan {
	r := rand.New(rand.NewPCG(seed, 4))
	p := Plan{Seed: seed, Masters: 1, Slots: 1 + r.IntN(3), Workers: pick(r, 1, 2, 2, 3), Servers: pick(r, 0, 0, 1, 2)}
	p.Process = map[string]string{"worker.slots": fmt.Sprint(p.Slots), "worker.memory.size": "1 gb"}
	p.Job = map[string]string{
		"execution.runtime-mode":                                                 "streaming",
		"execution.batch-rows":                                                   pick(r, "1", "3", "100", "8192"),
		"execution.checkpointing.interval":                                       pick(r, "50 ms", "200 ms", "1 s"),
		"execution.checkpointing.timeout":                                        pick(r, "2 s", "10 min"),
		"execution.checkpointing.unaligned.enabled":                              pick(r, "true", "true", "false"),
		"execution.checkpointing.aligned-checkpoint-timeout":                     pick(r, "0", "20 ms", "5 s"),
		"exchange.streaming-retention":                                           pick(r, "none", "checkpoint"),
		"exchange.partition-budget":                                              pick(r, "8 kb", "4 mb"),
		"state.backend.type":                                                     pick(r, "hashmap", "hashmap", "pebble", "tiered"),
		"state.backend.pebble.memory.fixed-per-operator":                         "1 kb",
		"state.checkpoints.dir":                                                  checkpointsURI,
		"state.checkpoints.num-retained":                                         pick(r, "1", "2"),
		"state.savepoints.dir":                                                   "sim:///savepoints",
		"restart-strategy.type":                                                  pick(r, "none", "fixed-delay", "fixed-delay", "fixed-delay"),
		"restart-strategy.fixed-delay.attempts":                                  pick(r, "3", "1000"),
		"restart-strategy.fixed-delay.delay":                                     "100 ms",
		"scheduler-mode":                                                         pick(r, "", "", "reactive"),
		"table.exec.source.idle-timeout":                                         "0", // what is late would be dropped
		"jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling":       "1 s",
		"jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout": "100 ms",
		// Of a source of its own: seeds that are remembered draw the same plans.
		"jobmanager.adaptive-scheduler.rescale.standby-min-size": pick(rand.New(rand.NewPCG(seed, 5)), "1 b", "1 b", "16 mb"),
	}
	p.Stream = newStream(r, p.Slots*p.Workers)
	for range r.IntN(mostStreamFaults + 1) {
		p.Faults = append(p.Faults, newStreamFault(r, p))
	}
	if p.Workers > 1 || p.Servers > 0 {
		p.addMasters(r)
		p.addMoves(r)
	}
	return p
}

func newStream(r *rand.Rand, slots int) *Stream {
	s := &Stream{
		Kind: pick(r, Ledger, Ledger, Ledger, Ledger, Windows, Multiples, Nearby, Totals), Rows: pick[int64](r, 60, 120), Rate: pick(r, 20, 40),
		By: pick[int64](r, 2, 3, 20), Parallelism: 1 + r.IntN(slots),
	}
	if s.Kind != Ledger {
		s.Rows, s.Rate = s.Rows*ledgerSplits, s.Rate*ledgerSplits
	}
	for range r.IntN(mostOrders + 1) {
		s.Orders = append(s.Orders, Order{
			Kind: OrderKind(1 + r.IntN(int(Cancel))), After: time.Duration(r.Int64N(int64(2 * time.Second))), Parallelism: 1 + r.IntN(slots),
		})
	}
	return s
}

// newStreamFault draws a fault, more often than not of what checkpoints are made by.
func newStreamFault(r *rand.Rand, p Plan) Fault {
	f := newFault(r, p)
	f.Nth = 1 + r.IntN(mostStreamNth)
	switch {
	case f.Kind == FailFile || f.Kind == FailAfter:
		f.Site = pick(r, faultfs.Commit, faultfs.Seal, faultfs.Publish, faultfs.Create, faultfs.Write, faultfs.Read, faultfs.Open, faultfs.List, faultfs.Remove, faultfs.RemoveAll).String()
		if f.Site == faultfs.Seal.String() {
			f.Kind = FailFile
		}
	case f.Site != readSite && r.IntN(3) > 0:
		f.Site = pick(r, checkpointMessages()...)
	}
	if p.Stream.Kind == Ledger && f.Kind == FailRead { // its source is its own
		f.Kind, f.Site = Lose, pick(r, checkpointMessages()...)
	}
	return f
}

// ledger are the options of the job.
func (s Stream) ledger(dir string) ledger.Options {
	return ledger.Options{Splits: ledgerSplits, Transfers: s.Rows, Accounts: s.By, Rate: s.Rate, Dir: dir}
}

// tables define what the stream reads and writes.
func (s Stream) tables() string {
	return fmt.Sprintf(`CREATE TABLE IF NOT EXISTS events (n BIGINT, at AS TO_TIMESTAMP_LTZ(n * %d, 3), WATERMARK FOR at AS at - INTERVAL '1' SECOND)
WITH ('connector' = 'flaky', 'number-of-rows' = '%d', 'rows-per-second' = '%d', 'fields.n.kind' = 'sequence');
CREATE TABLE IF NOT EXISTS books (a BIGINT, b BIGINT, c BIGINT, d BIGINT) WITH ('connector' = 'filesystem', 'path' = '%s', 'format' = 'csv');
`, eventMillis, s.Rows, s.Rate, booksURI)
}

const (
	eventMillis = 10
	inWindow    = 1000 / eventMillis // events
	near        = 5                  // events
)

// text is the statement.
func (s Stream) text() string {
	switch s.Kind {
	case Windows:
		return fmt.Sprintf(`INSERT INTO books SELECT MIN(n), MOD(n, %[1]d), COUNT(*), SUM(n)
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(at), INTERVAL '1' SECOND)) GROUP BY window_start, window_end, MOD(n, %[1]d)`, s.By)
	case Multiples:
		return fmt.Sprintf("INSERT INTO books SELECT a.n, b.n, 0, 0 FROM events a JOIN events b ON a.n = b.n * %d", s.By)
	case Nearby:
		return fmt.Sprintf(`INSERT INTO books SELECT a.n, b.n, 0, 0 FROM events a JOIN events b
ON MOD(a.n, %[1]d) = MOD(b.n, %[1]d) AND b.at BETWEEN a.at AND a.at + INTERVAL '0.%02[2]d' SECOND`, s.By, near*eventMillis/10)
	default:
		return fmt.Sprintf("INSERT INTO books SELECT MOD(n, %[1]d), COUNT(*), SUM(n), 0 FROM events GROUP BY MOD(n, %[1]d)", s.By)
	}
}

// answer is what the statement writes, as sorted lines.
func (s Stream) answer() []string {
	var all []string
	switch s.Kind {
	case Windows:
		all = s.groups(func(n int64) int64 { return n / inWindow }, func(first, k, count, sum int64) string { return line(first, k, count, sum) })
	case Multiples:
		for n := int64(0); n*s.By < s.Rows; n++ {
			all = append(all, line(n*s.By, n, 0, 0))
		}
	case Nearby:
		for n := range s.Rows {
			for m := n; m < min(s.Rows, n+near+1); m += s.By {
				all = append(all, line(n, m, 0, 0))
			}
		}
	default:
		all = s.groups(func(int64) int64 { return 0 }, func(_, k, count, sum int64) string { return line(k, count, sum, 0) })
	}
	slices.Sort(all)
	return all
}

// groups are lines of the groups of each window, of which first is the first number.
func (s Stream) groups(window func(n int64) int64, line func(first, k, count, sum int64) string) (all []string) {
	type group struct{ first, k, count, sum int64 }
	groups := map[[2]int64]*group{}
	for n := range s.Rows {
		at := [2]int64{window(n), n % s.By}
		if groups[at] == nil {
			groups[at] = &group{first: n, k: n % s.By}
		}
		groups[at].count++
		groups[at].sum += n
	}
	for _, g := range groups {
		all = append(all, line(g.first, g.k, g.count, g.sum))
	}
	return all
}
