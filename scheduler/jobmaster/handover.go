package jobmaster

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/scheduler/execgraph"
	"github.com/tidemill/tidemill/shuffle"
)

// A server that drains keeps nothing new, and what it keeps goes: a committed lane is
// written to another server by the one that has it, as the same attempt; then attempts
// that are deployed are told of the new place. Those that run finish at the old one, which
// forgets the exchange when nobody reads it there. What nobody can need any more, and what
// attempts that were replaced have left, is forgotten at once. The result that a client
// reads stays: the client has been told where it is.

// moves is what a Master knows of servers that drain.
type moves struct {
	mover *queue[call]   // hand-overs: they take long
	hauls map[lane]*haul // on their way, or to be tried again after a while
	// holdings are the stored exchanges that servers have something of, with the attempts
	// that read there what has left.
	holdings map[holding][]id.Attempt
	swept    map[string]bool // servers that were told to forget what earlier job masters had
	troubles int             // ways that failed since the last one that did not
	stuck    string          // why the last one failed
}

func newMoves() moves {
	return moves{
		mover: newQueue[call](), hauls: map[lane]*haul{}, holdings: map[holding][]id.Attempt{}, swept: map[string]bool{},
	}
}

// haul is a lane on its way from a server that drains.
type haul struct {
	from, to shuffle.Server
	stop     context.CancelFunc
}

// holding is a stored exchange at a server.
type holding struct {
	exchange uint32
	server   string
}

// leftovers is what a job has at a server.
type leftovers struct {
	exchanges int
	why       string
}

// haulTimeout bounds the way of one lane.
const haulTimeout = 30 * time.Minute

// Evacuate says that servers drain, or that there is another one that may take over.
func (m *Master) Evacuate() { m.post(func() {}) }

// evacuate has lanes at servers that drain handed over, and what is not needed there, or
// nowhere, forgotten. It runs after whatever has happened.
func (m *Master) evacuate() {
	drains := m.opts.Resources.Drains()
	if m.resumed || m.graph.State() != execgraph.JobRunning && m.graph.State() != execgraph.JobRestarting {
		return
	}
	if len(drains) > 0 {
		m.sweepDraining(drains)
		for _, x := range m.layout.graph.GetExchanges() {
			if p := m.places[x.GetId()]; p != nil && stored(x) && !x.GetResult() && !m.unneeded(x.GetId()) {
				m.handOverAll(x, p, drains)
			}
		}
	}
	for h := range m.holdings {
		if (drains[h.server] || m.unneeded(h.exchange)) && !m.holds(h) {
			m.forget(h)
		}
	}
}

// unneeded says that nobody can need a stored exchange any more, so it need not wait for the end
// of the job.
func (m *Master) unneeded(exchange uint32) bool {
	return !m.layout.graph.GetExchanges()[exchange].GetResult() && m.graph.Done(id.Exchange(exchange))
}

// sweepDraining has servers that drain forget what earlier job masters had them keep: this
// one's attempts will not open those exchanges anew there.
func (m *Master) sweepDraining(drains map[string]bool) {
	for s := range drains {
		if m.opts.Runs == 0 || m.swept[s] {
			continue
		}
		m.swept[s] = true
		m.do(func(ctx context.Context) {
			ctx, stop := context.WithTimeout(ctx, serverTimeout)
			defer stop()
			r := &rpc.ShuffleDropRequest{Job: rpc.Ref(m.opts.Job, m.opts.Term-1)}
			if _, err := m.opts.Dialer.Shuffle(s).Drop(ctx, r); err != nil {
				m.opts.Log.Debug("former exchanges were not dropped", "job", m.opts.Job, "server", s, "error", err)
			}
		})
	}
}

// handOverAll begins the way of an exchange's lanes.
func (m *Master) handOverAll(x *jobgraph.Exchange, p *place, drains map[string]bool) {
	for i, from := range p.at {
		k := lane{x.GetId(), uint32(i)}
		if !drains[from.ID] || m.hauls[k] != nil || m.manifests[k] == nil || !m.graph.Written(id.Exchange(k.exchange), k.lane) {
			continue
		}
		if to, ok := m.opts.Resources.Elsewhere(fmt.Sprint(m.opts.Job, k)); ok {
			m.haul(k, &haul{from: from, to: to})
		}
	}
}

// haul has a lane handed over.
func (m *Master) haul(k lane, h *haul) {
	w := m.manifests[k]
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	m.hauls[k] = h
	m.keep(k.exchange, h.to.ID)
	r := &rpc.HandOverRequest{
		Job: m.ref(), Exchange: k.exchange, Lane: k.lane, Attempt: w.GetAttempt(),
		To: rpc.FromPlacement(shuffle.Placement{
			Version: m.places[k.exchange].version + 1, Servers: []shuffle.Server{h.to}, Ticket: m.ticket(k.exchange, forTasks),
		}),
	}
	m.mover.add(func(calls context.Context) {
		defer stop()
		if ctx.Err() == nil {
			m.handOver(calls, ctx, h, r, w)
		}
	})
}

// handOver has the lane written, and takes back what may be there when that fails. The
// first context is of all calls, the second of this lane's way.
func (m *Master) handOver(calls, ctx context.Context, h *haul, r *rpc.HandOverRequest, w *rpc.LaneManifest) {
	bounded, stop := context.WithTimeout(calls, haulTimeout)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	reply, err := m.opts.Dialer.Shuffle(h.from.ID).HandOver(bounded, r)
	if err == nil && !sameLane(reply.GetManifest(), w) {
		err = failure.Errorf(failure.Internal, "the lane is %v and was written as %v", reply.GetManifest(), w)
	}
	if err != nil {
		m.dropLane(calls, h.to.ID, lane{r.GetExchange(), r.GetLane()})
	}
	m.post(func() { m.handedOver(lane{r.GetExchange(), r.GetLane()}, h, w, err) })
}

// sameLane compares what a lane holds.
func sameLane(a, b *rpc.LaneManifest) bool {
	return a.GetAttempt() == b.GetAttempt() && slices.EqualFunc(a.GetPartitions(), b.GetPartitions(), func(a, b *rpc.PartitionTotals) bool { return proto.Equal(a, b) })
}

// handedOver takes the end of a lane's way.
func (m *Master) handedOver(k lane, h *haul, w *rpc.LaneManifest, err error) {
	if m.hauls[k] != h {
		return // its server was lost meanwhile
	}
	p := m.places[k.exchange]
	there := p.at[k.lane].ID == h.from.ID && m.manifests[k] == w && m.graph.Written(id.Exchange(k.exchange), k.lane)
	switch {
	case !there:
		delete(m.hauls, k)
		m.do(func(ctx context.Context) { m.dropLane(ctx, h.to.ID, k) })
	case err == nil:
		delete(m.hauls, k)
		m.stuck, m.troubles = "", 0
		m.readOn(k.exchange, h.from.ID)
		m.move(m.layout.graph.GetExchanges()[k.exchange], map[int]shuffle.Server{int(k.lane): h.to})
		m.opts.Log.Debug("lane was handed over", "job", m.opts.Job, "exchange", k.exchange, "lane", k.lane, "from", h.from.ID, "to", h.to.ID)
	case failure.Of(err) == failure.LostPartition:
		m.examine(err, []uint32{k.exchange}, func(lost []execgraph.Lost) {
			if m.hauls[k] == h && len(lost) == 0 {
				m.tryAgain(k, h, err)
				return
			}
			delete(m.hauls, k)
			m.handle(execgraph.PartitionsLost{Lost: lost, Cause: err})
		})
	default:
		m.tryAgain(k, h, err)
	}
}

// tryAgain lets some time pass until a lane may be handed over again, perhaps to another
// server.
func (m *Master) tryAgain(k lane, h *haul, cause error) {
	m.stuck = cause.Error()
	m.opts.Log.Warn("lane was not handed over", "job", m.opts.Job, "exchange", k.exchange, "lane", k.lane, "from", h.from.ID, "to", h.to.ID, "error", cause)
	m.troubles++
	m.after(min(commitFirstPause<<min(m.troubles, 10), mostPause), func() {
		if m.hauls[k] == h {
			delete(m.hauls, k)
		}
	})
}

// readOn notes who reads an exchange at a server that some of it leaves.
func (m *Master) readOn(exchange uint32, server string) {
	h := holding{exchange, server}
	for _, r := range m.graph.Regions() {
		for _, t := range r.Tasks {
			reads := uint32(t.Attempt.Subtask.Vertex) == m.layout.graph.GetExchanges()[exchange].GetConsumer()
			if reads && t.State >= execgraph.AttemptDeploying && !t.State.Terminal() {
				m.holdings[h] = append(m.holdings[h], t.Attempt)
			}
		}
	}
}

// holds reports whether a server has lanes of an exchange that are to stay or go from
// there, or somebody reads some that have gone.
func (m *Master) holds(h holding) bool {
	m.holdings[h] = slices.DeleteFunc(m.holdings[h], func(a id.Attempt) bool {
		now, known := m.graph.Current(a.Subtask)
		return !known || now.Attempt != a || now.State.Terminal()
	})
	if len(m.holdings[h]) > 0 {
		return true
	}
	x := m.layout.graph.GetExchanges()[h.exchange]
	done := m.unneeded(h.exchange)
	for k, one := range m.hauls {
		if k.exchange == h.exchange && (one.from.ID == h.server || one.to.ID == h.server) {
			return true
		}
	}
	for i, s := range m.places[h.exchange].at {
		if s.ID == h.server && (m.isWriting(x, uint32(i)) || !done && m.graph.Written(id.Exchange(h.exchange), uint32(i))) {
			return true
		}
	}
	return false
}

// isWriting reports whether an attempt is about to write a lane.
func (m *Master) isWriting(x *jobgraph.Exchange, lane uint32) bool {
	writer, known := m.graph.Current(id.Subtask{Vertex: id.Vertex(x.GetProducer()), Index: lane})
	return known && writer.State >= execgraph.AttemptDeploying && !writer.State.Terminal()
}

// keep notes that a server has something of a stored exchange.
func (m *Master) keep(exchange uint32, server string) {
	h := holding{exchange, server}
	if _, known := m.holdings[h]; !known {
		m.holdings[h] = nil
	}
	m.servers[server] = true
}

// forget has a server drop an exchange that nobody needs there.
func (m *Master) forget(h holding) {
	delete(m.holdings, h)
	m.do(func(ctx context.Context) {
		ctx, stop := context.WithTimeout(ctx, serverTimeout)
		defer stop()
		m.dropStored(ctx, []string{h.server}, []uint32{h.exchange})
	})
}

// dropLane has a server forget a lane that is not there for anybody.
func (m *Master) dropLane(ctx context.Context, server string, k lane) {
	ctx, stop := context.WithTimeout(ctx, serverTimeout)
	defer stop()
	r := &rpc.ShuffleDropRequest{Job: m.ref(), Exchanges: []uint32{k.exchange}, Lanes: []uint32{k.lane}}
	if _, err := m.opts.Dialer.Shuffle(server).Drop(ctx, r); err != nil {
		m.opts.Log.Debug("lane was not dropped", "job", m.opts.Job, "server", server, "error", err)
	}
}

// haulsLost ends the ways from and to a server that is gone. Where a lane was to go there
// is nothing left of it when another attempt comes.
func (m *Master) haulsLost(server string) {
	for k, h := range m.hauls {
		if server == "" || h.from.ID != server && h.to.ID != server {
			continue
		}
		h.stop()
		delete(m.hauls, k)
		if h.from.ID == server {
			m.do(func(ctx context.Context) { m.dropLane(ctx, h.to.ID, k) })
		}
	}
	for h := range m.holdings {
		if h.server == server {
			delete(m.holdings, h)
		}
	}
}

// stay ends all ways: the job is over.
func (m *Master) stay() {
	for _, h := range m.hauls {
		h.stop()
	}
	clear(m.hauls)
}

// ticket is one for an exchange, nil where servers look at none.
func (m *Master) ticket(exchange uint32, rights security.Rights) []byte {
	if len(m.opts.TicketKey) == 0 {
		return nil
	}
	return security.Ticket{
		Rights: rights, Job: m.opts.Job, Exchange: id.Exchange(exchange), Term: m.opts.Term, Expiry: time.Now().Add(ticketLife),
	}.Sign(m.opts.TicketKey)
}

// Kept is how many exchanges the job needs at a server, and what they wait for if that
// drains. Anybody may call it.
func (m *Master) Kept(server string) (exchanges int, why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	left := m.details.left[server]
	return left.exchanges, left.why
}

// left counts what servers have, and says of those that drain what it waits for.
func (m *Master) left() map[string]leftovers {
	if len(m.holdings) == 0 {
		return nil
	}
	out, drains := map[string]leftovers{}, m.opts.Resources.Drains()
	for h, readers := range m.holdings {
		now := out[h.server]
		now.exchanges++
		if now.why == "" && drains[h.server] {
			now.why = m.whyLeft(h, len(readers))
		}
		out[h.server] = now
	}
	return out
}

// whyLeft says what an exchange waits for at a server that drains.
func (m *Master) whyLeft(h holding, readers int) string {
	x := m.layout.graph.GetExchanges()[h.exchange]
	for i, s := range m.places[h.exchange].at {
		if s.ID == h.server && m.isWriting(x, uint32(i)) {
			return fmt.Sprintf("lane %d of exchange %d of job %v is being written", i, h.exchange, m.opts.Job)
		}
	}
	_, elsewhere := m.opts.Resources.Elsewhere("")
	switch {
	case x.GetResult():
		return fmt.Sprintf("the result of job %v stays until it is read", m.opts.Job)
	case readers > 0:
		return fmt.Sprintf("%d attempts of job %v read exchange %d there", readers, m.opts.Job, h.exchange)
	case !elsewhere:
		return "there is no other shuffle server to hand over to"
	case m.stuck != "":
		return "hand-over is tried again: " + m.stuck
	default:
		return fmt.Sprintf("exchange %d of job %v is being handed over", h.exchange, m.opts.Job)
	}
}
