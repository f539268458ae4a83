package storage

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/state"
)

// Keys of the metadata in a chunk's schema.
const (
	tableKey = "tidemill.table" // since version 2
	kindKey  = "tidemill.kind"
	// Of version 1, whose chunks are all of state.PutKey:
	tableIDKey   = "tidemill.table.id"
	tableNameKey = "tidemill.table.name"
	tableKeysKey = "tidemill.table.keys"
	typeKey      = "tidemill.type"
)

// description is a table in a chunk's metadata.
type description struct {
	ID     uint16
	Name   string
	Keys   []column
	Values []column `json:",omitempty"`
	List   []column `json:",omitempty"`
	Routed int      `json:",omitempty"`
}

type column struct{ Name, Type string }

// encodeChunk writes the rows of a piece so that they describe themselves.
func encodeChunk(to io.Writer, p state.Piece) error {
	t := p.Table
	want := state.PieceSchema(t, p.Kind)
	if want.NumFields() != int(p.Rows.NumCols()) {
		return fmt.Errorf("state table %s: %d columns in a %v of %d", t.Name, p.Rows.NumCols(), p.Kind, want.NumFields())
	}
	table, err := describe(t)
	if err != nil {
		return err
	}
	metadata := arrow.MetadataFrom(map[string]string{tableKey: string(table), kindKey: strconv.Itoa(int(p.Kind))})
	schema := arrow.NewSchema(p.Rows.Schema().Fields(), &metadata)
	described := array.NewRecordBatch(schema, p.Rows.Columns(), p.Rows.NumRows())
	defer described.Release()
	w := ipc.NewWriter(to, ipc.WithSchema(schema))
	if err := w.Write(described); err != nil {
		return fmt.Errorf("encode state table %s: %w", t.Name, err)
	}
	return w.Close()
}

// describe is a table in words that tableIn understands.
func describe(t state.TableSpec) ([]byte, error) {
	out, err := json.Marshal(description{ID: t.ID, Name: t.Name, Keys: columns(t.Keys), Values: columns(t.Values), List: columns(t.List), Routed: t.Routed})
	if err != nil {
		return nil, fmt.Errorf("describe state table %s: %w", t.Name, err)
	}
	return out, nil
}

func columns(s datatype.Schema) []column {
	out := make([]column, len(s))
	for i, f := range s {
		out[i] = column{f.Name, f.Type.String()}
	}
	return out
}

func schemaOf(all []column) (datatype.Schema, error) {
	var s datatype.Schema
	for _, c := range all {
		t, err := datatype.Parse(c.Type)
		if err != nil {
			return nil, fmt.Errorf("%w: column %s: %w", checkpoint.ErrCorrupt, c.Name, err)
		}
		s = append(s, datatype.Field{Name: c.Name, Type: t})
	}
	return s, nil
}

// pieceOf reads the table and kind of a chunk back.
func pieceOf(s *arrow.Schema) (p state.Piece, err error) {
	text, ok := s.Metadata().GetValue(tableKey)
	if !ok {
		p.Kind = state.PutKey
		p.Table, err = tableOf(s)
		return p, err
	}
	number, _ := s.Metadata().GetValue(kindKey)
	kind, err := strconv.ParseUint(number, 10, 8)
	if err != nil {
		return p, fmt.Errorf("%w: rows of kind %q", checkpoint.ErrCorrupt, number)
	}
	p.Kind = state.Kind(kind)
	p.Table, err = tableIn([]byte(text))
	return p, err
}

// tableIn is the table that describe has described.
func tableIn(text []byte) (t state.TableSpec, err error) {
	var d description
	if err := json.Unmarshal(text, &d); err != nil {
		return t, fmt.Errorf("%w: no description of the table: %w", checkpoint.ErrCorrupt, err)
	}
	t.ID, t.Name, t.Routed = d.ID, d.Name, d.Routed
	if t.Keys, err = schemaOf(d.Keys); err != nil {
		return t, err
	}
	if t.Values, err = schemaOf(d.Values); err != nil {
		return t, err
	}
	t.List, err = schemaOf(d.List)
	return t, err
}

// tableOf reads the table of a chunk of version 1.
func tableOf(s *arrow.Schema) (state.TableSpec, error) {
	get := func(m arrow.Metadata, key string) string {
		v, _ := m.GetValue(key)
		return v
	}
	tableID, idErr := strconv.ParseUint(get(s.Metadata(), tableIDKey), 10, 16)
	keys, keysErr := strconv.Atoi(get(s.Metadata(), tableKeysKey))
	if idErr != nil || keysErr != nil || keys < 0 || keys >= s.NumFields() {
		return state.TableSpec{}, fmt.Errorf("%w: no description of the table", checkpoint.ErrCorrupt)
	}
	spec := state.TableSpec{ID: uint16(tableID), Name: get(s.Metadata(), tableNameKey)}
	for i, f := range s.Fields()[1:] {
		t, err := datatype.Parse(get(f.Metadata, typeKey))
		if err != nil {
			return state.TableSpec{}, fmt.Errorf("%w: column %s: %w", checkpoint.ErrCorrupt, f.Name, err)
		}
		column := datatype.Field{Name: f.Name, Type: t}
		if i < keys {
			spec.Keys = append(spec.Keys, column)
		} else {
			spec.Values = append(spec.Values, column)
		}
	}
	return spec, nil
}
