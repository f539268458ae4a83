package jobmaster

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/scheduler/execgraph"
	"github.com/tidemill/tidemill/shuffle"
)

// What tickets permit. A worker knows an exchange once, for those of its tasks that read
// it and those that write it.
const (
	forTasks   = security.Read | security.Write
	forClients = security.Read | security.Drop
)

// ticketLife is how long a ticket is good; each deployment brings another.
const ticketLife = 24 * time.Hour

// place is where an exchange is kept: by partition where it is read, or, stored, by lane
// where it was written. The zero server is none that is known.
type place struct {
	version uint32
	at      []shuffle.Server
}

// set puts a part somewhere, and reports whether that is new.
func (p *place) set(part int, s shuffle.Server) bool {
	for len(p.at) <= part {
		p.at = append(p.at, shuffle.Server{})
	}
	moved := p.at[part] != s
	p.at[part] = s
	return moved
}

// shuffle is the placement; a nil place, and one without any server, is this process.
func (p *place) shuffle() (out shuffle.Placement, err error) {
	if p == nil || !slices.ContainsFunc(p.at, func(s shuffle.Server) bool { return s.ID != "" }) {
		return out, nil
	}
	out.Version = p.version
	for i, s := range p.at {
		if s.ID == "" {
			return shuffle.Placement{}, failure.Errorf(failure.Transient, "nobody keeps part %d: its worker is gone", i)
		}
		at := slices.IndexFunc(out.Servers, func(o shuffle.Server) bool { return o.ID == s.ID })
		if at < 0 {
			at = len(out.Servers)
			out.Servers = append(out.Servers, s)
		}
		out.At = append(out.At, uint32(at))
	}
	return out, nil
}

// placeAll decides where the exchanges are kept that attempts about to be deployed read
// and write.
func (m *Master) placeAll(actions []execgraph.Action) {
	deployed := map[id.Vertex]bool{}
	slots := map[id.Subtask]id.Slot{}
	for _, a := range actions {
		if d, ok := a.(execgraph.Deploy); ok {
			deployed[d.Attempt.Subtask.Vertex] = true
			slots[d.Attempt.Subtask] = d.Slot
		}
	}
	for _, x := range m.layout.graph.GetExchanges() {
		from, to := id.Vertex(x.GetProducer()), id.Vertex(x.GetConsumer())
		switch {
		case stored(x) && deployed[from]:
			m.placeLanes(x, slots)
		case !stored(x) && x.GetResult() && deployed[from]:
			m.placeResult(x, slots)
		case !stored(x) && !x.GetResult() && deployed[to]:
			m.placePartitions(x, slots)
		}
		if x.GetResult() && deployed[from] && !stored(x) {
			m.publishResult(x)
		}
	}
}

// move notes where parts of an exchange are kept from now on.
func (m *Master) move(x *jobgraph.Exchange, parts map[int]shuffle.Server) {
	p := m.places[x.GetId()]
	if p == nil {
		p = &place{}
		m.places[x.GetId()] = p
	}
	moved := false
	for i, s := range parts {
		moved = p.set(i, s) || moved
		if s.ID != "" && stored(x) {
			m.keep(x.GetId(), s.ID)
		}
	}
	if moved {
		p.version++
	}
}

// placeLanes: a lane is stored on the host that writes it. Without shuffle servers the
// worker keeps it itself.
func (m *Master) placeLanes(x *jobgraph.Exchange, slots map[id.Subtask]id.Slot) {
	parts := map[int]shuffle.Server{}
	for i := range m.layout.parallelism[x.GetProducer()] {
		slot, ok := slots[id.Subtask{Vertex: id.Vertex(x.GetProducer()), Index: uint32(i)}]
		if !ok || m.graph.Written(id.Exchange(x.GetId()), uint32(i)) {
			continue // it stays where it is
		}
		s, ok := m.opts.Resources.Writes(slot.Worker)
		if !ok {
			s, _ = m.opts.Resources.Reads(slot.Worker)
			m.keeps[slot.Worker] = s.ID
		}
		parts[i] = s
	}
	m.move(x, parts)
}

// placePartitions: a pipelined partition is kept by the process that reads it.
func (m *Master) placePartitions(x *jobgraph.Exchange, slots map[id.Subtask]id.Slot) {
	parts := map[int]shuffle.Server{}
	count := m.layout.parallelism[x.GetConsumer()]
	merged := x.GetDistribution() == jobgraph.Distribution_DISTRIBUTION_MERGE
	if merged {
		count = m.layout.parallelism[x.GetProducer()]
	}
	for i := range count {
		reader := uint32(i)
		if merged {
			reader = 0
		}
		if slot, ok := slots[id.Subtask{Vertex: id.Vertex(x.GetConsumer()), Index: reader}]; ok {
			parts[i], _ = m.opts.Resources.Reads(slot.Worker)
		}
	}
	m.move(x, parts)
}

// placeResult: what a client reads along is kept by the workers that write it.
func (m *Master) placeResult(x *jobgraph.Exchange, slots map[id.Subtask]id.Slot) {
	parts := map[int]shuffle.Server{}
	count := 1
	if shuffle.Distribution(x.GetDistribution()).Paired() {
		count = m.layout.parallelism[x.GetProducer()]
	}
	for i := range count {
		if slot, ok := slots[id.Subtask{Vertex: id.Vertex(x.GetProducer()), Index: uint32(i)}]; ok {
			parts[i], _ = m.opts.Resources.Reads(slot.Worker)
		}
	}
	m.move(x, parts)
}

// placement is where an exchange is, with a ticket that permits so much.
func (m *Master) placement(x *jobgraph.Exchange, rights security.Rights) (*rpc.Placement, error) {
	p, err := m.places[x.GetId()].shuffle()
	if err != nil {
		return nil, fmt.Errorf("exchange %d: %w", x.GetId(), err)
	}
	if !p.Local() {
		p.Ticket = m.ticket(x.GetId(), rights)
	}
	return rpc.FromPlacement(p), nil
}

// ins and outs are a vertex's exchanges as a task is told of them.
func (m *Master) ins(v *jobgraph.Vertex) (out []*rpc.Edge, err error) {
	for _, n := range v.GetInputs() {
		x := m.layout.graph.GetExchanges()[n]
		e := &rpc.Edge{Exchange: x, Peers: uint32(m.layout.parallelism[x.GetProducer()]), Partitions: uint32(m.layout.partitions(x))}
		if m.layout.ranged(x) {
			e.Ranges, e.Empty = m.layout.classes[v.GetId()].ranges, m.empty(n)
		}
		if e.Placement, err = m.placement(x, forTasks); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func (m *Master) outs(v *jobgraph.Vertex) (out []*rpc.Edge, err error) {
	for _, n := range v.GetOutputs() {
		x := m.layout.graph.GetExchanges()[n]
		e := &rpc.Edge{Exchange: x, Peers: 1, Partitions: uint32(m.layout.partitions(x))}
		if !x.GetResult() {
			e.Peers = uint32(m.layout.parallelism[x.GetConsumer()])
		}
		if e.Placement, err = m.placement(x, forTasks); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// checkResult publishes a stored result once it is complete, and takes it back when some
// of it is lost.
func (m *Master) checkResult() {
	x := m.layout.result
	if x == nil || !stored(x) {
		return
	}
	lanes := m.layout.parallelism[x.GetProducer()]
	complete := lanes > 0
	for i := range lanes {
		complete = complete && m.graph.Written(id.Exchange(x.GetId()), uint32(i))
	}
	switch {
	case complete && m.result == nil:
		m.publishResult(x)
	case !complete && m.result != nil:
		m.mu.Lock()
		m.result = nil
		m.mu.Unlock()
	}
}

// publishResult lets clients know where the result is.
func (m *Master) publishResult(x *jobgraph.Exchange) {
	e := &rpc.Edge{Exchange: x, Peers: uint32(m.layout.parallelism[x.GetProducer()])}
	var err error
	if e.Placement, err = m.placement(x, forClients); err != nil {
		return // its attempts cannot be deployed either
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.result = e
	close(m.changed)
	m.changed = make(chan struct{})
}

// Result is the edge that the job's client reads, or nil while it cannot be read, or
// there is none.
func (m *Master) Result() *rpc.Edge {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.result
}

// keepers are the servers that have stored lanes of exchanges. What is written there
// next has another placement.
func (m *Master) keepers(exchanges []uint32) (out []string) {
	for _, x := range exchanges {
		p := m.places[x]
		if p == nil {
			continue
		}
		p.version++
		for _, s := range p.at {
			if s.ID != "" && stored(m.layout.graph.GetExchanges()[x]) && !slices.Contains(out, s.ID) {
				out = append(out, s.ID)
			}
		}
	}
	return out
}

// dropStored has shuffle servers forget exchanges of the job, none: all of it. One that
// cannot be reached forgets them by itself, when it hears that the job is over or when
// it is gone.
func (m *Master) dropStored(ctx context.Context, servers []string, exchanges []uint32) {
	for _, s := range servers {
		r := &rpc.ShuffleDropRequest{Job: m.ref(), Exchanges: exchanges}
		if _, err := m.opts.Dialer.Shuffle(s).Drop(ctx, r); err != nil {
			m.opts.Log.Debug("exchanges were not dropped", "job", m.opts.Job, "server", s, "error", err)
		}
	}
}
