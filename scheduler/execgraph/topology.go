package execgraph

import (
	"slices"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
)

// Topology is what of a job graph matters to its execution.
type Topology struct {
	// Vertices in topological order.
	Vertices []Vertex
	Edges    []Edge
	// Checkpointed jobs restore a checkpoint when they restart.
	Checkpointed bool
	// Streaming jobs restart regions as a whole.
	Streaming bool
	// FirstAttempt is the number of the first attempts; those below are of earlier job
	// masters.
	FirstAttempt uint32
}

// Vertex is one vertex of the job.
type Vertex struct {
	ID id.Vertex
	// Parallelism is the number of subtasks; zero: it comes with the region's slots.
	Parallelism int
	// Source says that the coordinator task hands it splits.
	Source bool
}

// Edge is one exchange between two vertices.
type Edge struct {
	ID       id.Exchange
	From, To id.Vertex
	// Blocking edges (retention job) part regions, others join them.
	Blocking bool
	// Result edges lead to the client, not to a vertex. Rows of one that is not blocking
	// cannot be taken back.
	Result bool
	// Feedback edges close a loop. They are never blocking.
	Feedback bool
	// Forward edges lead from each subtask to the one with its index.
	Forward bool
	// Replayed edges (retention checkpoint) keep what came since the latest completed
	// checkpoint where their reader is.
	Replayed bool
	// Replayable says that a lane that is written again has the same rows for each
	// reader, in whatever order.
	Replayable bool
}

// maxSubtasks bounds a job, so that a slip in a parallelism is an error and not
// an exhausted master.
const maxSubtasks = 1 << 20

func (t Topology) check() error {
	bad := func(format string, args ...any) error {
		return failure.Errorf(failure.Internal, "execution graph: "+format, args...)
	}
	known, subtasks := map[id.Vertex]bool{}, 0
	for _, v := range t.Vertices {
		if known[v.ID] {
			return bad("vertex %d is there twice", v.ID)
		}
		if v.Parallelism < 0 || v.Parallelism > maxSubtasks {
			return bad("vertex %d has parallelism %d", v.ID, v.Parallelism)
		}
		known[v.ID] = true
		if subtasks += v.Parallelism; subtasks > maxSubtasks {
			return bad("more than %d subtasks", maxSubtasks)
		}
	}
	exchanges := map[id.Exchange]bool{}
	for _, e := range t.Edges {
		switch {
		case exchanges[e.ID]:
			return bad("exchange %d is there twice", e.ID)
		case !known[e.From] || !known[e.To] && !e.Result:
			return bad("exchange %d joins %d and %d, which are not both vertices", e.ID, e.From, e.To)
		case e.Feedback && e.Blocking:
			return bad("exchange %d is a blocking feedback", e.ID)
		}
		exchanges[e.ID] = true
	}
	return nil
}

// cut assigns each vertex, by its position, the number of its region. Regions
// are numbered by their first vertex. Pipelined edges join regions, and so do
// blocking edges between regions that would otherwise wait for each other.
func (t Topology) cut() []int {
	position := map[id.Vertex]int{}
	region := make([]int, len(t.Vertices))
	for i, v := range t.Vertices {
		position[v.ID], region[i] = i, i
	}
	join := func(a, b int) {
		into, gone := min(region[a], region[b]), max(region[a], region[b])
		for i, r := range region {
			if r == gone {
				region[i] = into
			}
		}
	}
	for _, e := range t.Edges {
		if !e.Blocking && !e.Result {
			join(position[e.From], position[e.To])
		}
	}
	for _, e := range t.Edges {
		from, to := position[e.From], position[e.To]
		if e.Blocking && !e.Result && region[from] != region[to] && t.reaches(position, region, region[to], region[from]) {
			t.joinCycle(position, region, region[from], region[to], join)
		}
	}
	return number(region)
}

// joinCycle joins every region that lies on a way from region to back to region
// from.
func (t Topology) joinCycle(position map[id.Vertex]int, region []int, from, to int, join func(a, b int)) {
	var members []int
	for i := range region {
		if t.reaches(position, region, to, region[i]) && t.reaches(position, region, region[i], from) {
			members = append(members, i)
		}
	}
	for _, i := range members[1:] {
		join(members[0], i)
	}
}

// reaches reports whether data flows from one region to another.
func (t Topology) reaches(position map[id.Vertex]int, region []int, from, to int) bool {
	seen := map[int]bool{from: true}
	for todo := []int{from}; len(todo) > 0; todo = todo[1:] {
		if todo[0] == to {
			return true
		}
		for _, e := range t.Edges {
			if next := region[position[e.To]]; !e.Result && region[position[e.From]] == todo[0] && !seen[next] {
				seen[next] = true
				todo = append(todo, next)
			}
		}
	}
	return false
}

// number renumbers regions densely in the order of their first vertices.
func number(region []int) []int {
	order := slices.Compact(slices.Sorted(slices.Values(region)))
	for i, r := range region {
		region[i], _ = slices.BinarySearch(order, r)
	}
	return region
}
