package jobmaster

import (
	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/jobgraph"
)

// inFlight says how rows reach a vertex, and whether barriers may overtake those in flight:
// on each of its inputs it must be known which subtask they belong to at any parallelism.
// What is broadcast has come to each subtask up to another row, and what is forwarded
// belongs where the producer's state is; there, as on merges and ranges, barriers wait.
func (l *layout) inFlight(v *jobgraph.Vertex) (inputs []checkpoint.Input, overtakes bool) {
	overtakes = len(v.GetInputs()) > 0
	for _, n := range v.GetInputs() {
		x := l.graph.GetExchanges()[n]
		inputs = append(inputs, checkpoint.Input{Hashed: x.GetDistribution() == jobgraph.Distribution_DISTRIBUTION_HASH})
		switch x.GetDistribution() {
		case jobgraph.Distribution_DISTRIBUTION_HASH, jobgraph.Distribution_DISTRIBUTION_REBALANCE, jobgraph.Distribution_DISTRIBUTION_SINGLETON:
			overtakes = overtakes && !stored(x)
		default:
			overtakes = false
		}
	}
	return inputs, overtakes
}
