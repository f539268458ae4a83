package datagen

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/predicate"
)

// Connector generates rows. The zero value is ready to use.
type Connector struct{}

var (
	_ connector.Connector     = Connector{}
	_ connector.OptionChecker = Connector{}
)

// Name implements connector.Connector.
func (Connector) Name() string { return Name }

// CheckOptions implements connector.OptionChecker.
func (Connector) CheckOptions(t connector.Table) error {
	_, err := parse(t)
	return err
}

// Describe implements connector.Connector.
func (Connector) Describe(_ context.Context, t connector.Table, _ *predicate.Predicate) (connector.Description, error) {
	opts, err := parse(t)
	if err != nil {
		return connector.Description{}, err
	}
	return connector.Description{Schema: t.Schema, Bounded: opts.rows >= 0, Rows: opts.rows, Bytes: -1}, nil
}

// Enumerator implements connector.Connector.
func (Connector) Enumerator(_ context.Context, s connector.SourceSpec, restored []byte) (connector.Enumerator, error) {
	if _, err := parse(s.Table); err != nil {
		return nil, err
	}
	n := max(s.Parallelism, 1)
	e := &enumerator{subtasks: n, restored: restored != nil, owners: map[string]int{}}
	if restored != nil {
		if err := json.Unmarshal(restored, &e.left); err != nil {
			return nil, failure.Errorf(failure.Fatal, "table %s: restore splits: %w", s.Table.Name, err)
		}
		return e, nil
	}
	for i := range n {
		split, err := class{First: int64(i), Step: int64(n)}.split()
		if err != nil {
			return nil, err
		}
		e.left = append(e.left, split)
	}
	return e, nil
}

// Reader implements connector.Connector.
func (Connector) Reader(_ context.Context, s connector.SourceSpec, env connector.ReaderEnv) (connector.Reader, error) {
	opts, err := parse(s.Table)
	if err != nil {
		return nil, err
	}
	return newReader(opts, s, env)
}

// Writer implements connector.Connector.
func (Connector) Writer(_ context.Context, s connector.SinkSpec, _ connector.WriterEnv) (connector.Writer, error) {
	return nil, readOnly(s)
}

// Committer implements connector.Connector.
func (Connector) Committer(_ context.Context, s connector.SinkSpec) (connector.Committer, error) {
	return nil, readOnly(s)
}

func readOnly(s connector.SinkSpec) error {
	return failure.Errorf(failure.InvalidSQL, "table %s: connector %s cannot be written to", s.Table.Name, Name)
}

// class is a split: the rows First, First+Step, First+2*Step, ...; First moves as
// rows are handed out.
type class struct{ First, Step int64 }

func (c class) split() (connector.Split, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return connector.Split{}, fmt.Errorf("encode split: %w", err)
	}
	return connector.Split{ID: fmt.Sprintf("%d mod %d", c.First%c.Step, c.Step), Data: data}, nil
}

func parseClass(s connector.Split) (class, error) {
	all, err := parseClasses(s)
	if err != nil || len(all) != 1 {
		return class{}, failure.Errorf(failure.Fatal, "decode split %s of %d classes: %w", s.ID, len(all), err)
	}
	return all[0], nil
}

// parseClasses is the inverse of split, and of together.
func parseClasses(s connector.Split) (all []class, err error) {
	if bytes.HasPrefix(s.Data, []byte("[")) {
		err = json.Unmarshal(s.Data, &all)
	} else {
		all = make([]class, 1)
		err = json.Unmarshal(s.Data, &all[0])
	}
	if err != nil || len(all) == 0 || slices.ContainsFunc(all, func(c class) bool { return c.Step < 1 || c.First < 0 }) {
		return nil, failure.Errorf(failure.Fatal, "decode split %s: %w", s.ID, err)
	}
	return all, nil
}

// together is one split of all the classes of several: who reads them has them from the
// beginning, and hands their rows out in order.
func together(splits []connector.Split) (connector.Split, error) {
	if len(splits) == 1 {
		return splits[0], nil
	}
	all, ids := make([]class, len(splits)), make([]string, len(splits))
	for i, s := range splits {
		var err error
		if all[i], err = parseClass(s); err != nil {
			return connector.Split{}, err
		}
		ids[i] = s.ID
	}
	data, err := json.Marshal(all)
	if err != nil {
		return connector.Split{}, fmt.Errorf("encode split: %w", err)
	}
	return connector.Split{ID: strings.Join(ids, ", "), Data: data}, nil
}

// halves are the two classes of every other row of c.
func (c class) halves() [2]class {
	return [2]class{{First: c.First, Step: 2 * c.Step}, {First: c.First + c.Step, Step: 2 * c.Step}}
}

// enumerator hands each class out once, and always to the same subtask. A subtask
// that is through with its own must not take another's: the class begins at
// row 0, so its event times would be far behind the watermark of what the
// subtask has read. Where a job goes on with more subtasks than there are classes, these
// are halved.
type enumerator struct {
	subtasks int
	restored bool
	left     []connector.Split
	owned    bool           // each of left has its owner
	owners   map[string]int // subtasks, by the id of the split
}

// own gives each class that is left to a subtask. They are halved only where all are here.
func (e *enumerator) own() error {
	if e.owned {
		return nil
	}
	e.owned = true
	all, err := e.all()
	if err != nil {
		return err
	}
	for e.restored && all && len(e.left) < e.subtasks {
		if err := e.halve(); err != nil {
			return err
		}
	}
	for _, s := range e.left {
		if _, known := e.owners[s.ID]; !known {
			e.owners[s.ID] = len(e.owners) % e.subtasks
		}
	}
	return nil
}

// all says whether every row is of a class that is left.
func (e *enumerator) all() (bool, error) {
	rows := 0.0
	for _, s := range e.left {
		c, err := parseClass(s)
		if err != nil {
			return false, err
		}
		rows += 1 / float64(c.Step)
	}
	return rows > 1-1e-6, nil
}

// halve replaces a class with the most rows by its halves.
func (e *enumerator) halve() error {
	widest, at := class{}, 0
	for i, s := range e.left {
		c, err := parseClass(s)
		if err != nil {
			return err
		}
		if i == 0 || c.Step < widest.Step {
			widest, at = c, i
		}
	}
	var halves []connector.Split
	for _, c := range widest.halves() {
		split, err := c.split()
		if err != nil {
			return err
		}
		halves = append(halves, split)
	}
	e.left = slices.Replace(e.left, at, at+1, halves...)
	return nil
}

// Next implements connector.Enumerator.
func (e *enumerator) Next(_ context.Context, subtask int) (connector.Split, bool, error) {
	if err := e.own(); err != nil {
		return connector.Split{}, false, err
	}
	var mine, others []connector.Split
	for _, s := range e.left {
		if e.owners[s.ID] == subtask {
			mine = append(mine, s)
		} else {
			others = append(others, s)
		}
	}
	if len(mine) == 0 {
		return connector.Split{}, false, nil
	}
	e.left = others
	split, err := together(mine)
	return split, err == nil, err
}

// Return implements connector.Enumerator.
func (e *enumerator) Return(splits []connector.Split) {
	var back []connector.Split
	for _, s := range splits {
		all, err := parseClasses(s)
		if err != nil || len(all) == 1 { // what cannot be read fails where it is read
			back = append(back, s)
			continue
		}
		for _, c := range all {
			if one, err := c.split(); err == nil {
				back = append(back, one)
			}
		}
	}
	e.left, e.owned = append(back, e.left...), false
}

// Snapshot implements connector.Enumerator.
func (e *enumerator) Snapshot() ([]byte, error) { return json.Marshal(e.left) }

// Close implements connector.Enumerator.
func (e *enumerator) Close() error { return nil }
