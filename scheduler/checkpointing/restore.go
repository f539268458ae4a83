package checkpointing

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
)

// Restored is what a job starts from.
type Restored struct {
	Manifest *checkpoint.Manifest
	// Positions are the enumerators' by vertex; Subtasks what each subtask restores.
	Positions map[id.Vertex][]byte
	Subtasks  map[id.Subtask]*checkpoint.Restore
	// Committables may not have been published yet.
	Committables []*rpc.Committable
	// LeftOut names the operators whose state the job has no place for.
	LeftOut []string
	// Empty names the operators that may have state and start without any.
	Empty []string
	// Complete are the checkpoints of the job itself that an earlier leader has left, the
	// oldest first.
	Complete []id.Checkpoint
	// Origin is the first job of those that were restored from each other.
	Origin id.Job
}

// restoring finds what the parts of a job restore.
type restoring struct {
	*Restored
	job      id.Job
	vertices []Vertex
	groups   int
	index    map[string]int // vertices by uid
	// former are the operators of the manifest, and of each its vertex there; now are those
	// of the job; to says which one goes on with the state of each former one, -1: none.
	former, now     []*checkpoint.KeptOperator
	formerAt, nowAt []int
	to              []int
	unclear         map[int]error
	rearranged      map[string][]*checkpoint.Rearranged // by uid of now
	finished        map[id.Subtask]bool
	reasons         []error // why state is left out, beyond that nobody asks for it
}

// Restore says what each part of a job restores from a manifest, its own or another's. State
// goes to the operators that checkpoint.Match finds for it, whatever vertices they are in.
// State that no operator goes on with is an error that names whose it was, unless it is to be
// left out; an operator without state starts afresh.
func Restore(job id.Job, m *checkpoint.Manifest, vertices []Vertex, groups int, leaveOut bool) (*Restored, error) {
	if m == nil {
		return nil, nil
	}
	if int(m.GetKeyGroups()) != groups {
		return nil, failure.Errorf(failure.Usage, "checkpoint %d has %d key groups and the job %d: set pipeline.max-parallelism to what it was", m.GetCheckpoint(), m.GetKeyGroups(), groups)
	}
	r := &restoring{
		Restored: &Restored{Manifest: m, Origin: origin(m, job), Positions: map[id.Vertex][]byte{}, Subtasks: map[id.Subtask]*checkpoint.Restore{}},
		job:      job, vertices: vertices, groups: groups, index: map[string]int{},
		rearranged: map[string][]*checkpoint.Rearranged{}, finished: map[id.Subtask]bool{},
	}
	r.match()
	for at, state := range m.GetVertices() {
		if err := r.vertex(at, state); err != nil {
			return nil, failure.Wrap(failure.Of(err), fmt.Errorf("checkpoint %d: %w", m.GetCheckpoint(), err))
		}
	}
	r.seal()
	if len(r.LeftOut) > 0 && !leaveOut {
		return nil, r.unclaimed()
	}
	return r.Restored, nil
}

// match finds out which operator goes on with which one's state.
func (r *restoring) match() {
	for i, v := range r.vertices {
		r.index[v.UID] = i
		for _, o := range v.Operators {
			r.now, r.nowAt = append(r.now, o), append(r.nowAt, i)
		}
	}
	for at, v := range r.Manifest.GetVertices() {
		for _, o := range operatorsOf(v) {
			r.former, r.formerAt = append(r.former, o), append(r.formerAt, at)
		}
	}
	r.to, r.unclear = checkpoint.Match(r.former, r.now)
}

// operatorsOf are those that may have state, and those that a manifest only shows state of.
func operatorsOf(v *checkpoint.VertexState) []*checkpoint.KeptOperator {
	all := slices.Clone(v.GetOperators())
	for _, s := range v.GetSubtasks() {
		for _, o := range s.GetOperators() {
			if !slices.ContainsFunc(all, func(k *checkpoint.KeptOperator) bool { return k.GetUid() == o.GetUid() }) {
				all = append(all, &checkpoint.KeptOperator{Uid: o.GetUid(), Name: v.GetName()})
			}
		}
	}
	return all
}

// vertex hands out what a vertex of the manifest has.
func (r *restoring) vertex(at int, state *checkpoint.VertexState) error {
	part := &rpc.CoordinatorState{}
	if err := proto.Unmarshal(state.GetCoordinator(), part); err != nil {
		return failure.Errorf(failure.BadData, "vertex %s: %w", state.GetName(), err)
	}
	own := map[string]int{} // operators' places in former, by uid
	targets := map[int]bool{}
	source := -1
	for i, o := range r.former {
		if r.formerAt[i] != at {
			continue
		}
		own[o.GetUid()] = i
		if o.GetSource() {
			source = i
		}
		r.claim(i, state, part)
		if r.to[i] >= 0 {
			targets[r.nowAt[r.to[i]]] = true
		}
	}
	same, ok := r.index[state.GetUid()]
	if ok {
		targets[same] = true
	} else {
		same = -1
	}
	for i := range r.vertices {
		if !targets[i] {
			continue
		}
		if err := r.target(i, state, own, i == same); err != nil {
			return err
		}
	}
	if err := r.inFlight(state, same); err != nil {
		return err
	}
	r.committables(part)
	return r.position(state, part, source, same)
}

// claim checks that the state of a former operator, if it has any, has a place, and fits.
func (r *restoring) claim(i int, state *checkpoint.VertexState, part *rpc.CoordinatorState) {
	o := r.former[i]
	why := r.unclear[i]
	if r.to[i] >= 0 {
		now := r.now[r.to[i]]
		moved, err := checkpoint.Fit(o, now)
		if err == nil {
			r.rearranged[now.GetUid()] = moved
			return
		}
		why, r.to[i] = err, -1
	}
	if !holds(state, o.GetUid()) && !(o.GetSource() && part.GetSource() != nil) {
		return
	}
	r.LeftOut = append(r.LeftOut, o.Title())
	if why != nil {
		r.reasons = append(r.reasons, why)
	}
}

// holds reports whether there is state of an operator.
func holds(v *checkpoint.VertexState, uid string) bool {
	return slices.ContainsFunc(v.GetSubtasks(), func(s *checkpoint.SubtaskState) bool {
		return slices.ContainsFunc(s.GetOperators(), func(o *checkpoint.OperatorState) bool {
			return o.GetUid() == uid && (len(o.GetState()) > 0 || len(o.GetHandles()) > 0)
		})
	})
}

// target gives a vertex of the job what it goes on with of a vertex of the manifest. same
// says that they are one.
func (r *restoring) target(i int, state *checkpoint.VertexState, own map[string]int, same bool) error {
	part := &checkpoint.VertexState{Uid: state.GetUid(), Name: state.GetName(), Parallelism: state.GetParallelism()}
	for _, s := range state.GetSubtasks() {
		share := &checkpoint.SubtaskState{Index: s.GetIndex(), Finished: s.GetFinished()}
		for _, o := range s.GetOperators() {
			to := r.to[own[o.GetUid()]]
			if to < 0 || r.nowAt[to] != i {
				continue
			}
			o = proto.CloneOf(o)
			o.Uid = r.now[to].GetUid()
			share.Operators = append(share.Operators, o)
		}
		part.Subtasks = append(part.Subtasks, share)
	}
	all, err := checkpoint.Assign(part, r.vertices[i].Parallelism, r.groups)
	if err != nil {
		return err
	}
	for n, one := range all {
		at := id.Subtask{Vertex: id.Vertex(i), Index: uint32(n)}
		into := r.Subtasks[at]
		if into == nil {
			into = &checkpoint.Restore{Checkpoint: r.Manifest.GetCheckpoint(), Finished: true}
			r.Subtasks[at] = into
		}
		into.Finished = into.Finished && one.GetFinished()
		if same {
			r.finished[at] = one.GetFinished()
		}
		for _, o := range one.GetOperators() {
			o.Foreign = !bytes.Equal(r.Manifest.GetJob(), r.job[:])
			o.Rearranged = r.rearranged[o.GetUid()]
			into.Operators = append(into.Operators, o)
		}
	}
	return nil
}

// inFlight gives a vertex the rows that a barrier had overtaken: only one that reads the same
// inputs can take them.
func (r *restoring) inFlight(state *checkpoint.VertexState, same int) error {
	if same >= 0 {
		all := make([]*checkpoint.Restore, r.vertices[same].Parallelism)
		for n := range all {
			all[n] = r.Subtasks[id.Subtask{Vertex: id.Vertex(same), Index: uint32(n)}]
		}
		return failure.Wrap(failure.Conflict, checkpoint.AssignInFlight(state, all, r.groups, r.vertices[same].Inputs))
	}
	if slices.ContainsFunc(state.GetSubtasks(), func(s *checkpoint.SubtaskState) bool { return len(s.GetInFlight()) > 0 }) {
		r.LeftOut = append(r.LeftOut, fmt.Sprintf("%s (%s)", state.GetName(), state.GetUid()))
		r.reasons = append(r.reasons, failure.Errorf(failure.Conflict, "rows in flight to %s can only be taken by the plan that it was taken of: a savepoint has none", state.GetName()))
	}
	return nil
}

// committables takes what is to be published to the sinks as they are called now.
func (r *restoring) committables(part *rpc.CoordinatorState) {
	for _, c := range part.GetCommittables() {
		for i, o := range r.former {
			if o.GetUid() == c.GetOperator() && r.to[i] >= 0 {
				c.Operator = r.now[r.to[i]].GetUid()
			}
		}
		r.Committables = append(r.Committables, c)
	}
}

// position gives a source its enumerator's position.
func (r *restoring) position(state *checkpoint.VertexState, part *rpc.CoordinatorState, source, same int) error {
	position, target := part.GetSource(), same
	if source >= 0 {
		if target = -1; r.to[source] >= 0 {
			target = r.nowAt[r.to[source]]
		}
	}
	if position == nil || target < 0 {
		if position != nil && source < 0 {
			r.LeftOut = append(r.LeftOut, fmt.Sprintf("%s (%s)", state.GetName(), state.GetUid()))
		}
		return nil
	}
	v := r.vertices[target]
	if v.Source != "" && v.Parallelism != len(state.GetSubtasks()) {
		all := make([]*checkpoint.Restore, v.Parallelism)
		for n := range all {
			all[n] = r.Subtasks[id.Subtask{Vertex: id.Vertex(target), Index: uint32(n)}]
		}
		var err error
		if position, err = spread(state, all, v.Source, position); err != nil {
			return err
		}
	}
	r.Positions[id.Vertex(target)] = position
	return nil
}

// seal settles which subtasks are over, and names the operators that nothing was found for.
func (r *restoring) seal() {
	for at, finished := range r.finished {
		r.Subtasks[at].Finished = finished
	}
	found := map[int]bool{}
	for _, j := range r.to {
		found[j] = true
	}
	for j, o := range r.now {
		if o.GetKept() != nil && !found[j] {
			r.Empty = append(r.Empty, o.Title())
		}
	}
}

// mostNamed bounds how many operators an error names.
const mostNamed = 8

// unclaimed is why a job does not start from what another plan has kept.
func (r *restoring) unclaimed() error {
	const cure = "run the script and plan that it was taken of, or leave that state out with --allow-non-restored-state (execution.state-recovery.ignore-unclaimed-state)"
	m, left := r.Manifest, r.LeftOut
	if len(r.reasons) > 0 {
		more := ""
		if n := len(left) - 1; n > 0 {
			more = fmt.Sprintf(" (and %d more)", n)
		}
		return failure.Wrap(failure.Conflict, fmt.Errorf("checkpoint %d of job %x cannot be gone on with: %w%s; %s", m.GetCheckpoint(), m.GetJob(), r.reasons[0], more, cure))
	}
	of := ""
	if !slices.ContainsFunc(r.to, func(j int) bool { return j >= 0 }) {
		of = ": it is of another job, or of another plan of this one"
	}
	if n := len(left); n > mostNamed {
		left = append(slices.Clone(left[:mostNamed]), fmt.Sprintf("%d more", n-mostNamed))
	}
	return failure.Errorf(failure.Conflict, "checkpoint %d of job %x has state of %s, which this job does not have%s; %s",
		m.GetCheckpoint(), m.GetJob(), strings.Join(left, ", "), of, cure)
}
