package adaptive

import (
	"fmt"
	"strings"
)

// SubtaskBytes is how much a subtask reads at least, where that is known: below it, to
// start one costs more than it saves.
const SubtaskBytes = 4 << 20

// Region decides how many subtasks each vertex of a region gets: what the plan demands;
// else as many as the vertex it is like; else what the job asks for, or, by the bytes it
// reads, as many as have enough to do; and no more than there are slots.
func Region(subject string, vertices []Vertex, r Resources) ([]int, Decision) {
	out := make([]int, len(vertices))
	effects, inputs := make([]string, len(vertices)), []string{fmt.Sprintf("slots: %d", r.Slots)}
	if r.Wanted > 0 {
		inputs = append(inputs, fmt.Sprintf("parallelism.default %d", r.Wanted))
	}
	for i, v := range vertices {
		n, why := choose(v, out, r)
		out[i] = n
		effects[i] = fmt.Sprintf("%s: %d (%s)", v.Name, out[i], why)
		if v.Bytes >= 0 && v.Fixed == 0 && v.Like < 0 {
			inputs = append(inputs, fmt.Sprintf("%s reads %s", v.Name, size(v.Bytes)))
		}
	}
	return out, Decision{
		Rule: "region parallelism", Subject: subject, Inputs: strings.Join(inputs, ", "), Effect: strings.Join(effects, ", "),
	}
}

func choose(v Vertex, chosen []int, r Resources) (n int, why string) {
	switch {
	case v.Fixed > 0:
		return v.Fixed, "given"
	case v.Like >= 0:
		return chosen[v.Like], "forward"
	case r.Wanted > 0:
		n, why = r.Wanted, "asked for"
	case v.Bytes >= 0:
		n, why = int(min((v.Bytes+SubtaskBytes-1)/SubtaskBytes, int64(r.Slots))), "by bytes"
	default:
		n, why = r.Slots, "all slots"
	}
	if n > r.Slots {
		n, why = r.Slots, "the slots there are"
	}
	if v.Most > 0 && n > v.Most {
		n, why = v.Most, "the most it can have"
	}
	return max(n, 1), why
}

// size prints bytes with three digits.
func size(n int64) string {
	const units = "KMGTP"
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n)/(1<<10), 0
	for f >= 1000 && unit < len(units)-1 {
		f, unit = f/(1<<10), unit+1
	}
	return fmt.Sprintf("%.3g %ciB", f, units[unit])
}
