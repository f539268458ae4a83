package checkpointing

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
)

// Resize says that the job goes on with another parallelism. No attempt is at work, and
// Restarted follows.
func (c *Coordinator) Resize(vertices []Vertex) { c.vertices = vertices }

// spread gives the splits that the subtasks of a source had in hand back to its enumerator,
// whose position it returns: with another parallelism they are handed out anew.
func spread(state *checkpoint.VertexState, restores []*checkpoint.Restore, source string, position []byte) ([]byte, error) {
	e := &rpc.EnumeratorState{}
	if err := proto.Unmarshal(position, e); err != nil {
		return nil, failure.Errorf(failure.BadData, "position of source %s: %w", state.GetName(), err)
	}
	for _, r := range restores {
		for _, o := range r.Operators {
			if o.GetUid() == source {
				e.Parts = append(e.Parts, o.States...)
				o.States = nil
			}
		}
	}
	position, err := proto.Marshal(e)
	if err != nil {
		return nil, failure.Wrap(failure.Internal, fmt.Errorf("position of source %s: %w", state.GetName(), err))
	}
	return position, nil
}
