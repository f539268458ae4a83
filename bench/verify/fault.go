package verify

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tidemill/tidemill/core/failpoint"
)

// FaultKind is what happens to a role.
type FaultKind uint8

// The kinds.
const (
	noFault FaultKind = iota
	// KillAtPoint ends whichever process makes the nth hit of a failpoint.
	KillAtPoint
	// KillAtRandom ends one node by kill -9 at some moment of the statement.
	KillAtRandom
	// StopAndContinue stops one node for a while and has it go on.
	StopAndContinue
	// Damage flips a bit in, or cuts, each file that keeps rows of the statement.
	Damage
	// BadNetwork does something to the connections of one node for a while.
	BadNetwork
)

func (k FaultKind) String() string {
	switch k {
	case KillAtPoint:
		return "kill at a failpoint"
	case KillAtRandom:
		return "kill at a random moment"
	case StopAndContinue:
		return "stop and continue"
	case Damage:
		return "damage files"
	case BadNetwork:
		return "bad network"
	default:
		return "no fault"
	}
}

// fault is what a round does to the cluster.
type fault struct {
	kind  FaultKind
	point string        // that ends a process
	hit   int           // and at which hit
	node  int           // that is killed or stopped
	after time.Duration // from the statement's start
	pause time.Duration // until the node is started again, or goes on
	// network is what BadNetwork does.
	network networkFault
}

func (f fault) String() string {
	if f.kind == KillAtPoint {
		return fmt.Sprintf("kill at hit %d of %s, start after %v", f.hit, f.point, f.pause)
	}
	if f.kind == Damage {
		return fmt.Sprintf("damage files after %v", f.after)
	}
	if f.kind == BadNetwork {
		return fmt.Sprintf("%s at node %d after %v, for %v", f.network, f.node, f.after, f.pause)
	}
	what := map[FaultKind]string{KillAtRandom: "kill", StopAndContinue: "stop"}[f.kind]
	return fmt.Sprintf("%s node %d after %v, for %v", what, f.node, f.after, f.pause)
}

// calm is what a statement does when nothing happens to it.
type calm struct {
	took time.Duration
	hits map[string]int
}

const (
	// Of every sixteen faults eight are kills at failpoints, two at random moments, two
	// damage files, two are of networks, and two stop a node.
	pointShare, randomShare, damageShare, networkShare = 8, 2, 2, 2
	faultShares                                        = 16
	// A killed node stays away for up to longestPause, a stopped one or one with a bad
	// network for up to longestStop, which is longer than a master's patience.
	longestPause = 2 * time.Second
	longestStop  = 6 * time.Second
	// lossPatience is after which silence a master gives a member up.
	lossPatience = 2 * time.Second
)

// planFault draws the fault of a round. Where a statement passes no failpoints, there
// is none to kill at.
func planFault(r *rand.Rand, nodes int, c calm) fault {
	f := fault{kind: StopAndContinue, node: r.IntN(nodes)}
	f.after = time.Duration(r.Int64N(int64(c.took) + 1))
	switch n := r.IntN(faultShares); {
	case n < pointShare && len(c.hits) > 0:
		f.kind = KillAtPoint
		names := slices.Sorted(maps.Keys(c.hits))
		f.point = names[r.IntN(len(names))]
		f.hit = 1 + r.IntN(c.hits[f.point])
		f.pause = time.Duration(r.Int64N(int64(longestPause)))
	case n < pointShare+randomShare:
		f.kind = KillAtRandom
		f.pause = time.Duration(r.Int64N(int64(longestPause)))
	case n < pointShare+randomShare+damageShare:
		f.kind, f.after = Damage, 0 // as soon as there is one
	case n < pointShare+randomShare+damageShare+networkShare:
		f.kind, f.network = BadNetwork, networkFault(1+r.IntN(int(networkFaults)-1))
		f.pause = time.Duration(r.Int64N(int64(longestStop)))
	default:
		f.pause = time.Duration(r.Int64N(int64(longestStop)))
	}
	return f
}

// critical are the failpoints of shuffles, commits, publications and seals; a kill at
// one of them falls into such a step.
func critical(point string) bool { return point != failpoint.Deploy }
