package verify

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Counters are what a run has done and seen.
type Counters struct {
	Seed       uint64
	Scale      float64
	Clusters   []string
	Rounds     int
	Statements int
	// Kills are processes ended by kill -9, by role; AtPoint those of them that a
	// failpoint ended, by its name.
	Kills   map[string]int
	AtPoint map[string]int
	// Stops are SIGSTOPs, LongStops those after which a master had given the node up.
	Stops, LongStops int
	// Networks are faults of networks, by their kind.
	Networks map[string]int
	// Damaged are files that kept rows of statements, and had a bit flipped or their end
	// cut.
	Damaged int
	// PowerFailures are the times at which everything was ended at once.
	PowerFailures int
	// Right, Retried: statements that were right at once, and after an error that said
	// to try again. Errors are those errors, by their first line.
	Right, Retried int
	Errors         map[string]int
	// Wrong, Unclear, Crashes, Left, Refused are what must not be: wrong answers or
	// folders, errors that do not say what to do, roles that ended by themselves, files
	// left, and statements or clusters that did not come back.
	Wrong, Unclear, Crashes, Left, Refused []string
	// Slowest is the longest that a statement with a fault took beyond the time it takes
	// without, and Median half of them.
	delays []time.Duration
	Took   time.Duration
}

func newCounters(o Options) *Counters {
	return &Counters{Seed: o.Seed, Scale: o.Scale, Kills: map[string]int{}, Networks: map[string]int{}, AtPoint: map[string]int{}, Errors: map[string]int{}}
}

func sum(counts map[string]int) (n int) {
	for _, k := range counts {
		n += k
	}
	return n
}

// Killed is how many processes were killed in rounds.
func (c *Counters) Killed() int { return sum(c.Kills) }

// Critical is how many of them were killed in a shuffle, commit, publication or seal.
func (c *Counters) Critical() (n int) {
	for point, k := range c.AtPoint {
		if critical(point) {
			n += k
		}
	}
	return n
}

// Defects are all findings, each with its kind.
func (c *Counters) Defects() (all []string) {
	for _, kind := range []struct {
		name  string
		found []string
	}{{"wrong", c.Wrong}, {"unclear error", c.Unclear}, {"crash", c.Crashes}, {"file left", c.Left}, {"not back", c.Refused}} {
		for _, f := range kind.found {
			all = append(all, kind.name+": "+f)
		}
	}
	return all
}

// rows are the lines of the table.
func (c *Counters) rows() [][2]string {
	count := func(n int) string { return fmt.Sprint(n) }
	list := func(counts map[string]int) string {
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
		}
		return strings.Join(parts, ", ")
	}
	return [][2]string{
		{"seed, scale of TPC-H", fmt.Sprintf("%d, %g", c.Seed, c.Scale)},
		{"clusters", strings.Join(c.Clusters, "; ")},
		{"rounds, statements run in them", fmt.Sprintf("%d, %d", c.Rounds, c.Statements)},
		{"kills", fmt.Sprintf("%d (%s)", c.Killed(), list(c.Kills))},
		{"of them in a shuffle, commit, publication or seal", count(c.Critical())},
		{"by failpoint", list(c.AtPoint)},
		{"stops and continues", fmt.Sprintf("%d (%d of them longer than a master waits)", c.Stops, c.LongStops)},
		{"faults of the network, through a proxy", fmt.Sprintf("%d (%s)", sum(c.Networks), list(c.Networks))},
		{"files of running statements that were damaged", count(c.Damaged)},
		{"kills of everything at once", count(c.PowerFailures)},
		{"right at once", count(c.Right)},
		{"right when repeated, after a retryable error", count(c.Retried)},
		{"longer than in peace: median, longest", c.delay()},
		{"wrong answers and mixed folders", count(len(c.Wrong))},
		{"errors that do not say to retry", count(len(c.Unclear))},
		{"roles that ended by themselves", count(len(c.Crashes))},
		{"files left", count(len(c.Left))},
		{"clusters or statements that did not come back", count(len(c.Refused))},
		{"took", c.Took.Round(time.Second).String()},
	}
}

func (c *Counters) delay() string {
	if len(c.delays) == 0 {
		return "-"
	}
	d := slices.Sorted(slices.Values(c.delays))
	return fmt.Sprintf("%v, %v", d[len(d)/2].Round(time.Millisecond), d[len(d)-1].Round(time.Millisecond))
}

// Print writes the counters as a table, then what was found.
func (c *Counters) Print(w io.Writer) error {
	var b strings.Builder
	for _, row := range c.rows() {
		fmt.Fprintf(&b, "%-52s %s\n", row[0], row[1])
	}
	for _, d := range c.Defects() {
		fmt.Fprintf(&b, "DEFECT %s\n", d)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Markdown is the page that docs/reliability.md holds.
func (c *Counters) Markdown() string {
	var b strings.Builder
	b.WriteString("# Reliability, as counted\n\n`make verify KILLS=n SEED=n DOCUMENT=docs/reliability.md` writes this page: what it counted " +
		"while it killed, stopped and restarted the\nprocesses of real clusters under TPC-H queries and a job that overwrites a partitioned table.\n" +
		"How it works is told by the package bench/verify.\n\n| counted | |\n|---|---|\n")
	for _, row := range c.rows() {
		fmt.Fprintf(&b, "| %s | %s |\n", row[0], row[1])
	}
	b.WriteString("\nErrors that statements ended with before they were repeated:\n\n")
	if len(c.Errors) == 0 {
		b.WriteString("none.\n")
	}
	for _, text := range slices.Sorted(maps.Keys(c.Errors)) {
		fmt.Fprintf(&b, "- %d times `%s`\n", c.Errors[text], strings.ReplaceAll(text, "`", "'"))
	}
	b.WriteString(scenarioPage())
	return b.String()
}

// measured is the part of a page that is written by hand, which comes last.
func measured(page string) string {
	const title = "\n## Measured\n"
	if _, text, ok := strings.Cut(page, title); ok {
		return title + text
	}
	return ""
}

// scenarioPage is the part of the page that tells what scenarios show.
func scenarioPage() string {
	var b strings.Builder
	b.WriteString("\n## Shown at a known moment\n\n`make verify SCENARIO=name,...` holds jobs by a failpoint, does this to a cluster, prints attempts " +
		"and times, and fails when it is not so.\n`make verify-scenarios` plays all but the long ones.\n\n| scenario | shows |\n|---|---|\n")
	for _, s := range Scenarios() {
		long := ""
		if s.Long {
			long = " (long)"
		}
		fmt.Fprintf(&b, "| `%s`%s | %s |\n", s.Name, long, s.Shows)
	}
	return b.String()
}
