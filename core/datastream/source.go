package datastream

import (
	"context"
	"fmt"
	"maps"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
)

// Table is a table of a connector, as the WITH clause of CREATE TABLE describes it.
type Table struct {
	Name    string            // for messages; empty: the uid
	Options map[string]string // 'connector' included, unless Connector is set
	// Connector is one of the program's own; nil: that of the options.
	Connector connector.Connector
	// Columns are those of the table, as in CREATE TABLE; empty: those of the stream.
	Columns datatype.Schema
	// Partitions are the partition columns.
	Partitions []string
}

// source is what a graph is told of a source when it is made.
type source struct {
	table  connector.Table
	stream datatype.Schema
}

// describe asks the connector about the table.
func (s *source) describe(ctx context.Context, spec *jobgraph.Source, connectors func(string) (connector.Connector, error)) error {
	c, err := connectors(spec.Connector)
	if err != nil {
		return err
	}
	d, err := c.Describe(ctx, s.table, nil)
	if err != nil {
		return err
	}
	if len(d.Schema) == 0 {
		d.Schema = s.table.Schema
	}
	for _, f := range s.stream {
		i := d.Schema.Index(f.Name)
		if i < 0 {
			return failure.Errorf(failure.Usage, "table %s has no column %s: it has %s", s.table.Name, f.Name, d.Schema)
		}
		if have := d.Schema[i].Type; !have.Same(f.Type) || have.Nullable && !f.Type.Nullable {
			return failure.Errorf(failure.Usage, "column %s of table %s is %s, the field is %s", f.Name, s.table.Name, have, f.Type)
		}
	}
	spec.Bounded, spec.TableColumns = d.Bounded, fields(d.Schema)
	return nil
}

// connectorOf is the name of a table's connector, and its options.
func (e *Env) connectorOf(uid string, t Table) (name func(*Env) string, options map[string]string) {
	if t.Connector != nil {
		e.connectors[uid] = t.Connector
		return func(e *Env) string { return connectorPrefix + e.stamped(uid) }, t.Options
	}
	if t.Options["connector"] == "" {
		e.fail(uid, fmt.Errorf("the table has no option 'connector'"))
	}
	return func(*Env) string { return t.Options["connector"] }, t.Options
}

// From reads a table: of its columns those that T has.
func From[T any](e *Env, uid string, t Table) *Stream[T] {
	codec := codecOf[T](e, uid)
	if t.Name == "" {
		t.Name = uid
	}
	if len(t.Columns) == 0 {
		t.Columns = codec.Schema()
	}
	name, options := e.connectorOf(uid, t)
	s := &source{stream: codec.Schema(), table: connector.Table{Name: t.Name, Options: options, Schema: t.Columns, Partitions: t.Partitions}}
	n := e.add(&node{uid: uid, name: "Source", output: codec.Schema(), source: s, operator: func(e *Env) *jobgraph.Operator {
		return &jobgraph.Operator{Spec: &jobgraph.Operator_Source{Source: &jobgraph.Source{
			Connector: name(e), Table: t.Name, Options: maps.Clone(options), Columns: fields(codec.Schema()), PartitionColumns: t.Partitions,
		}}}
	}})
	return &Stream[T]{env: e, node: n, codec: codec}
}

// To writes a stream to a table. Where the connector commits in two phases, as the file
// system does, each row is there once, whatever fails.
func To[T any](s *Stream[T], uid string, t Table) {
	if t.Name == "" {
		t.Name = uid
	}
	name, options := s.env.connectorOf(uid, t)
	s.env.add(&node{uid: uid, name: "Sink", inputs: []edge{s.forward()}, operator: func(e *Env) *jobgraph.Operator {
		return &jobgraph.Operator{Spec: &jobgraph.Operator_Sink{Sink: &jobgraph.Sink{
			Connector: name(e), Table: t.Name, Options: maps.Clone(options), Columns: fields(s.codec.Schema()), PartitionColumns: t.Partitions,
		}}}
	}})
}
