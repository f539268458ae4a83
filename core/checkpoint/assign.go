package checkpoint

import (
	"fmt"

	"github.com/tidemill/tidemill/core/keygroup"
)

// Groups is the range of key groups that the handle's rows may be of.
func (h *Handle) Groups() keygroup.Range {
	return keygroup.Range{First: keygroup.Group(h.FirstGroup), Last: keygroup.Group(h.LastGroup)}
}

// Assign says what each of parallelism subtasks restores of a vertex's state. Of
// keyed state a subtask reads the handles that hold any of its key groups. The
// operators' own state of former subtask i goes to the same index where the
// parallelism is the same, and is otherwise spread contiguously; one that is marked so
// goes to all. A subtask is
// FINISHED where all the former ones that it continues were; a subtask without
// former ones continues nothing and is FINISHED only where all were.
func Assign(v *VertexState, parallelism, groups int) ([]*Restore, error) {
	owners, err := keygroup.Even(groups, parallelism)
	if err != nil {
		return nil, fmt.Errorf("restore vertex %s: %w", v.Uid, err)
	}
	if int(v.Parallelism) != len(v.Subtasks) {
		return nil, fmt.Errorf("restore vertex %s: %d subtasks in a state of parallelism %d", v.Uid, len(v.Subtasks), v.Parallelism)
	}
	former := len(v.Subtasks)
	out := make([]*Restore, parallelism)
	allFinished := former > 0
	for _, s := range v.Subtasks {
		allFinished = allFinished && s.Finished
	}
	for i := range out {
		r := &Restore{Finished: allFinished}
		own := owners.Range(i)
		for old, s := range v.Subtasks {
			r.takeStates(s, old*parallelism/former == i)
			r.takeHandles(s, own)
		}
		if parallelism == former {
			r.Finished = v.Subtasks[i].Finished
		}
		for _, o := range r.Operators {
			c := Chain{Handles: o.Handles, Shares: o.Shares}
			c.Sort()
			o.Handles, o.Shares = c.Handles, c.Shares
		}
		out[i] = r
	}
	return out, nil
}

// takeStates takes the states of a former subtask that go everywhere, and with own all.
func (r *Restore) takeStates(s *SubtaskState, own bool) {
	for _, o := range s.Operators {
		if len(o.State) > 0 && (own || o.Everywhere) {
			into := r.operator(o.Uid)
			into.States = append(into.States, o.State)
		}
	}
}

func (r *Restore) takeHandles(s *SubtaskState, own keygroup.Range) {
	for _, o := range s.Operators {
		for _, h := range o.Handles {
			if h.FirstGroup < uint32(own.Last) && uint32(own.First) < h.LastGroup {
				into := r.operator(o.Uid)
				into.Handles = append(into.Handles, h)
			}
		}
		for _, x := range o.Shares {
			if x.FirstGroup < uint32(own.Last) && uint32(own.First) < x.LastGroup {
				into := r.operator(o.Uid)
				into.Shares = append(into.Shares, x)
			}
		}
	}
}

func (r *Restore) operator(uid string) *OperatorRestore {
	for _, o := range r.Operators {
		if o.Uid == uid {
			return o
		}
	}
	o := &OperatorRestore{Uid: uid}
	r.Operators = append(r.Operators, o)
	return o
}
