package ledger

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/fs"
)

// maxFile is how large a file of the books may be.
const maxFile = 1 << 30

// readAll reads the published files of a directory.
func readAll[T any](ctx context.Context, files fs.FileSystem, dir string, parse func(fields) (T, error)) (all []T, err error) {
	var names []string
	err = files.List(ctx, dir, fs.ListOptions{Recursive: true}, func(i fs.Info) error {
		if !i.Dir && !hidden(strings.TrimPrefix(i.Path, dir)) {
			names = append(names, i.Path)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		data, err := fs.ReadFile(ctx, files, name, maxFile)
		if err == nil {
			all, err = readLines(all, data, parse)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	return all, nil
}

// hidden tells of a file, or one in a directory, that is not published.
func hidden(name string) bool { return strings.Contains(name, "/.") || strings.Contains(name, "/_") }

func readLines[T any](all []T, data []byte, parse func(fields) (T, error)) ([]T, error) {
	lines := csv.NewReader(bytes.NewReader(data))
	header, err := lines.Read()
	for err == nil {
		var line []string
		if line, err = lines.Read(); err != nil {
			break
		}
		x := fields{}
		for i, column := range header {
			x[column] = line[i]
		}
		var v T
		v, err = parse(x)
		all = append(all, v)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return all, err
}

// fields are those of a line, by the names of columns.
type fields map[string]string

func (x fields) number(column string, into *int64, err *error) {
	n, wrong := strconv.ParseInt(x[column], 10, 64)
	if wrong != nil && *err == nil {
		*err = fmt.Errorf("column %s: %w", column, wrong)
	}
	*into = n
}

func parseBooking(x fields) (b Booking, err error) {
	b.Side, b.Kind = x["side"], x["kind"]
	for column, into := range map[string]*int64{
		"account": &b.Account, "number": &b.Number, "transfer": &b.Transfer, "amount": &b.Amount, "fee": &b.Fee, "balance": &b.Balance,
		"other": &b.Other, "nth": &b.Nth, "counter": &b.Counter, "receipt": &b.Receipt,
	} {
		x.number(column, into, &err)
	}
	return b, err
}

func parseRejection(x fields) (r Rejection, err error) {
	for column, into := range map[string]*int64{"transfer": &r.Transfer, "payer": &r.Payer, "amount": &r.Amount, "balance": &r.Balance} {
		x.number(column, into, &err)
	}
	return r, err
}
