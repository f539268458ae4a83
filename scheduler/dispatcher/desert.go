package dispatcher

import (
	"time"

	"github.com/tidemill/tidemill/core/id"
)

// ClientTimeout is how long nobody may ask for news of a query's job before it is cancelled:
// its client is gone without a word, and nobody will read what it makes. Clients ask again as
// soon as they have an answer, which takes PollTimeout at most.
const ClientTimeout = 60 * time.Second

// ask notes that somebody waits for news of a job, until leave is called.
func (d *Dispatcher) ask(j *job) (leave func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	j.askers++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		j.askers--
		j.asked = time.Now()
	}
}

// watchClients cancels the jobs of queries whose clients are gone.
func (d *Dispatcher) watchClients() {
	d.every(ClientTimeout/4, func() {
		for _, j := range d.deserted() {
			d.opts.Log.Warn("a query is cancelled: its client is gone", "job", j, "after", ClientTimeout)
			if err := d.Cancel(d.root, j); err != nil {
				d.opts.Log.Warn("a query without a client was not cancelled", "job", j, "error", err)
			}
		}
	})
}

// deserted are the jobs of queries that nobody has asked for in ClientTimeout of this
// leadership.
func (d *Dispatcher) deserted() (all []id.Job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, j := range d.jobs {
		if j.rec.Result && !j.rec.Cancelled && j.phase != over && j.askers == 0 && time.Since(j.asked) >= ClientTimeout {
			all = append(all, j.id)
		}
	}
	return all
}
