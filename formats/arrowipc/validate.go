package arrowipc

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
)

// validate checks what arrow-go trusts a file for: buffers as long as the rows
// need, offsets that rise and stay inside, children and dictionaries that reach.
func validate(d arrow.ArrayData) error {
	n := d.Offset() + d.Len()
	if d.Len() < 0 || d.Offset() < 0 || d.NullN() > d.Len() {
		return fmt.Errorf("%d rows from %d with %d nulls", d.Len(), d.Offset(), d.NullN())
	}
	if d.Len() == 0 {
		return nil
	}
	for i, spec := range d.DataType().Layout().Buffers {
		need := 0
		switch spec.Kind {
		case arrow.KindFixedWidth:
			need = n * spec.ByteWidth
		case arrow.KindBitmap:
			need = int(bitutil.BytesForBits(int64(n)))
		}
		have := -1
		if i < len(d.Buffers()) && d.Buffers()[i] != nil {
			have = d.Buffers()[i].Len()
		}
		optional := i == 0 && d.NullN() == 0
		if have < need && !(have <= 0 && optional) {
			return fmt.Errorf("%s: buffer %d has %d bytes where %d rows need %d", d.DataType(), i, have, n, need)
		}
	}
	if err := validateInner(d, n); err != nil {
		return err
	}
	for _, child := range d.Children() {
		if err := validate(child); err != nil {
			return err
		}
	}
	return nil
}

// validateInner checks what refers to other buffers, children or a dictionary.
func validateInner(d arrow.ArrayData, n int) error {
	children := d.Children()
	switch t := d.DataType().(type) {
	case *arrow.StringType, *arrow.BinaryType:
		limit := 0
		if b := d.Buffers()[2]; b != nil {
			limit = b.Len()
		}
		return validateOffsets(d, n, limit)
	case *arrow.ListType, *arrow.MapType:
		return validateOffsets(d, n, children[0].Len())
	case *arrow.StructType:
		for _, child := range children {
			if child.Len() < n {
				return fmt.Errorf("%s: field of %d rows in %d", t, child.Len(), n)
			}
		}
	case *arrow.FixedSizeListType:
		if children[0].Len() < n*int(t.Len()) {
			return fmt.Errorf("%s: %d elements in %d rows", t, children[0].Len(), n)
		}
	case *arrow.DictionaryType:
		if err := validate(d.Dictionary()); err != nil {
			return err
		}
		return validateIndexes(d)
	}
	return nil
}

// validateOffsets checks the offsets of strings and lists, of which there must
// be one more than rows.
func validateOffsets(d arrow.ArrayData, n, limit int) error {
	b := d.Buffers()[1]
	if b == nil || b.Len() < 4*(n+1) {
		return fmt.Errorf("%s: too few offsets for %d rows", d.DataType(), n)
	}
	last := int32(0)
	for i, o := range arrow.Int32Traits.CastFromBytes(b.Bytes())[:n+1] {
		if o < last || int(o) > limit {
			return fmt.Errorf("%s: offset %d of row %d follows %d, the limit is %d", d.DataType(), o, i, last, limit)
		}
		last = o
	}
	return nil
}

func validateIndexes(d arrow.ArrayData) error {
	a, ok := array.MakeFromData(d).(*array.Dictionary)
	if !ok {
		return fmt.Errorf("%s is no dictionary", d.DataType())
	}
	defer a.Release()
	entries := d.Dictionary().Len()
	for i := range a.Len() {
		if a.IsNull(i) {
			continue
		}
		if x := a.GetValueIndex(i); x < 0 || x >= entries {
			return fmt.Errorf("dictionary index %d, the dictionary has %d entries", x, entries)
		}
	}
	return nil
}
