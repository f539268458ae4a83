//go:build failpoint

package failpoint

import (
	"os"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

// Enabled tells whether points are compiled in.
const Enabled = true

// delay is how long Delay delays.
const delay = time.Second

// here is what the environment says; it is read once and never changes.
var here = sync.OnceValue(func() *Directory {
	dir := os.Getenv(Variable)
	if dir == "" {
		return nil
	}
	return Open(dir)
})

// Hit says that a point is reached. It returns an error, comes back late or never
// comes back, if that is what the point is armed with. It may be called concurrently.
func Hit(name string) error {
	d := here()
	if d == nil {
		return nil
	}
	switch action, err := d.Reach(name); {
	case err != nil:
		return err
	case action == Kill:
		end()
	case action == Error:
		return failure.Errorf(failure.Transient, "failpoint %s fired", name)
	case action == Delay:
		time.Sleep(delay)
	case action == Hold:
		return d.wait(name)
	}
	return nil
}

// holdPause is the time between two looks whether a point is held still.
const holdPause = 10 * time.Millisecond

// wait returns when a point is held no more.
func (d *Directory) wait(name string) error {
	for {
		if held, err := d.Held(name); err != nil || !held {
			return err
		}
		time.Sleep(holdPause)
	}
}

// end is kill -9: no deferred call runs, no buffer is written.
func end() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		if self.Kill() == nil {
			select {}
		}
	}
	os.Exit(137)
}
