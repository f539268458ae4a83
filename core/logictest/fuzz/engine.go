package fuzz

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/sql/parser"
	"github.com/tidemill/tidemill/core/stream"
)

// statementTimeout is for statements that hang.
const statementTimeout = 2 * time.Minute

// execute runs one statement here, to its end.
func execute(ctx context.Context, s client.Session, statement string) (a answer, kinds []kind, err error) {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	parsed, err := parser.ParseStatement(statement)
	if err != nil {
		return a, nil, err
	}
	result, err := s.Execute(ctx, statement, parsed)
	if err != nil {
		return a, nil, err
	}
	defer func() { err = errors.Join(err, result.Close()) }()
	schema := result.Schema()
	for _, f := range schema {
		kinds = append(kinds, kindOf(f.Type))
	}
	for {
		b, err := result.Next(ctx)
		if errors.Is(err, io.EOF) {
			a.spilled = result.Progress().SpilledBytes
			return a, kinds, nil
		}
		if err != nil {
			return answer{}, nil, err
		}
		a.rows = appendRows(a.rows, b, schema)
		b.Release()
	}
}

func appendRows(rows [][]string, b *stream.Batch, schema datatype.Schema) [][]string {
	var buffer []byte
	for n := range b.Len() {
		at := n
		if b.Sel != nil {
			at = int(b.Sel[n])
		}
		row := make([]string, len(schema))
		for i, f := range schema {
			if b.Column(i).IsNull(at) {
				row[i] = nullMark
				continue
			}
			buffer = datatype.AppendText(buffer[:0], b.Column(i), at, f.Type, nil)
			row[i] = string(buffer)
		}
		rows = append(rows, row)
	}
	return rows
}

// kindOf is how values of a type are compared.
func kindOf(t datatype.Type) kind {
	switch {
	case t.IsInteger(), t.Kind == datatype.Decimal:
		return decimal
	case t.Kind == datatype.Double, t.Kind == datatype.Float:
		return double
	case t.Kind == datatype.Boolean:
		return boolean
	case t.IsTimestamp():
		return timestamp
	default:
		return text
	}
}
