package simulation

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/tidemill/tidemill/fs/faultfs"
)

// Plan is what a seed means.
type Plan struct {
	Seed uint64
	// Workers, each with so many Slots, and Servers of the shuffle are the system's. One
	// worker without a server is the embedded engine of programs.
	Workers, Servers int
	// Masters is one, whose store is in memory, or three.
	Masters    int
	Slots      int
	Process    map[string]string // settings of the process
	Job        map[string]string // settings of every job
	Statements []Statement
	Stream     *Stream // instead of statements; nil: there is none
	Faults     []Fault
}

// FaultKind is what goes wrong.
type FaultKind uint8

// The kinds.
const (
	noFault     FaultKind = iota
	Drop                  // a message is lost before it arrives
	Lose                  // its reply is lost
	Repeat                // it arrives twice
	Late                  // it arrives late
	FailRead              // a source's reader fails
	FailFile              // a file operation fails and does nothing
	FailAfter             // a file operation takes effect and fails
	KillWorker            // a worker dies, and another one joins later
	KillServer            // a shuffle server dies for good
	KillMaster            // the leading master dies, and starts again later
	LoseMaster            // it dies with its disk, and joins the others later
	CutMaster             // it is cut off from the others for a while
	DrainServer           // a shuffle server is drained: what it keeps is handed over
	JoinWorker            // one more worker joins
)

var faultNames = [...]string{
	"no fault", "drop", "lose reply of", "repeat", "delay", "fail", "fail", "fail after", "kill a worker at", "kill a server at",
	"kill the leader at", "kill the leader with its disk at", "cut the leader off at",
	"drain a server at", "one more worker at",
}

func (k FaultKind) String() string {
	if int(k) < len(faultNames) {
		return faultNames[k]
	}
	return faultNames[noFault]
}

// Fault is one thing that goes wrong, at the nth time of its site.
type Fault struct {
	Kind  FaultKind
	Site  string // the message's or operation's name
	Nth   int    // from 1
	Times int    // so often in a row
	Late  time.Duration
}

// deposes tells that the fault may have another master lead.
func (f Fault) deposes() bool {
	return f.Kind == KillMaster || f.Kind == LoseMaster || f.Kind == CutMaster
}

func (f Fault) String() string {
	s := fmt.Sprintf("%s %s #%d", f.Kind, f.Site, f.Nth)
	if f.Times > 1 {
		s += fmt.Sprintf("+%d", f.Times-1)
	}
	if f.Late > 0 {
		s += fmt.Sprintf(" by %v", f.Late)
	}
	return s
}

// readSite is the site of sources' reads.
const readSite = "read"

// messages are those that may be lost or repeated.
func messages() []string {
	return []string{
		"master.Register", "master.Heartbeat", "master.Report", "worker.Deploy", "worker.Cancel", "worker.Drop",
		"worker.StartCoordinator", "coordinator.NextSplit", "coordinator.Reset", "coordinator.Commit", "coordinator.Abort",
		"coordinator.Progress",
	}
}

// operations are those of files that may fail.
func operations() []faultfs.Op {
	return []faultfs.Op{
		faultfs.Open, faultfs.Read, faultfs.Create, faultfs.Write, faultfs.Commit, faultfs.Stat, faultfs.List, faultfs.Rename,
		faultfs.Remove, faultfs.RemoveAll, faultfs.SyncDir, faultfs.Persist, faultfs.Seal, faultfs.Resume, faultfs.Publish, faultfs.Discard,
	}
}

const (
	mostStatements = 4
	mostFaults     = 5
	// mostMasterFaults are those of masters, beside the others.
	mostMasterFaults = 3
	mostNth          = 12
	mostLate         = 5 * time.Second
)

// NewPlan draws a plan.
func NewPlan(seed uint64) Plan {
	r := rand.New(rand.NewPCG(seed, 1))
	p := Plan{Seed: seed, Slots: 1 + r.IntN(4), Workers: pick(r, 1, 1, 2, 3), Servers: pick(r, 0, 0, 1, 2)}
	p.Process = map[string]string{"worker.slots": fmt.Sprint(p.Slots), "worker.memory.size": "1 gb"}
	p.Job = map[string]string{
		"parallelism.default":                      fmt.Sprint(1 + r.IntN(p.Slots*p.Workers)),
		"execution.batch-rows":                     pick(r, "1", "3", "100", "1023", "8192"),
		"exchange.batch-retention":                 pick(r, "automatic", "job"),
		"exchange.partition-budget":                pick(r, "64 kb", "4 mb"),
		"restart-strategy.type":                    pick(r, "none", "fixed-delay", "fixed-delay", "fixed-delay"),
		"restart-strategy.fixed-delay.delay":       "100 ms",
		"table.optimizer.join.broadcast-threshold": pick(r, "0 b", "10 mb"),
	}
	for range 1 + r.IntN(mostStatements) {
		p.Statements = append(p.Statements, newStatement(r))
	}
	for range r.IntN(mostFaults + 1) {
		p.Faults = append(p.Faults, newFault(r, p))
	}
	p.Masters = 1
	if p.Workers > 1 || p.Servers > 0 {
		p.addMasters(rand.New(rand.NewPCG(seed, 2)))
		p.addMoves(rand.New(rand.NewPCG(seed, 3)))
	}
	return p
}

// addMoves has servers drained and workers join in some plans.
func (p *Plan) addMoves(r *rand.Rand) {
	for _, kind := range []FaultKind{DrainServer, JoinWorker} {
		if r.IntN(3) == 0 && (kind == JoinWorker || p.Servers > 1) {
			p.Faults = append(p.Faults, Fault{Kind: kind, Site: pick(r, messages()...), Nth: 1 + r.IntN(mostNth), Times: 1})
		}
	}
}

// addMasters makes three masters of one in some plans, and faults of them. It has random
// numbers of its own, so that the rest of a plan does not depend on it.
func (p *Plan) addMasters(r *rand.Rand) {
	if p.Masters = pick(r, 1, 3); p.Masters == 1 {
		return
	}
	for range 1 + r.IntN(mostMasterFaults) {
		p.Faults = append(p.Faults, Fault{
			Kind: pick(r, KillMaster, LoseMaster, CutMaster), Site: pick(r, messages()...), Nth: 1 + r.IntN(mostNth), Times: 1,
			Late: time.Duration(r.Int64N(int64(mostLate))),
		})
	}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func newFault(r *rand.Rand, p Plan) Fault {
	f := Fault{Kind: FaultKind(1 + r.IntN(int(KillServer))), Nth: 1 + r.IntN(mostNth), Times: 1 + r.IntN(2)}
	switch f.Kind {
	case FailRead:
		f.Site = readSite
	case FailFile, FailAfter:
		f.Site = pick(r, operations()...).String()
	default:
		f.Site = pick(r, messages()...)
	}
	switch {
	case f.Kind == Repeat && f.Site == "coordinator.NextSplit":
		f.Kind = Lose // what is handed out twice goes to nobody: transports must not repeat it
	case f.Kind == FailAfter && f.Site == faultfs.Seal.String():
		f.Kind = FailFile // a writer whose Seal failed is not sealed
	}
	switch {
	case f.Kind == KillWorker && p.Workers == 1, f.Kind == KillServer && p.Servers < 2:
		f.Kind = Drop
	case f.Kind == KillServer, f.Kind == KillWorker:
		f.Times = 1
	}
	if f.Kind == Late || f.Kind == KillWorker {
		f.Late = time.Duration(r.Int64N(int64(mostLate)))
	}
	return f
}

// String tells the plan in full, for whoever has to find out why it failed.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %d masters, %d workers, %d servers\nprocess %v\njob %v\n", p.Seed, p.Masters, p.Workers, p.Servers, p.Process, p.Job)
	for _, s := range p.Statements {
		fmt.Fprintf(&b, "statement %s\n", s)
	}
	if p.Stream != nil {
		fmt.Fprintf(&b, "stream %s\n", *p.Stream)
	}
	for _, f := range p.Faults {
		fmt.Fprintf(&b, "fault %s\n", f)
	}
	return b.String()
}
