package cells

import (
	"encoding/binary"
	"math/bits"
)

// The quick ways of numbers and dates: they read eight digits with a few
// operations on one word, do not branch on how many there are, and leave whatever
// else a cell can hold to the parsers of single values.

const (
	eachByte = 0x0101010101010101
	zeros    = '0' * eachByte
	points   = '.' * eachByte
)

// plainRange is the text of a cell that is neither null nor escaped.
func (c Cell) plainRange() (start, end int, ok bool) {
	return int(c.Start), int(c.End), c.Kind == Plain || c.Kind == Quoted
}

// sign steps over a minus before the number data[start:end]; minus is then -1, and
// v^minus - minus is -v.
func sign(data []byte, start, end int) (from int, minus int64) {
	if start < end && data[start] == '-' {
		return start + 1, -1
	}
	return start, 0
}

// lastWord is data[start:end], one to eight bytes, with zeros in front.
func lastWord(data []byte, start, end int) (w uint64, ok bool) {
	n := uint(end - start)
	if n-1 >= 8 || end < 8 {
		return 0, false
	}
	w = binary.LittleEndian.Uint64(data[end-8 : end])
	shift := 64 - 8*n
	return w>>shift<<shift | zeros&(1<<shift-1), true
}

// eightDigits is the number that a word's bytes spell.
func eightDigits(w uint64) (v uint64, ok bool) {
	const high = 0xf0 * eachByte
	ok = w&high == zeros && (w+6*eachByte)&high == zeros
	w = (w & (0x0f * eachByte)) * (10<<8 + 1) >> 8
	w = (w & 0x00ff00ff00ff00ff) * (100<<16 + 1) >> 16
	return (w & 0x0000ffff0000ffff) * (10_000<<32 + 1) >> 32, ok
}

// quickInteger reads a number of up to 16 digits.
func quickInteger(data []byte, cell Cell) (int64, bool) {
	start, end, ok := cell.plainRange()
	if !ok {
		return 0, false
	}
	from, minus := sign(data, start, end)
	var above uint64
	if end-from > 8 {
		w, ok := lastWord(data, from, end-8)
		if !ok {
			return 0, false
		}
		if above, ok = eightDigits(w); !ok {
			return 0, false
		}
		above *= 1e8
		from = end - 8
	}
	w, ok := lastWord(data, from, end)
	v, digits := eightDigits(w)
	return int64(above+v) ^ minus - minus, ok && digits
}

// quickDecimal reads a number of up to eight bytes, a point among them, scaled by
// 10^scale; scale is at most maxQuickScale. It does not look at the precision.
func quickDecimal(data []byte, cell Cell, scale int) (int64, bool) {
	start, end, ok := cell.plainRange()
	if !ok {
		return 0, false
	}
	from, minus := sign(data, start, end)
	w, ok := lastWord(data, from, end)
	if !ok {
		return 0, false
	}
	missing := scale
	x := w ^ points
	if found := (x - eachByte) &^ x & (eachByte << 7); found != 0 { // the lowest bit is a point's
		at := bits.TrailingZeros64(found) &^ 7
		missing -= 7 - at/8
		if missing < 0 || end-from == 1 {
			return 0, false
		}
		before := uint64(1)<<at - 1
		w = w&^(before<<8|0xff) | w&before<<8 | '0'
	}
	v, ok := eightDigits(w)
	return int64(v)*pow10[missing] ^ minus - minus, ok
}

// maxQuickScale keeps eight digits with zeros behind them within an int64.
const maxQuickScale = 10

// quickDate reads yyyy-mm-dd.
func quickDate(data []byte, cell Cell) (int32, bool) {
	start, end, ok := cell.plainRange()
	if !ok || end-start != 10 {
		return 0, false
	}
	text := data[start:end]
	const dashes, dashMask = '-'<<32 | '-'<<56, 0xff<<32 | 0xff<<56
	w := binary.LittleEndian.Uint64(text)
	if w&dashMask != dashes {
		return 0, false
	}
	// yyyy-mm- as the digits 0 0 mm yyyy: the month comes in front of the year.
	v, ok := eightDigits(w<<32 | w>>24&0xffff0000 | zeros&0xffff)
	d1, d2 := text[8]-'0', text[9]-'0'
	y, m, d := uint(v%10_000), uint(v/10_000), int32(d1)*10+int32(d2)
	if !ok || d1 > 9 || d2 > 9 || m-1 > 11 || y-firstYear >= lastYear-firstYear {
		return 0, false
	}
	at := (y-firstYear)*12 + m - 1
	first := firstDays[at]
	return first + d - 1, d >= 1 && first+d <= firstDays[at+1]
}

// Dates of these years, the last excluded, are read quickly.
const firstYear, lastYear = 1900, 2100

// firstDays are the first days of their months.
var firstDays = func() (days [(lastYear-firstYear)*12 + 1]int32) {
	for i := range days {
		days[i] = int32(daysOf(firstYear+i/12, i%12+1, 1))
	}
	return days
}()

// integers reads whole numbers of any width.
func integers[T int8 | int16 | int32 | int64](f *fixedColumn[T]) error {
	for i, cell := range f.cells {
		if v, ok := quickInteger(f.data, cell); ok && int64(T(v)) == v {
			f.values[i] = T(v)
		} else if err := f.parseCell(i, cell); err != nil {
			return err
		}
	}
	return nil
}

func decimals64(f *fixedColumn[int64]) error {
	scale, limit := f.c.Type.Scale, pow10[f.c.Type.Precision]
	if scale > maxQuickScale {
		return f.parseCells()
	}
	for i, cell := range f.cells {
		if v, ok := quickDecimal(f.data, cell, scale); ok && v < limit && v > -limit {
			f.values[i] = v
		} else if err := f.parseCell(i, cell); err != nil {
			return err
		}
	}
	return nil
}

func dates(f *fixedColumn[int32]) error {
	for i, cell := range f.cells {
		if v, ok := quickDate(f.data, cell); ok {
			f.values[i] = v
		} else if err := f.parseCell(i, cell); err != nil {
			return err
		}
	}
	return nil
}
