package parquet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
)

// TestNestedFiles reads lists, maps and rows of other writers, in pages of both
// versions, across pages and batches. The lines beside each file are what
// another reader makes of it.
func TestNestedFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/nested_*.parquet")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		for _, rows := range []int{1, 7, 0} {
			t.Run(fmt.Sprint(filepath.Base(name), rows), func(t *testing.T) {
				file, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				schema, err := Format{}.Schema(context.Background(), input(file), nil)
				if err != nil {
					t.Fatal(err)
				}
				golden, err := os.ReadFile(strings.TrimSuffix(name, ".parquet") + ".jsonl")
				if err != nil {
					t.Fatal(err)
				}
				want := strings.Split(strings.TrimSpace(string(golden)), "\n")
				got := readJSON(t, file, schema, rows)
				if len(got) != len(want) {
					t.Fatalf("%d rows instead of %d", len(got), len(want))
				}
				for i, line := range want {
					var row map[string]any
					if err := json.Unmarshal([]byte(line), &row); err != nil {
						t.Fatal(err)
					}
					if !reflect.DeepEqual(got[i], row) {
						t.Fatalf("row %d:\n got %v\nwant %v", i, got[i], row)
					}
				}
			})
		}
	}
}

func readJSON(t *testing.T, file []byte, schema datatype.Schema, rows int) (all []map[string]any) {
	t.Helper()
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	r, err := Format{}.NewReader(context.Background(), input(file), formats.ReadOptions{Columns: schema, BatchRows: rows, Alloc: alloc})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		b, err := r.Read(context.Background())
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := b.MarshalJSON()
		b.Release()
		if err != nil {
			t.Fatal(err)
		}
		var part []map[string]any
		if err := json.Unmarshal(text, &part); err != nil {
			t.Fatal(err)
		}
		all = append(all, part...)
	}
}

// TestNestedFields reads fields of a row by name: some of them, in another
// order, and one that the file lacks.
func TestNestedFields(t *testing.T) {
	file, err := os.ReadFile("testdata/nested_duckdb.parquet")
	if err != nil {
		t.Fatal(err)
	}
	row := datatype.RowOf(
		datatype.Field{Name: "c", Type: datatype.Of(datatype.Int)},
		datatype.Field{Name: "a", Type: datatype.Of(datatype.BigInt)})
	read := func(want datatype.Type, missing bool) (lines []string, err error) {
		lines, _, err = readAll(input(file), formats.ReadOptions{Columns: datatype.Schema{{Name: "r", Type: want}}, AllowMissing: missing})
		return lines, err
	}
	lines, err := read(row, true)
	if err != nil || lines[0] != "null|" || !strings.Contains(lines[1], `"a":1,"c":null`) {
		t.Errorf("%v, %v", lines, err)
	}
	for _, c := range []struct {
		want datatype.Type
		text string
	}{
		{row, "does not have field c"},
		{datatype.RowOf(datatype.Field{Name: "a", Type: datatype.Of(datatype.Varchar)}), "field a"},
		{datatype.ArrayOf(datatype.Of(datatype.Int)), "cannot be read as"},
		{datatype.RowOf(datatype.Field{Name: "b", Type: datatype.Of(datatype.Varchar).NotNull()}), "NOT NULL"},
	} {
		if _, err := read(c.want, false); failure.Of(err) != failure.BadData || !strings.Contains(err.Error(), c.text) {
			t.Errorf("as %s: %v", c.want, err)
		}
	}
}

// TestDamagedNested damages bytes all over nested files: what comes is
// rows or an error of bad data, and all memory is freed.
func TestDamagedNested(t *testing.T) {
	for _, name := range []string{"duckdb", "arrow_v1", "arrow_v2"} {
		whole, err := os.ReadFile("testdata/nested_" + name + ".parquet")
		if err != nil {
			t.Fatal(err)
		}
		schema, err := Format{}.Schema(context.Background(), input(whole), nil)
		if err != nil {
			t.Fatal(err)
		}
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		for i := 0; i < len(whole); i += 37 {
			file := bytes.Clone(whole)
			file[i] ^= byte(1 << (i % 8))
			_, _, err := readAll(input(file), formats.ReadOptions{Columns: schema, Alloc: alloc, AllowMissing: true})
			if err != nil && failure.Of(err) != failure.BadData {
				t.Fatalf("%s, byte %d: %v", name, i, err)
			}
			if err != nil && strings.Contains(err.Error(), "gave up") {
				t.Errorf("%s, byte %d: %v", name, i, err)
			}
		}
		alloc.AssertSize(t, 0)
	}
}

// TestListShapes reads the encodings of lists and maps that old writers had.
func TestListShapes(t *testing.T) {
	group := func(name string, r format.FieldRepetitionType, c deprecated.ConvertedType, children int) element {
		return element{name: name, group: true, repetition: r, converted: c, children: children}
	}
	leaf := func(name string, r format.FieldRepetitionType) element {
		return element{name: name, physical: format.Int32, repetition: r, converted: -1}
	}
	required, optional, repeated := format.Required, format.Optional, format.Repeated
	for _, c := range []struct {
		want     string
		elements []element
	}{
		{"ARRAY<INT>", []element{group("l", optional, deprecated.List, 1), group("list", repeated, -1, 1), leaf("element", optional)}},
		{"ARRAY<INT>", []element{group("l", optional, deprecated.List, 1), group("bag", repeated, -1, 1), leaf("array_element", optional)}},
		{"ARRAY<INT NOT NULL>", []element{group("l", optional, deprecated.List, 1), leaf("element", repeated)}},
		{"ARRAY<INT NOT NULL> NOT NULL", []element{leaf("l", repeated)}},
		{"ARRAY<ROW<a INT> NOT NULL>", []element{group("l", optional, deprecated.List, 1), group("array", repeated, -1, 1), leaf("a", optional)}},
		{"ARRAY<ROW<a INT> NOT NULL>", []element{group("l", optional, deprecated.List, 1), group("l_tuple", repeated, -1, 1), leaf("a", optional)}},
		{"ARRAY<ROW<a INT, b INT NOT NULL> NOT NULL>", []element{group("l", optional, deprecated.List, 1), group("element", repeated, -1, 2), leaf("a", optional), leaf("b", required)}},
		{"ARRAY<ARRAY<INT NOT NULL> NOT NULL>", []element{group("l", optional, deprecated.List, 1), group("array", repeated, deprecated.List, 1), leaf("array", repeated)}},
		{"MAP<INT NOT NULL, INT>", []element{group("m", optional, deprecated.MapKeyValue, 1), group("map", repeated, -1, 2), leaf("key", required), leaf("value", optional)}},
		{"MAP<INT NOT NULL, INT>", []element{group("m", optional, deprecated.Map, 1), group("map", repeated, deprecated.MapKeyValue, 2), leaf("key", required), leaf("value", optional)}},
		{"ROW<a ARRAY<INT NOT NULL> NOT NULL> NOT NULL", []element{group("r", required, -1, 1), leaf("a", repeated)}},
	} {
		m := &fileMetadata{elements: append([]element{group("root", required, -1, 1)}, c.elements...)}
		columns, _, err := buildColumns(m)
		if err != nil {
			t.Errorf("%s: %v", c.want, err)
		} else if have := columns[0].typ.String(); have != c.want {
			t.Errorf("have %s, want %s", have, c.want)
		}
	}
}
