package datastream

import (
	"errors"
	"strings"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator/process"
)

// Options are those of a job.
type Options struct {
	Name string // for people; empty: "program"
	// Parallelism of every operator; zero: parallelism.default of the settings, or what
	// the scheduler decides.
	Parallelism int
	// Settings are those of the job, by their keys (core/config), such as
	// execution.checkpointing.interval.
	Settings map[string]string
}

// Env collects the streams of a job. One goroutine builds it; afterwards it is only read.
type Env struct {
	options    Options
	nodes      []*node
	functions  map[string]func() process.Function
	connectors map[string]connector.Connector
	errs       []error
	print      string // the fingerprint, once the job is sealed
}

// New returns an Env without streams.
func New(o Options) *Env {
	if o.Name == "" {
		o.Name = "program"
	}
	return &Env{options: o, functions: map[string]func() process.Function{}, connectors: map[string]connector.Connector{}}
}

// Configure changes the options before the job is submitted: name and parallelism where they
// are given, and these settings.
func (e *Env) Configure(o Options) {
	if o.Name != "" {
		e.options.Name = o.Name
	}
	if o.Parallelism > 0 {
		e.options.Parallelism = o.Parallelism
	}
	settings := map[string]string{}
	for _, m := range []map[string]string{e.options.Settings, o.Settings} {
		for k, v := range m {
			settings[k] = v
		}
	}
	e.options.Settings = settings
}

// fail notes what is wrong with the job, for Graph to tell.
func (e *Env) fail(uid string, err error) {
	e.errs = append(e.errs, failure.Errorf(failure.Usage, "%s: %w", uid, err))
}

// node is an operator to be.
type node struct {
	uid      string
	name     string // for people
	inputs   []edge
	output   datatype.Schema // none: a sink
	operator func(e *Env) *jobgraph.Operator
	sides    []side
	source   *source // nil: it is none
	readers  int     // of the main output and of sides
}

// edge is what a node reads.
type edge struct {
	from *node
	side int
	how  jobgraph.Distribution
	keys []uint32
}

// side is an output beside the main one.
type side struct {
	name   string
	schema datatype.Schema
}

// add takes a node into the job.
func (e *Env) add(n *node) *node {
	switch {
	case n.uid == "" || strings.ContainsAny(n.uid, "#\n"):
		e.fail(n.name, errors.New("it needs a uid, without #: what its state and its function are found by"))
	default:
		for _, other := range e.nodes {
			if other.uid == n.uid {
				e.fail(n.uid, errors.New("two operators have this uid"))
			}
		}
	}
	for _, in := range n.inputs {
		in.from.readers++
	}
	e.nodes = append(e.nodes, n)
	return n
}

// function takes a node that runs one.
func (e *Env) function(n *node, keys []uint32, made func() process.Function) *node {
	e.functions[n.uid] = made
	n.operator = func(e *Env) *jobgraph.Operator {
		p := &jobgraph.Process{Function: e.stamped(n.uid), Keys: keys}
		op := &jobgraph.Operator{Spec: &jobgraph.Operator_Process{Process: p}}
		for _, s := range n.sides {
			op.Sides = append(op.Sides, &jobgraph.SideOutput{Name: s.name, Schema: fields(s.schema)})
		}
		return op
	}
	return e.add(n)
}

// stamped is a name with the fingerprint of the job.
func (e *Env) stamped(uid string) string { return uid + "#" + e.print }

// find splits a stamped name and refuses the one of another job.
func (e *Env) find(kind, name string, known func(uid string) bool) (string, error) {
	uid, print, _ := strings.Cut(name, "#")
	switch {
	case !known(uid):
		return "", failure.Errorf(failure.NotFound, "this program has no %s %q: the job was submitted by another one", kind, uid)
	case print != e.print:
		return "", failure.Errorf(failure.Conflict,
			"%s %q is of a job with the fingerprint %s, this program builds %s: run the same version of the program everywhere", kind, uid, print, e.print)
	}
	return uid, nil
}

// Functions finds the functions of the job, which is sealed: nothing can be added to it.
func (e *Env) Functions() (process.Functions, error) {
	if err := e.seal(); err != nil {
		return nil, err
	}
	return func(name string) (func() process.Function, error) {
		uid, err := e.find("function", name, func(uid string) bool { return e.functions[uid] != nil })
		if err != nil {
			return nil, err
		}
		return e.functions[uid], nil
	}, nil
}

// connectorPrefix begins the names of connectors that belong to the program.
const connectorPrefix = "program:"

// Connectors finds the program's own sources and sinks, and any other by others.
func (e *Env) Connectors(others func(name string) (connector.Connector, error)) func(name string) (connector.Connector, error) {
	return func(name string) (connector.Connector, error) {
		own, ok := strings.CutPrefix(name, connectorPrefix)
		if !ok {
			return others(name)
		}
		uid, err := e.find("connector", own, func(uid string) bool { return e.connectors[uid] != nil })
		if err != nil {
			return nil, err
		}
		return e.connectors[uid], nil
	}
}

// fields are columns as a job graph has them.
func fields(s datatype.Schema) []*jobgraph.Field {
	out := make([]*jobgraph.Field, len(s))
	for i, f := range s {
		out[i] = &jobgraph.Field{Name: f.Name, Type: f.Type.String()}
	}
	return out
}
