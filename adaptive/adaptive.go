package adaptive

// Decision is what was decided and why, in words.
type Decision struct {
	Rule    string // such as "region parallelism"
	Subject string // what it is about, such as "region 2: join, aggregate"
	Inputs  string // what it was decided from
	Effect  string // what it does
}

// Vertex is one vertex of a region that is about to start.
type Vertex struct {
	Name string
	// Fixed is the parallelism that the plan demands, or that was decided before; zero:
	// it may be chosen.
	Fixed int
	// Most bounds it; zero: nothing does.
	Most int
	// Like is the place in the region of the vertex that it must have the parallelism of
	// (forward edges); -1: none.
	Like int
	// Bytes is what it reads, by the manifests of the stored exchanges. Negative: not
	// known, as of what is read of sources or through pipelined edges.
	Bytes int64
}

// Resources are the slots that a region can have.
type Resources struct {
	Slots int // in the cluster, lent or not; or those that the region was granted
	// Wanted is the parallelism that the job asks for (parallelism.default); zero: as
	// many as there are slots.
	Wanted int
}
