package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"math"
	"path/filepath"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/parquet"
	"github.com/tidemill/tidemill/fs/local"
)

// inOrder returns an error unless path is, or is the directory of, exactly one
// Parquet file whose rows ascend by the named columns of whole numbers and dates.
func inOrder(ctx context.Context, path string, columns []string) (err error) {
	file, err := onlyFile(path)
	if err != nil {
		return err
	}
	disk, err := local.New(local.Options{})
	if err != nil {
		return err
	}
	f, err := disk.Open(ctx, file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	in := formats.Input{Path: file, ReaderAt: f, Size: f.Size()}
	schema, err := parquet.Format{}.Schema(ctx, in, nil)
	if err != nil {
		return err
	}
	var wanted datatype.Schema
	for _, name := range columns {
		i := schema.Index(name)
		if i < 0 {
			return fmt.Errorf("%s has no column %s", file, name)
		}
		wanted = append(wanted, schema[i])
	}
	r, err := parquet.Format{}.NewReader(ctx, in, formats.ReadOptions{Columns: wanted})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return ascends(ctx, r)
}

func onlyFile(path string) (string, error) {
	var files []string
	err := filepath.WalkDir(path, func(name string, d iofs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(name, ".parquet") {
			files = append(files, name)
		}
		return err
	})
	if err == nil && len(files) != 1 {
		err = fmt.Errorf("the sorted output is %d files, not one", len(files))
	}
	if err != nil {
		return "", err
	}
	return files[0], nil
}

// ascends reads all rows and compares each with the one before.
func ascends(ctx context.Context, r formats.Reader) error {
	var last []int64 // the row before
	var seen int64
	for {
		batch, err := r.Read(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		columns, err := wholeNumbers(batch)
		if err == nil {
			last, err = follow(last, columns, seen)
		}
		seen += batch.NumRows()
		batch.Release()
		if err != nil {
			return err
		}
	}
}

// follow returns the last row of columns, or an error that names the first row
// which is less than the one before.
func follow(last []int64, columns [][]int64, seen int64) ([]int64, error) {
	if last == nil {
		last = make([]int64, len(columns))
		for c := range columns {
			last[c] = math.MinInt64
		}
	}
	for i := range columns[0] {
		for c := range columns {
			if columns[c][i] < last[c] {
				return nil, fmt.Errorf("row %d of the sorted output comes before the row above it", seen+int64(i)+1)
			}
			if columns[c][i] > last[c] {
				break
			}
		}
		for c := range columns {
			last[c] = columns[c][i]
		}
	}
	return last, nil
}

// wholeNumbers widens the columns of a batch.
func wholeNumbers(batch arrow.RecordBatch) (columns [][]int64, err error) {
	for i, column := range batch.Columns() {
		values := make([]int64, column.Len())
		switch a := column.(type) {
		case *array.Int64:
			copy(values, a.Int64Values())
		case *array.Int32:
			for k, v := range a.Int32Values() {
				values[k] = int64(v)
			}
		case *array.Date32:
			for k, v := range a.Date32Values() {
				values[k] = int64(v)
			}
		default:
			return nil, fmt.Errorf("column %s is %s, not a whole number or date", batch.ColumnName(i), column.DataType())
		}
		columns = append(columns, values)
	}
	return columns, nil
}
