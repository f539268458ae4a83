package checkpoint

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/keygroup"
)

// Input says how rows reach the subtasks of a vertex.
type Input struct {
	// Hashed: by the key group of each row; else a row may go to any subtask.
	Hashed bool
}

// AssignInFlight adds to what subtasks restore of a vertex (Assign) what was in flight to
// former ones. Of a hashed input each subtask gets the blocks that may have rows of its
// groups, and the groups in the block's handle say which rows count. Otherwise what was in
// flight to a subtask goes to one, where the operators' own state of it goes, too.
func AssignInFlight(v *VertexState, to []*Restore, groups int, inputs []Input) error {
	owners, err := keygroup.Even(groups, len(to))
	if err != nil {
		return fmt.Errorf("restore vertex %s: %w", v.Uid, err)
	}
	for old, s := range v.Subtasks {
		for _, f := range s.InFlight {
			if int(f.Input) >= len(inputs) {
				return fmt.Errorf("restore vertex %s: rows in flight on input %d of %d", v.Uid, f.Input, len(inputs))
			}
			if !inputs[f.Input].Hashed {
				into := to[old*len(to)/len(v.Subtasks)]
				into.InFlight = append(into.InFlight, f)
				continue
			}
			for i, r := range to {
				if part := f.of(owners.Range(i)); part != nil {
					r.InFlight = append(r.InFlight, part)
				}
			}
		}
	}
	return nil
}

// of is what may have rows of these groups; nil if nothing has.
func (f *InFlight) of(own keygroup.Range) *InFlight {
	part := &InFlight{Input: f.Input, Lane: f.Lane}
	for _, h := range f.Blocks {
		first, last := max(h.FirstGroup, uint32(own.First)), min(h.LastGroup, uint32(own.Last))
		if first < last {
			h = proto.CloneOf(h)
			h.FirstGroup, h.LastGroup = first, last
			part.Blocks = append(part.Blocks, h)
		}
	}
	if len(part.Blocks) == 0 {
		return nil
	}
	return part
}
