package nexmark

import (
	"context"
	"strings"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/predicate"
)

// Connector generates events. The zero value is ready to use.
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
func (Connector) Describe(_ context.Context, t connector.Table, pred *predicate.Predicate) (connector.Description, error) {
	o, err := parse(t)
	if err != nil {
		return connector.Description{}, err
	}
	d := connector.Description{Schema: t.Schema, Bounded: o.num > 0, Rows: -1, Bytes: -1, NarrowRows: true}
	if len(d.Schema) == 0 {
		d.Schema = Schema()
	}
	if d.Bounded {
		d.Rows = o.num * o.share(wanted(pred)) / o.total
	}
	return d, nil
}

// Enumerator implements connector.Connector.
func (Connector) Enumerator(_ context.Context, s connector.SourceSpec, restored []byte) (connector.Enumerator, error) {
	o, err := parse(s.Table)
	if err != nil {
		return nil, err
	}
	return newEnumerator(o, s, restored)
}

// Reader implements connector.Connector.
func (Connector) Reader(_ context.Context, s connector.SourceSpec, env connector.ReaderEnv) (connector.Reader, error) {
	o, err := parse(s.Table)
	if err != nil {
		return nil, err
	}
	return newReader(o, s, env)
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

// Schema is the schema of a table whose DDL names no columns.
func Schema() datatype.Schema {
	number, text := datatype.Of(datatype.BigInt), datatype.Of(datatype.Varchar)
	at := datatype.Of(datatype.Timestamp).WithPrecision(3)
	row := func(fields string) datatype.Type {
		var out []datatype.Field
		for _, name := range strings.Fields(fields) {
			t := text
			switch name {
			case "dateTime", "expires":
				t = at
			case "id", "initialBid", "reserve", "seller", "category", "auction", "bidder", "price":
				t = number
			}
			out = append(out, datatype.Field{Name: name, Type: t})
		}
		return datatype.RowOf(out...)
	}
	return datatype.Schema{
		{Name: "event_type", Type: datatype.Of(datatype.Int)},
		{Name: "person", Type: row("id name emailAddress creditCard city state dateTime extra")},
		{Name: "auction", Type: row("id itemName description initialBid reserve dateTime expires seller category extra")},
		{Name: "bid", Type: row("auction bidder price channel url dateTime extra")},
	}
}

// checkSchema reports a column, or a field of one, that no event has.
func checkSchema(s datatype.Schema) error {
	for _, c := range s {
		if err := known(Schema(), c, "column"); err != nil {
			return err
		}
	}
	return nil
}

func known(all datatype.Schema, c datatype.Field, what string) error {
	at := all.Index(c.Name)
	if at < 0 {
		return failure.Errorf(failure.InvalidSQL, "there is no %s %s: there are %s", what, c.Name, strings.Join(all.Names(), ", "))
	}
	t := all[at].Type
	if t.Kind != datatype.Row || c.Type.Kind != datatype.Row {
		if !t.Same(c.Type) {
			return failure.Errorf(failure.InvalidSQL, "%s %s: the type must be %s, not %s", what, c.Name, t, c.Type)
		}
		return nil
	}
	if !c.Type.Nullable {
		return failure.Errorf(failure.InvalidSQL, "%s %s is null in events of other kinds: it cannot be NOT NULL", what, c.Name)
	}
	for _, f := range c.Type.Fields {
		if err := known(t.Fields, f, "field"); err != nil {
			return failure.Errorf(failure.InvalidSQL, "column %s: %w", c.Name, err)
		}
	}
	return nil
}
