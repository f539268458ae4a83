package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/tidemill/tidemill/scheduler/rest"
)

// describeStream prints where the subtasks of a job stand that has event time, or rows that
// nobody may keep waiting.
func describeStream(w io.Writer, j rest.Job) {
	if j.Over || !slices.ContainsFunc(j.Vertices, func(v rest.Vertex) bool { return len(v.Standings) > 0 }) {
		return
	}
	fmt.Fprintln(w, "\nVERTEX\tWATERMARK\tLATE\tTOO EARLY\tBUSY\tIDLE\tBLOCKED\tSTATE\tSTATE HITS")
	for _, v := range j.Vertices {
		var busy, idle, blocked float64
		var bytes int64
		var asked, hits uint64
		for _, s := range v.Standings {
			busy, idle, blocked = max(busy, s.Busy), max(idle, s.Idle), max(blocked, s.Blocked)
			bytes, asked, hits = bytes+s.StateBytes, asked+s.StateAsked, hits+s.StateHits
		}
		rate := "-"
		if asked > 0 {
			rate = percent(float64(hits) / float64(asked))
		}
		fmt.Fprintf(w, "%d\t%s\t%d\t%d\t%s\t%s\t%s\t%d\t%s\n", v.ID, watermark(v.Watermark), v.LateRows, v.FutureRows,
			percent(busy), percent(idle), percent(blocked), bytes, rate)
	}
}

// watermark prints event time.
func watermark(millis *int64) string {
	switch {
	case millis == nil:
		return "-"
	case *millis == math.MaxInt64:
		return "end"
	}
	return time.UnixMilli(*millis).UTC().Format("2006-01-02 15:04:05.000")
}

func percent(part float64) string { return fmt.Sprintf("%.0f %%", 100*part) }

// describeCheckpoints prints a job's checkpoints in short.
func describeCheckpoints(w io.Writer, all rest.Checkpoints) {
	fmt.Fprintf(w, "checkpoints\t%d complete, %d failed", all.Completed, all.Failed)
	if i := slices.IndexFunc(all.Checkpoints, func(c rest.Checkpoint) bool { return c.State == "COMPLETED" }); i >= 0 {
		c := all.Checkpoints[i]
		fmt.Fprintf(w, "; the last, %s %d at %s, took %s, wrote %d of %d bytes", c.Kind, c.Number, clock(c.Ended), span(c.Seconds), c.Wrote, c.Bytes)
	}
	fmt.Fprintln(w)
	if all.RestoredFrom != "" {
		fmt.Fprintf(w, "restored from\t%s\n", all.RestoredFrom)
	}
}
