package jobmaster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/scheduler/execgraph"
)

// WorkerLost says that a worker is gone with all that ran on it.
func (m *Master) WorkerLost(w id.Worker, cause error) { m.post(func() { m.workerLost(w, cause) }) }

func (m *Master) workerLost(w id.Worker, cause error) {
	delete(m.workers, w)
	m.hangUp(w)
	m.handle(execgraph.WorkerLost{Worker: w, Cause: cause})
	m.serverLost(m.keeps[w], cause)
	m.coordinatorLost(w, cause)
}

// ServerLost says that a shuffle server is gone with all that it kept. A worker is one
// for its own partitions.
func (m *Master) ServerLost(server string, cause error) {
	m.post(func() { m.serverLost(server, cause) })
}

func (m *Master) serverLost(server string, cause error) {
	m.haulsLost(server)
	if lost := m.lanesAt(server); len(lost) > 0 {
		cause := failure.Wrap(failure.LostPartition, fmt.Errorf("shuffle server %s is lost: %w", server, cause))
		m.handle(execgraph.PartitionsLost{Lost: lost, Cause: cause})
	}
}

// lanesAt are the lanes that a server keeps, or that are being written there: whoever
// does would only give up after a while.
func (m *Master) lanesAt(server string) (out []execgraph.Lost) {
	for _, x := range m.layout.graph.GetExchanges() {
		p := m.places[x.GetId()]
		if p == nil || !stored(x) {
			continue
		}
		l := execgraph.Lost{Exchange: id.Exchange(x.GetId())}
		for lane, s := range p.at {
			if s.ID != server || server == "" {
				continue
			}
			if m.isWriting(x, uint32(lane)) || m.graph.Written(l.Exchange, uint32(lane)) {
				l.Lanes = append(l.Lanes, uint32(lane))
			}
		}
		if len(l.Lanes) > 0 {
			out = append(out, l)
		}
	}
	return out
}

// coordinatorLost starts the coordinator task on another worker, if it ran on w. Its
// enumerators begin anew, so sources that are at work do.
func (m *Master) coordinatorLost(w id.Worker, cause error) {
	if w == "" || w != m.coordinator || m.graph.State().Terminal() {
		return
	}
	cause = failure.Wrap(failure.Transient, fmt.Errorf("worker %s with the coordinator task is lost: %w", w, cause))
	if m.layout.streaming() { // a restart starts it again, from the checkpoint
		if m.handle(execgraph.EnumeratorsLost{Cause: cause}); m.graph.State() != execgraph.JobRestarting {
			m.handle(execgraph.Fail{Cause: cause})
		}
		return
	}
	m.coordinator, m.uncoordinated = "", max(time.Since(m.begun), time.Millisecond)
	m.handle(execgraph.EnumeratorsLost{Cause: cause})
	if m.graph.State() == execgraph.JobFailing || m.graph.State().Terminal() {
		return
	}
	ctx := m.beginStart(context.Background())
	m.coordinate(ctx, m.sendHeld)
}

// sendHeld deploys the sources that waited for the coordinator task.
func (m *Master) sendHeld() {
	held := m.held
	m.held, m.uncoordinated = nil, 0
	m.deploy(held)
}

// failed takes the failure of an attempt. One that could not read a stored exchange says
// nothing of why: the servers that it read from are asked. Who is gone, or does not answer,
// has lost its lanes; who answers tells which lanes it has whole. If nothing is missing the
// attempt tries again, and if that fails, too, what it reads is written again.
func (m *Master) failed(a id.Attempt, cause error) {
	inputs := m.storedInputs(a)
	now, _ := m.graph.Current(a.Subtask)
	if failure.Of(cause) != failure.LostPartition || len(inputs) == 0 || now.Attempt != a || now.State == execgraph.AttemptCanceling {
		m.handle(execgraph.TaskFailed{Attempt: a, Cause: cause})
		return
	}
	again := m.doubts[a.Subtask]
	m.doubts[a.Subtask] = true
	m.examine(cause, inputs, func(lost []execgraph.Lost) {
		switch {
		case len(lost) > 0:
			delete(m.doubts, a.Subtask)
		case again:
			lost = whole(inputs)
		}
		m.handle(execgraph.TaskFailed{Attempt: a, Cause: cause, Lost: lost})
	})
}

// examine asks the servers of stored exchanges which lanes they have, and tells which of
// those that should be there are not. Inside one process there is nobody to ask: nothing of
// these exchanges is there.
func (m *Master) examine(cause error, exchanges []uint32, then func(lost []execgraph.Lost)) {
	servers := map[string]bool{}
	for _, x := range exchanges {
		if p := m.places[x]; p != nil {
			for _, s := range p.at {
				servers[s.ID] = s.ID != ""
			}
		}
	}
	delete(servers, "")
	if len(servers) == 0 {
		then(whole(exchanges))
		return
	}
	m.save(func(ctx context.Context) {
		gone := m.silent(ctx, slices.Sorted(maps.Keys(servers)))
		for _, s := range gone { // nobody is to write there before its heartbeats are missed
			m.opts.Resources.Lose(id.Worker(s), fmt.Errorf("it does not answer: %w", cause))
			delete(servers, s)
		}
		have := m.ask(ctx, slices.Sorted(maps.Keys(servers)), exchanges)
		m.post(func() {
			var lost []execgraph.Lost
			for _, s := range gone {
				lost = append(lost, m.lanesAt(s)...)
			}
			then(append(lost, m.missing(have, exchanges)...))
		})
	})
}

// ask asks servers which lanes of exchanges they have. One that does not tell is left out.
func (m *Master) ask(ctx context.Context, servers []string, exchanges []uint32) map[holding]*rpc.LanesReply {
	have := map[holding]*rpc.LanesReply{}
	for _, s := range servers {
		for _, x := range exchanges {
			ctx, stop := context.WithTimeout(ctx, serverTimeout)
			r, err := m.opts.Dialer.Shuffle(s).Lanes(ctx, &rpc.LanesRequest{Job: m.ref(), Exchange: x})
			stop()
			if err == nil {
				have[holding{x, s}] = r
			}
		}
	}
	return have
}

// missing are the lanes that servers should have, by what is known of them, and do not.
func (m *Master) missing(have map[holding]*rpc.LanesReply, exchanges []uint32) (out []execgraph.Lost) {
	for _, x := range exchanges {
		l := execgraph.Lost{Exchange: id.Exchange(x)}
		for i, s := range m.places[x].at {
			told, asked := have[holding{x, s.ID}]
			w := m.manifests[lane{x, uint32(i)}]
			if !asked || w == nil || !m.graph.Written(l.Exchange, uint32(i)) {
				continue
			}
			if !slices.ContainsFunc(told.GetLanes(), func(h *rpc.LaneManifest) bool { return h.GetLane() == uint32(i) && sameLane(h, w) }) {
				l.Lanes = append(l.Lanes, uint32(i))
			}
		}
		if len(l.Lanes) > 0 {
			out = append(out, l)
		}
	}
	return out
}

func whole(exchanges []uint32) (out []execgraph.Lost) {
	for _, x := range exchanges {
		out = append(out, execgraph.Lost{Exchange: id.Exchange(x)})
	}
	return out
}

// silent are those of some servers that are gone or do not answer.
func (m *Master) silent(ctx context.Context, servers []string) (out []string) {
	here := map[string]bool{}
	for _, s := range m.opts.Resources.Members() {
		here[s.Server.ID] = true
	}
	for _, s := range servers {
		if here[s] {
			ctx, stop := context.WithTimeout(ctx, probeTimeout)
			_, err := m.opts.Dialer.Shuffle(s).Stats(ctx, &rpc.ShuffleStatsRequest{})
			stop()
			if err == nil || failure.Of(err) != failure.Transient && ctx.Err() == nil {
				continue
			}
		}
		out = append(out, s)
	}
	return out
}

// storedInputs are the stored exchanges that an attempt reads.
func (m *Master) storedInputs(a id.Attempt) (out []uint32) {
	for _, n := range m.layout.graph.GetVertices()[a.Subtask.Vertex].GetInputs() {
		if stored(m.layout.graph.GetExchanges()[n]) {
			out = append(out, n)
		}
	}
	return out
}

// finished takes the end of an attempt. Where another attempt has won a lane, and is not
// the one whose rows are known, what the lane holds is not known: all lanes are written
// again.
func (m *Master) finished(a id.Attempt, r *rpc.TaskReport) {
	if !m.current(a) {
		return
	}
	var lost []execgraph.Lost
	for _, w := range r.GetManifests() {
		if w.GetDiscarded() && !m.graph.Written(id.Exchange(w.GetExchange()), w.GetLane()) {
			lost = append(lost, execgraph.Lost{Exchange: id.Exchange(w.GetExchange())})
		}
	}
	if len(lost) > 0 {
		cause := failure.Errorf(failure.LostPartition, "another attempt has written the lane of %v and was not heard of", a.Subtask)
		m.handle(execgraph.TaskFailed{Attempt: a, Cause: cause, Lost: lost})
		return
	}
	delete(m.doubts, a.Subtask)
	for _, w := range r.GetManifests() {
		if !w.GetDiscarded() {
			m.manifests[lane{w.GetExchange(), w.GetLane()}] = w
		}
	}
	m.output[a.Subtask] = r
	m.count(r.GetCommittables(), 1)
	if m.checkpoints != nil {
		m.checkpoint(m.checkpoints.Finished(a, r.GetCommittables()))
	}
	m.total(r)
	m.handle(execgraph.TaskFinished{Attempt: a})
}

// lane is one of an exchange's.
type lane struct{ exchange, lane uint32 }
