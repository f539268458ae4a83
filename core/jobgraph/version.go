package jobgraph

// Versions of the serialised form. A reader accepts what it knows.
const (
	// Version1 is the first form.
	Version1 = 1
	// Version is what planners write.
	Version = Version1
)
