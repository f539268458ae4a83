package cells

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/datatype"
)

// checkQuick compares the quick ways with the parsers of single values: where they
// know an answer it is the same.
func checkQuick(t *testing.T, text string, scale int) {
	t.Helper()
	for _, around := range []string{"", "12345678", "--......"} {
		data := []byte(around + text + around)
		cell := Cell{Start: uint32(len(around)), End: uint32(len(around) + len(text)), Kind: Plain}
		in := data[cell.Start:cell.End]
		if got, ok := quickInteger(data, cell); ok {
			if want, ok := parseInteger(in); !ok || got != want {
				t.Fatalf("integer %q: %d, want %d, %t", in, got, want, ok)
			}
		}
		decimal := datatype.DecimalOf(18, scale)
		if got, ok := quickDecimal(data, cell, scale); ok {
			if want, ok := parseDecimal64(in, &decimal); !ok || got != want {
				t.Fatalf("decimal %q of scale %d: %d, want %d, %t", in, scale, got, want, ok)
			}
		}
		if got, ok := quickDate(data, cell); ok {
			if want, ok := parseDate(in, nil); !ok || got != want {
				t.Fatalf("date %q: %d, want %d, %t", in, got, want, ok)
			}
		}
	}
}

func FuzzQuick(f *testing.F) {
	for _, text := range []string{"", "-", ".", "-.", "5.", ".5", "1..2", "12.34", "-0", "+1", "12345678", "123456789", "1234567890123456", "2024-02-29", "2023-02-29", "1e5"} {
		f.Add(text, uint8(2))
	}
	f.Fuzz(func(t *testing.T, text string, scale uint8) { checkQuick(t, text, int(scale%(maxQuickScale+1))) })
}

func TestQuickRandomly(t *testing.T) {
	for day := range 400 * 366 {
		checkQuick(t, fmt.Sprintf("%04d-%02d-%02d", 1800+day/366, day%366/30, day%366%30+day%4), 0)
	}
	rnd := rand.New(rand.NewPCG(5, 5))
	letters := "00123456789--..:/ +e\x00\xb0\xff"
	for range 200_000 {
		var b strings.Builder
		for range rnd.IntN(19) {
			b.WriteByte(letters[rnd.IntN(len(letters)-rnd.IntN(len(letters)-9))])
		}
		checkQuick(t, b.String(), rnd.IntN(maxQuickScale+1))
	}
}

// What is usual takes the quick way, and is what it says.
func TestQuickKnows(t *testing.T) {
	quick := func(text string) ([]byte, Cell) {
		return []byte("________" + text), Cell{Start: 8, End: uint32(8 + len(text)), Kind: Quoted}
	}
	for text, want := range map[string]int64{"0": 0, "7": 7, "-12": -12, "99999999": 99999999, "123456789": 123456789, "-9999999999999999": -9999999999999999} {
		if got, ok := quickInteger(quick(text)); !ok || got != want {
			t.Errorf("%s: %d, %t", text, got, ok)
		}
	}
	for text, want := range map[string]int64{"0": 0, "1": 100, "0.1": 10, "-.25": -25, "7.": 700, "21168.23": 2116823, "-21168.2": -2116820} {
		data, cell := quick(text)
		if got, ok := quickDecimal(data, cell, 2); !ok || got != want {
			t.Errorf("%s: %d, %t", text, got, ok)
		}
	}
	for text, want := range map[string]int32{"1970-01-01": 0, "2024-02-29": 19782, "1900-01-01": -25567, "2099-12-31": 47481} {
		if got, ok := quickDate(quick(text)); !ok || got != want {
			t.Errorf("%s: %d, %t", text, got, ok)
		}
	}
}

func TestCopyShort(t *testing.T) {
	for n := range 40 {
		src := []byte(strings.Repeat("x", n) + strings.Repeat("y", n%20))
		dst := make([]byte, n+n%7)
		if got := copyShort(dst, src, n); got != n || string(dst[:n]) != strings.Repeat("x", n) {
			t.Errorf("%d: %d, %q", n, got, dst)
		}
	}
}
