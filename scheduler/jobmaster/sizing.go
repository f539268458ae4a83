package jobmaster

import (
	"fmt"
	"slices"
	"time"

	"github.com/tidemill/tidemill/adaptive"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/execgraph"
	"github.com/tidemill/tidemill/scheduler/resource"
)

// maxDecisions bounds what is remembered of decisions; the oldest go first.
const maxDecisions = 1000

// requestSlots asks for the slots of a region: as many as it can use, and at least one,
// since subtasks can share them; all of them where the cluster is what it is. Of a region
// without parallelism that is decided with the answer.
func (m *Master) requestSlots(a execgraph.RequestSlots) {
	most := a.Count
	if most == 0 {
		total, _ := m.opts.Resources.Slots()
		_, most, _ = m.size(a.Region, max(total, 1))
	}
	least := 1
	if m.opts.Resources.Fixed() {
		least = most
	}
	m.opts.Resources.Ask(m.request(a.Region), least, most, func(answer resource.Answer) {
		m.post(func() { m.granted(a, answer) })
	})
}

func (m *Master) granted(a execgraph.RequestSlots, answer resource.Answer) {
	if answer.Refused != nil {
		m.handle(execgraph.SlotsUnavailable{Region: a.Region, Cause: answer.Refused})
		return
	}
	if m.graph.State().Terminal() { // the graph takes no events any more
		m.opts.Resources.Release(m.opts.Job, answer.Slots)
		return
	}
	ev := execgraph.SlotsGranted{Region: a.Region, Slots: answer.Slots}
	if a.Count == 0 && m.graph.Requested(a.Region) {
		ev.Parallelism = m.decide(a.Region, len(answer.Slots))
		widest := 0
		for _, p := range ev.Parallelism {
			widest = max(widest, p)
		}
		if spare := len(answer.Slots) - widest; spare > 0 {
			m.opts.Resources.Release(m.opts.Job, answer.Slots[widest:])
			ev.Slots = answer.Slots[:widest]
		}
	}
	m.settleReaders(a.Region)
	m.handle(ev)
}

// size asks adaptive for the parallelism of a region's vertices with so many slots, and
// says how many slots they can use.
func (m *Master) size(region, slots int) (parallelism map[id.Vertex]int, most int, d adaptive.Decision) {
	members := m.graph.Members(region)
	vertices, at := make([]adaptive.Vertex, len(members)), map[*class]int{}
	for i, v := range members {
		c := m.layout.classes[v]
		vertices[i] = adaptive.Vertex{
			Name: m.layout.graph.GetVertices()[v].GetName(), Fixed: m.layout.parallelism[v], Most: c.most, Like: -1, Bytes: m.bytesOf(v),
		}
		if c.partitions > 0 {
			vertices[i].Most = min(c.most, c.partitions)
		}
		if first, ok := at[c]; ok {
			vertices[i].Like = first
			continue
		}
		at[c] = i
	}
	n, d := adaptive.Region(fmt.Sprintf("region %d", region), vertices, adaptive.Resources{Slots: slots, Wanted: m.layout.wanted})
	parallelism = map[id.Vertex]int{}
	for i, v := range members {
		parallelism[v] = n[i]
		most = max(most, n[i])
	}
	return parallelism, most, d
}

// decide fixes the parallelism of a region that has been granted slots: of its vertices
// and all that are of one class with them.
func (m *Master) decide(region, slots int) map[id.Vertex]int {
	parallelism, _, d := m.size(region, slots)
	m.record(d)
	for v, p := range parallelism {
		m.settleClass(v, p)
	}
	return parallelism
}

// settleReaders fixes the parallelism of what reads a region that is about to start,
// where the number of partitions goes by it.
func (m *Master) settleReaders(region int) {
	members := m.graph.Members(region)
	for _, x := range m.layout.graph.GetExchanges() {
		if x.GetResult() || !slices.Contains(members, id.Vertex(x.GetProducer())) {
			continue
		}
		to := id.Vertex(x.GetConsumer())
		if m.layout.parallelism[to] > 0 || m.layout.partitions(x) > 0 {
			continue
		}
		total, _ := m.opts.Resources.Slots()
		most := m.layout.classes[to].most
		n, d := adaptive.Region(fmt.Sprintf("readers of exchange %d", x.GetId()), []adaptive.Vertex{
			{Name: m.layout.graph.GetVertices()[to].GetName(), Most: most, Like: -1, Bytes: -1},
		}, adaptive.Resources{Slots: max(total, 1), Wanted: m.layout.wanted})
		m.record(d)
		m.settleClass(to, n[0])
	}
}

// settleClass gives a vertex and those of its class their parallelism, and cuts what
// they read.
func (m *Master) settleClass(v id.Vertex, parallelism int) {
	if m.layout.parallelism[v] > 0 {
		return
	}
	c := m.layout.classes[v]
	m.mu.Lock()
	for _, v := range c.vertices {
		m.layout.parallelism[v] = parallelism
	}
	m.mu.Unlock()
	if c.partitions == 0 {
		return
	}
	bytes, subject := make([]uint64, c.partitions), ""
	for _, v := range c.vertices {
		for _, n := range m.layout.graph.GetVertices()[v].GetInputs() {
			x := m.layout.graph.GetExchanges()[n]
			if !m.layout.ranged(x) {
				continue
			}
			subject += fmt.Sprintf(" %d", x.GetId())
			totals, _ := m.totals(x.GetId())
			for i, t := range totals {
				bytes[i] += t.GetBytes()
			}
		}
	}
	var d adaptive.Decision
	if c.ranges, d = adaptive.Ranges("exchanges"+subject, bytes, parallelism); subject != "" {
		m.record(d)
	}
}

// totals adds up what finished attempts have written into an exchange, by partition, and
// says whether that is all of it.
func (m *Master) totals(exchange uint32) (sums []*rpc.PartitionTotals, all bool) {
	x := m.layout.graph.GetExchanges()[exchange]
	lanes, known := m.layout.parallelism[x.GetProducer()], 0
	for i := range uint32(lanes) {
		w := m.manifests[lane{exchange, i}]
		if w == nil || !m.graph.Written(id.Exchange(exchange), i) {
			continue
		}
		known++
		for len(sums) < len(w.GetPartitions()) {
			sums = append(sums, &rpc.PartitionTotals{})
		}
		for p, t := range w.GetPartitions() {
			sums[p].Rows += t.GetRows()
			sums[p].Bytes += t.GetBytes()
		}
	}
	return sums, lanes > 0 && known == lanes
}

// bytesOf is how much a vertex reads of stored exchanges; -1: something of what it reads
// is not stored, or not known.
func (m *Master) bytesOf(v id.Vertex) int64 {
	inputs := m.layout.graph.GetVertices()[v].GetInputs()
	sum := int64(0)
	for _, n := range inputs {
		x := m.layout.graph.GetExchanges()[n]
		totals, all := m.totals(n)
		if !stored(x) || !all {
			return -1
		}
		for _, t := range totals {
			if sum += int64(t.GetBytes()); x.GetDistribution() == jobgraph.Distribution_DISTRIBUTION_BROADCAST {
				break // each partition has all of it
			}
		}
	}
	if len(inputs) == 0 {
		return -1
	}
	return sum
}

// empty are the partitions of a stored exchange without rows.
func (m *Master) empty(x uint32) (out []uint32) {
	totals, all := m.totals(x)
	if !all {
		return nil
	}
	for p, t := range totals {
		if t.GetRows() == 0 {
			out = append(out, uint32(p))
		}
	}
	return out
}

// record remembers a decision.
func (m *Master) record(d adaptive.Decision) {
	m.opts.Log.Debug("decision", "job", m.opts.Job, "rule", d.Rule, "subject", d.Subject, "inputs", d.Inputs, "effect", d.Effect)
	if len(m.decisions) == maxDecisions {
		m.decisions = m.decisions[1:]
	}
	m.decisions = append(m.decisions, &rpc.Decision{
		At: time.Since(m.begun).Milliseconds(), Rule: d.Rule, Subject: d.Subject, Inputs: d.Inputs, Effect: d.Effect,
	})
}
