package physical

import "github.com/tidemill/tidemill/core/jobgraph"

// retain decides how long each exchange keeps its data, with the reason.
func (b *builder) retain() {
	for _, e := range b.graph.Exchanges {
		e.Retention, e.RetentionReason = b.retention(e)
	}
	if b.graph.Mode == jobgraph.Mode_MODE_BATCH {
		b.untangle()
		b.keepAside()
	}
}

func (b *builder) retention(e *jobgraph.Exchange) (jobgraph.Retention, string) {
	none, job := jobgraph.Retention_RETENTION_NONE, jobgraph.Retention_RETENTION_JOB
	widest := b.graph.Vertices[e.Producer].Parallelism
	if !e.Result {
		widest = max(widest, b.graph.Vertices[e.Consumer].Parallelism)
	}
	switch {
	case b.graph.Mode == jobgraph.Mode_MODE_STREAMING:
		return none, "streaming: restored from checkpoints"
	case b.sealed[e.Producer]:
		return job, "several read what is computed once"
	case b.o.Blocking:
		return job, "asked for by option"
	case e.Result:
		return none, "the client reads along"
	case b.o.Slots > 0 && widest > b.o.Slots:
		return job, "both sides do not fit the slots together"
	}
	return none, "both sides fit the slots"
}

// untangle keeps a join's probe side where the build side comes from the same
// vertex: while the join reads the one, nobody would read the other, and their
// producer would wait for ever.
func (b *builder) untangle() {
	for _, v := range b.graph.Vertices {
		if len(v.Chain) == 0 || v.Chain[0].GetJoin() == nil {
			continue
		}
		probe, build := b.graph.Exchanges[v.Inputs[0]], b.graph.Exchanges[v.Inputs[1]]
		above := b.ancestors(build.Producer, map[uint32]bool{})
		for id := range b.ancestors(probe.Producer, map[uint32]bool{}) {
			if above[id] {
				probe.Retention, probe.RetentionReason = jobgraph.Retention_RETENTION_JOB, "both sides come from one vertex: the build side is read first"
			}
		}
	}
}

// ancestors are the vertices that a vertex waits for without a blocking exchange
// between.
func (b *builder) ancestors(id uint32, seen map[uint32]bool) map[uint32]bool {
	seen[id] = true
	for _, in := range b.graph.Vertices[id].Inputs {
		e := b.graph.Exchanges[in]
		if !seen[e.Producer] && e.Retention != jobgraph.Retention_RETENTION_JOB {
			b.ancestors(e.Producer, seen)
		}
	}
	return seen
}
