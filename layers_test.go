package tidemill_test

import (
	"bufio"
	_ "embed"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

//go:embed floors.txt
var floorsTable string

// wall is an import that stays forbidden where the floors would allow it, through any number of steps.
type wall struct {
	from, to string   // a package and everything below it
	why      string   // the reason, which is also the way to the cure
	through  []string // reaching to by way of these packages is allowed
	except   []string // packages below to that may be reached
}

var planning = []string{"core/plan", "core/sql", "core/catalog", "scheduler/gateway/planning"}

// walls are those of architecture.md, section 3.
var walls = []wall{
	{from: "core/worker", to: "core/plan", why: "a worker runs specs, it does not plan"},
	{from: "core/worker", to: "core/sql", why: "a worker does not know SQL"},
	{from: "core/task", to: "core/plan", why: "a task runs specs, it does not plan"},
	{from: "core/task", to: "core/sql", why: "a task does not know SQL"},
	{from: "core/worker", to: "scheduler", why: "worker and master meet only in core/rpc"},
	{from: "scheduler", to: "core/task", why: "worker and master meet only in core/rpc"},
	{
		from: "scheduler/gateway", to: "core/connector", through: planning, except: connectorContract,
		why: "of the gateway only its planning may know connectors; pass a registry in",
	},
	{
		from: "scheduler", to: "core/connector", through: []string{"scheduler/gateway"}, except: connectorContract,
		why: "connector code runs in the coordinator task, never in a master",
	},
	{from: "shuffle", to: "core/operator", why: "the shuffle service moves elements, it does not run operators"},
	{from: "shuffle", to: "core/state", why: "the shuffle service keeps partitions, not keyed state"},
	{from: "shuffle", to: "formats", why: "the shuffle service speaks Arrow only"},
	{from: "adaptive", to: "core/rpc", why: "decisions are pure; pass a snapshot in"},
	{from: "adaptive", to: "fs", why: "decisions are pure; pass a snapshot in"},
	{from: "scheduler/execgraph", to: "core/rpc", why: "the execution graph is a pure state machine; return an action"},
	{from: "scheduler/execgraph", to: "fs", why: "the execution graph is a pure state machine; return an action"},
	{from: "core/jobgraph", to: "core/operator", why: "a job graph holds specs, not code"},
	{from: "core/jobgraph", to: "core/connector", why: "a job graph holds specs, not code"},
	{from: "raftmeta", to: "core/jobgraph", why: "the metadata store keeps bytes that it does not interpret"},
	{from: "formats", to: "core/operator", why: "a format knows bytes and batches only"},
	{from: "formats", to: "core/state", why: "a format knows bytes and batches only"},
	{from: "formats", to: "shuffle", why: "a format knows bytes and batches only"},
	{from: "fs", to: "core/stream", why: "a file system knows bytes only"},
}

// connectorContract is the part of core/connector that is contract and no implementation.
var connectorContract = []string{"core/connector", "core/connector/connectortest"}

// importGraph maps each package of the repository to those that it imports.
type importGraph map[string][]string

func TestLayers(t *testing.T) {
	graph := importGraph{}
	for _, p := range theTree(t).packages {
		if p.name() != "" && !inOtherModule(p.path) {
			graph[p.path] = p.imports()
		}
	}
	floors, problems := parseFloors(floorsTable)
	problems = append(problems, checkFloors(graph, floors)...)
	problems = append(problems, checkWalls(graph, walls)...)
	for _, problem := range problems {
		t.Error(problem)
	}
}

// inOtherModule tells packages of the tools module, which are not rooms of this house.
func inOtherModule(p string) bool { return under(p, "tools") }

// parseFloors reads lines `floor path sentence`; blank lines and those that begin with # do not count.
func parseFloors(table string) (floors map[string]int, problems []string) {
	floors = map[string]int{}
	lines := bufio.NewScanner(strings.NewReader(table))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		floor, err := strconv.Atoi(fields[0])
		if err != nil || floor < 1 || floor > 7 || len(fields) < 3 {
			problems = append(problems, fmt.Sprintf("floors.txt:%d: want `floor path sentence` with a floor from 1 to 7, have %q", n, line))
			continue
		}
		if _, twice := floors[fields[1]]; twice {
			problems = append(problems, fmt.Sprintf("floors.txt:%d: %s has two lines: remove one", n, fields[1]))
		}
		floors[fields[1]] = floor
	}
	return floors, problems
}

// floorOf finds the floor of p: its own line; else, for an internal package, its parent's; else, for a
// conformance suite X/xtest, the floor of X plus one. derived tells that the rule and no line decides.
func floorOf(p string, floors map[string]int) (floor int, derived, ok bool) {
	if parent, inside := internalParent(p); inside {
		floor, _, ok = floorOf(parent, floors)
		return floor, true, ok
	}
	if parent, suite := suiteParent(p); suite {
		if floor, _, ok = floorOf(parent, floors); ok {
			return floor + 1, true, true
		}
	}
	floor, ok = floors[p]
	return floor, false, ok
}

func internalParent(p string) (string, bool) {
	if p == "internal" || strings.HasPrefix(p, "internal/") {
		return ".", true
	}
	if i := strings.Index(p+"/", "/internal/"); i >= 0 {
		return p[:i], true
	}
	return "", false
}

func suiteParent(p string) (string, bool) {
	parent := path.Dir(p)
	return parent, parent != "." && path.Base(p) == path.Base(parent)+"test"
}

func checkFloors(graph importGraph, floors map[string]int) (problems []string) {
	for _, p := range slices.Sorted(maps.Keys(graph)) {
		floor, derived, ok := floorOf(p, floors)
		if !ok {
			problems = append(problems, fmt.Sprintf("%s is a package without a floor: give it a line in floors.txt", p))
			continue
		}
		if line, has := floors[p]; derived && has && line != floor {
			problems = append(problems, fmt.Sprintf("floors.txt puts %s on floor %d, its place makes that %d: remove the line", p, line, floor))
		}
		for _, target := range graph[p] {
			if above, _, ok := floorOf(target, floors); ok && above > floor {
				problems = append(problems, fmt.Sprintf(
					"%s (floor %d) imports %s (floor %d): move what both need down, or pass it in through an interface of the lower package",
					p, floor, target, above))
			}
		}
	}
	for _, p := range slices.Sorted(maps.Keys(floors)) {
		if _, exists := graph[p]; !exists {
			problems = append(problems, fmt.Sprintf("floors.txt names %s, a floor without a package: remove the line until the package exists", p))
		}
	}
	return problems
}

func checkWalls(graph importGraph, walls []wall) (problems []string) {
	for _, w := range walls {
		for _, p := range slices.Sorted(maps.Keys(graph)) {
			if !under(p, w.from) || underAny(p, w.through) {
				continue
			}
			if way := graph.reach(p, w); way != nil {
				problems = append(problems, fmt.Sprintf("%s reaches through a wall: %s", strings.Join(way, " -> "), w.why))
			}
		}
	}
	return problems
}

// reach finds a shortest way from start to what w forbids, nil if there is none.
func (g importGraph) reach(start string, w wall) []string {
	cameFrom := map[string]string{start: ""}
	for queue := []string{start}; len(queue) > 0; queue = queue[1:] {
		for _, next := range g[queue[0]] {
			if _, seen := cameFrom[next]; seen || underAny(next, w.through) {
				continue
			}
			cameFrom[next] = queue[0]
			if under(next, w.to) && !slices.Contains(w.except, next) {
				return wayTo(next, cameFrom)
			}
			queue = append(queue, next)
		}
	}
	return nil
}

func wayTo(end string, cameFrom map[string]string) (way []string) {
	for p := end; p != ""; p = cameFrom[p] {
		way = append(way, p)
	}
	slices.Reverse(way)
	return way
}

func under(p, prefix string) bool { return p == prefix || strings.HasPrefix(p, prefix+"/") }

func underAny(p string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return under(p, prefix) })
}
