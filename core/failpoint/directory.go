package failpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Action is what a point does when it fires.
type Action uint8

// The actions.
const (
	None  Action = iota // the point is not armed, or passes this time
	Kill                // ends the process
	Error               // returns a transient error
	Delay               // goes on a second later
	Hold                // goes on when the point is disarmed, as all who come there
)

func (a Action) String() string {
	switch a {
	case None:
		return "none"
	case Kill:
		return "kill"
	case Error:
		return "error"
	case Delay:
		return "delay"
	case Hold:
		return "hold"
	default:
		return "action " + strconv.Itoa(int(a))
	}
}

// Directory is where points are armed. Many processes may use one at a time.
type Directory struct {
	dir string
}

// Open returns the directory of that name, which must exist when it is used.
func Open(dir string) *Directory { return &Directory{dir: dir} }

// Arm has a point fire at the nth hit from now on, in whichever process that is. A
// point that is armed already is armed anew.
func (d *Directory) Arm(name string, a Action, n int) error {
	whole, part := filepath.Join(d.dir, name), filepath.Join(d.dir, fmt.Sprintf("%s.arming-%d", name, os.Getpid()))
	if err := os.WriteFile(part, fmt.Appendf(nil, "%s:%d", a, n), 0o600); err != nil {
		return fmt.Errorf("arm failpoint %s: %w", name, err)
	}
	if err := os.Rename(part, whole); err != nil {
		return fmt.Errorf("arm failpoint %s: %w", name, err)
	}
	return nil
}

// Disarm takes back what Arm said. A point that has fired, or is not armed, stays as
// it is.
func (d *Directory) Disarm(name string) error {
	if err := os.Remove(filepath.Join(d.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("disarm failpoint %s: %w", name, err)
	}
	return nil
}

// Fired is a point that has fired.
type Fired struct {
	Name string
	PID  int
}

// Fired returns the points that have fired since it was called last, and forgets them.
func (d *Directory) Fired() ([]Fired, error) {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, fmt.Errorf("list failpoints that have fired: %w", err)
	}
	var all []Fired
	for _, e := range entries {
		name, pid, ok := strings.Cut(e.Name(), firedMark)
		if !ok {
			continue
		}
		n, err := strconv.Atoi(pid)
		if err != nil {
			return nil, fmt.Errorf("failpoint file %s: %w", e.Name(), err)
		}
		if err := os.Remove(filepath.Join(d.dir, e.Name())); err != nil {
			return nil, fmt.Errorf("forget failpoint %s: %w", name, err)
		}
		all = append(all, Fired{Name: name, PID: n})
	}
	return all, nil
}

// Hits counts the hits of each point so far.
func (d *Directory) Hits() (map[string]int, error) {
	counts := map[string]int{}
	return counts, d.eachHit(func(name, _ string) { counts[name]++ })
}

// HitsBy counts the hits of a point so far by the process that made them.
func (d *Directory) HitsBy(name string) (map[int]int, error) {
	counts := map[int]int{}
	return counts, d.eachHit(func(n, process string) {
		if pid, err := strconv.Atoi(process); n == name && err == nil {
			counts[pid]++
		}
	})
}

func (d *Directory) eachHit(see func(name, process string)) error {
	text, err := os.ReadFile(filepath.Join(d.dir, HitsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read hits of failpoints: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if name, process, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok {
			see(name, process)
		}
	}
	return nil
}

// Reach notes that this process has reached a point, and returns what is to happen.
// An error tells that the point could not be noted or is armed with nonsense.
func (d *Directory) Reach(name string) (Action, error) {
	if err := d.note(name); err != nil {
		return None, err
	}
	if held, err := d.Held(name); err != nil || held {
		return Hold, err
	}
	// The rename decides who of several has the point.
	pid := strconv.Itoa(os.Getpid())
	claim := filepath.Join(d.dir, name+".claim-"+pid)
	if err := os.Rename(filepath.Join(d.dir, name), claim); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return None, nil
		}
		return None, fmt.Errorf("failpoint %s: %w", name, err)
	}
	text, err := os.ReadFile(claim)
	if err != nil {
		return None, fmt.Errorf("failpoint %s: %w", name, err)
	}
	action, n, err := parse(string(text))
	if err != nil {
		return None, fmt.Errorf("failpoint %s: %w", name, err)
	}
	if n > 1 {
		if err := os.Remove(claim); err != nil {
			return None, fmt.Errorf("failpoint %s: %w", name, err)
		}
		return None, d.Arm(name, action, n-1)
	}
	return action, os.Rename(claim, filepath.Join(d.dir, name+firedMark+pid))
}

// Held tells whether a point is armed with Hold.
func (d *Directory) Held(name string) (bool, error) {
	text, err := os.ReadFile(filepath.Join(d.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("failpoint %s: %w", name, err)
	}
	return strings.HasPrefix(string(text), Hold.String()), nil
}

func (d *Directory) note(name string) error {
	f, err := os.OpenFile(filepath.Join(d.dir, HitsFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("note failpoint %s: %w", name, err)
	}
	_, err = fmt.Fprintf(f, "%s %d\n", name, os.Getpid())
	return errors.Join(err, f.Close())
}

func parse(text string) (Action, int, error) {
	word, count, counted := strings.Cut(strings.TrimSpace(text), ":")
	n := 1
	if counted {
		var err error
		if n, err = strconv.Atoi(count); err != nil || n < 1 {
			return None, 0, fmt.Errorf("%q: want a count of 1 or more after the colon", text)
		}
	}
	for _, a := range []Action{Kill, Error, Delay, Hold} {
		if a.String() == word {
			return a, n, nil
		}
	}
	return None, 0, fmt.Errorf("%q: want kill, error, delay or hold", text)
}
