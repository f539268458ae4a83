package physical

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/jobgraph"
)

// uidBytes is how much of the hash a uid shows.
const uidBytes = 6

// Tables of operators' states, as these number them.
const (
	valuesTable = 0 // columns besides those of lists, whatever tables they are in
	listTable   = 1
	secondTable = 2
)

// identify gives vertices and operators their uids. Operators with state have one by what
// their state means, and tell that, so that another plan finds it (checkpoint.Match): a hash
// of how they compute it, of what they read and of what reads them, projections and the
// bounds of vertices aside. Equal ones are numbered. A vertex's is a hash of all that it does
// and reads: rows in flight need just that.
func (b *builder) identify() {
	count := map[string]int{}
	numbered := func(uid string) string {
		if count[uid]++; count[uid] > 1 {
			return fmt.Sprintf("%s-%d", uid, count[uid])
		}
		return uid
	}
	var parts []*part
	if b.o.Streaming {
		parts = partsOf(b.graph) // before vertices are hashed: joins may be crossed
	}
	for _, v := range b.graph.Vertices {
		v.Uid = numbered(b.vertexHash(v))
		for i, op := range v.Chain {
			op.Uid = fmt.Sprintf("%s.%d", v.Uid, i)
		}
	}
	all := look(parts)
	for _, p := range parts {
		if p.base == "" {
			continue
		}
		after, given := all[p], p.given()
		kind := p.base[:len(p.base)-2*uidBytes]
		p.op.Uid = numbered(kind + digest(p.base, p.above, after.below))
		p.op.Kept = &checkpoint.Kept{
			Meanings: []string{digest(p.base, given, after.next), digest(p.base, given), digest(p.base, after.next), p.base},
			Columns:  p.kept(),
		}
		if p.op.GetUpdatingJoin() != nil {
			p.op.Kept.Given, p.op.Kept.Asked = hashes(given), hashes(after.asked)
		}
	}
}

func (b *builder) vertexHash(v *jobgraph.Vertex) string {
	h := sha256.New()
	for _, in := range v.Inputs {
		e := b.graph.Exchanges[in]
		fmt.Fprintln(h, b.graph.Vertices[e.Producer].Uid, e.Distribution, e.Keys)
	}
	for _, op := range v.Chain {
		spec := proto.Clone(op).(*jobgraph.Operator)
		spec.Position, spec.Uid, spec.Kept = 0, "", nil
		withoutRejects(spec)
		// Deterministic within one version of the library; a stored plan keeps uids
		// over versions.
		text, err := proto.MarshalOptions{Deterministic: true}.Marshal(spec)
		if err != nil {
			text = []byte(op.Name)
		}
		h.Write(text)
	}
	return hex.EncodeToString(h.Sum(nil)[:uidBytes])
}

func hashes(all []string) []string {
	out := make([]string, len(all))
	for i, m := range all {
		out[i] = digest(m)
	}
	return out
}

// kept are the columns of the part's state.
func (p *part) kept() []*checkpoint.KeptColumn {
	switch s := p.op.Spec.(type) {
	case *jobgraph.Operator_Aggregate:
		return p.grouped(len(s.Aggregate.Keys), len(s.Aggregate.Calls), 0)
	case *jobgraph.Operator_UpdatingAggregate:
		a := s.UpdatingAggregate
		return p.grouped(len(a.Keys), len(a.Calls), a.KeepMillis)
	case *jobgraph.Operator_WindowAggregate:
		return p.grouped(len(s.WindowAggregate.Keys), len(s.WindowAggregate.Calls), 0)
	case *jobgraph.Operator_UpdatingJoin:
		left, right := uint32(listTable), uint32(secondTable)
		if s.UpdatingJoin.Crossed {
			left, right = right, left
		}
		out := append(p.in[0].rows(left, true), p.in[1].rows(right, true)...)
		return touched(touched(out, "left arrived", s.UpdatingJoin.LeftKeepMillis), "right arrived", s.UpdatingJoin.RightKeepMillis)
	case *jobgraph.Operator_TemporalJoin:
		return append(p.in[0].rows(listTable, true), p.in[1].rows(secondTable, true)...)
	case *jobgraph.Operator_UpdatingTopN:
		return touched(p.in[0].rows(listTable, true), "touched", s.UpdatingTopN.KeepMillis)
	case *jobgraph.Operator_UpdatingOver:
		return touched(p.in[0].rows(listTable, true), "touched", s.UpdatingOver.KeepMillis)
	case *jobgraph.Operator_Materialize:
		return touched(p.in[0].rows(listTable, len(s.Materialize.Keys) > 0), "touched", s.Materialize.KeepMillis)
	case *jobgraph.Operator_MatchRecognize:
		return touched(p.in[0].rows(listTable, false), "touched", s.MatchRecognize.KeepMillis)
	}
	return nil
}

// grouped are the first columns of what the part emits: what it groups by and what it
// computes.
func (p *part) grouped(keys, calls int, keepMillis int64) (out []*checkpoint.KeptColumn) {
	for i := range min(keys+calls, len(p.op.Output)) {
		out = append(out, p.column(i, valuesTable, false))
	}
	return touched(out, "touched", keepMillis)
}

// touched adds what is known of the age of state that is forgotten.
func touched(out []*checkpoint.KeptColumn, name string, keepMillis int64) []*checkpoint.KeptColumn {
	if keepMillis > 0 {
		out = append(out, &checkpoint.KeptColumn{Name: name, Type: "BIGINT", Meaning: digest(name), Table: valuesTable})
	}
	return out
}

// rows are the columns of what the part emits, which a reader keeps.
func (p *part) rows(table uint32, listed bool) (out []*checkpoint.KeptColumn) {
	for i := range p.op.Output {
		out = append(out, p.column(i, table, listed))
	}
	return out
}

func (p *part) column(i int, table uint32, listed bool) *checkpoint.KeptColumn {
	f := p.op.Output[i]
	return &checkpoint.KeptColumn{Name: f.Name, Type: untyped(f.Type), Meaning: digest(at(p.columns, uint32(i))), Table: table, Listed: listed}
}

// withoutRejects makes a spec what it is without a rejects table, which a table may get, or
// lose, between two runs of a job.
func withoutRejects(spec *jobgraph.Operator) {
	spec.Sides = nil
	if s := spec.GetSource(); s != nil {
		s.Rejects = false
		if s.Watermark != nil {
			s.Watermark.Rejects = ""
		}
	}
	if w := spec.GetWatermark(); w != nil {
		w.Rejects = ""
	}
}
