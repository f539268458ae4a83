package storage

import (
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
	tableIDKey   = "tidemill.table.id"
	tableNameKey = "tidemill.table.name"
	tableKeysKey = "tidemill.table.keys"
	typeKey      = "tidemill.type"
)

// encodeChunk writes rows, whose columns are the namespace, the table's keys and
// its values, so that they describe themselves.
func encodeChunk(to io.Writer, t state.TableSpec, rows arrow.RecordBatch) error {
	columns := append(append(datatype.Schema{}, t.Keys...), t.Values...)
	fields := append([]arrow.Field(nil), rows.Schema().Fields()...)
	if len(fields) != len(columns)+1 {
		return fmt.Errorf("state table %s: %d columns in a snapshot of %d", t.Name, len(fields), len(columns)+1)
	}
	for i, c := range columns {
		fields[i+1].Name = c.Name
		fields[i+1].Metadata = arrow.MetadataFrom(map[string]string{typeKey: c.Type.String()})
	}
	metadata := arrow.MetadataFrom(map[string]string{
		tableIDKey: strconv.Itoa(int(t.ID)), tableNameKey: t.Name, tableKeysKey: strconv.Itoa(len(t.Keys)),
	})
	schema := arrow.NewSchema(fields, &metadata)
	described := array.NewRecordBatch(schema, rows.Columns(), rows.NumRows())
	defer described.Release()
	w := ipc.NewWriter(to, ipc.WithSchema(schema))
	if err := w.Write(described); err != nil {
		return fmt.Errorf("encode state table %s: %w", t.Name, err)
	}
	return w.Close()
}

// tableOf reads the table's spec back.
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
