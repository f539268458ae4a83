package joblog

import (
	"cmp"
	"container/list"
	"log/slog"
	"sync"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
)

// Options bound a Ring.
type Options struct {
	// Node names the process in its lines.
	Node string
	// Level is the lowest that is kept; the zero value is Info.
	Level slog.Level
	// Jobs is how many jobs have lines; zero means 256.
	Jobs int
	// Lines is how many a job has; zero means 1,000.
	Lines int
	// Bytes is how much text a job has; zero means 256 KiB. A longer line is cut.
	Bytes int
}

func (o Options) complete() Options {
	o.Jobs = cmp.Or(o.Jobs, 256)
	o.Lines = cmp.Or(o.Lines, 1000)
	o.Bytes = cmp.Or(o.Bytes, 256<<10)
	return o
}

// Ring keeps lines. All methods may be called concurrently.
type Ring struct {
	opts Options

	mu    sync.Mutex
	jobs  map[id.Job]*list.Element // of recent
	order *list.List               // of *job, the one that spoke last in front
}

type job struct {
	id    id.Job
	lines []*rpc.LogLine // oldest first
	bytes int
}

// New returns a ring without lines.
func New(o Options) *Ring {
	return &Ring{opts: o.complete(), jobs: map[id.Job]*list.Element{}, order: list.New()}
}

// Add keeps a line about a job. The line is the ring's from then on.
func (r *Ring) Add(about id.Job, line *rpc.LogLine) {
	if len(line.Text) > r.opts.Bytes {
		line.Text = line.Text[:r.opts.Bytes]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.jobs[about]
	if at == nil {
		at = r.order.PushFront(&job{id: about})
		r.jobs[about] = at
		if len(r.jobs) > r.opts.Jobs {
			oldest := r.order.Back()
			r.order.Remove(oldest)
			delete(r.jobs, oldest.Value.(*job).id)
		}
	}
	r.order.MoveToFront(at)
	j := at.Value.(*job)
	j.lines = append(j.lines, line)
	j.bytes += len(line.Text)
	for len(j.lines) > r.opts.Lines || j.bytes > r.opts.Bytes {
		j.bytes -= len(j.lines[0].Text)
		j.lines[0] = nil
		j.lines = j.lines[1:]
	}
}

// Lines returns the newest lines about a job, oldest first; most 0: 1,000. They are
// not to be changed.
func (r *Ring) Lines(about id.Job, most int) []*rpc.LogLine {
	most = cmp.Or(most, 1000)
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.jobs[about]
	if at == nil || most < 0 {
		return nil
	}
	lines := at.Value.(*job).lines
	return append([]*rpc.LogLine(nil), lines[max(0, len(lines)-most):]...)
}
