package expr

import (
	"bytes"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
)

// textListKernel makes an array of texts; parts adds those of one row.
func textListKernel(t datatype.Type, parts func(a *arguments, r int32, add func([]byte)) error) kernel {
	return func(k *call) error {
		lists := array.NewBuilder(k.mem, t.Arrow()).(*array.ListBuilder)
		defer lists.Release()
		texts := lists.ValueBuilder().(*array.StringBuilder)
		a, next, total := k.arguments(), int32(0), 0
		add := func(p []byte) {
			if total += len(p); total <= k.textLimit {
				texts.BinaryBuilder.Append(p)
			}
		}
		for _, r := range k.rows() {
			for ; next < r; next++ {
				lists.AppendNull()
			}
			next++
			lists.Append(true)
			if err := parts(a, r, add); err != nil {
				return err
			}
			if err := k.checkText(total); err != nil {
				return err
			}
		}
		for ; int(next) < k.n; next++ {
			lists.AppendNull()
		}
		k.setNested(lists.NewArray())
		return nil
	}
}

// split cuts a text at a delimiter; an empty one cuts between characters.
func split(a *arguments, r int32, add func([]byte)) error {
	for part := range bytes.SplitSeq(a.s(0, r), a.s(1, r)) {
		add(part)
	}
	return nil
}

// elt chooses among texts by a position from 1; only the chosen one counts.
func elt(b []byte, a *arguments, r int32) ([]byte, bool) {
	if a.isNull(0, r) {
		return b, false
	}
	at := a.n(0, r)
	if at < 1 || at >= int64(a.count()) || a.isNull(int(at), r) {
		return b, false
	}
	return append(b, a.s(int(at), r)...), true
}

// urlEncode is Java's form encoding, which leaves * alone and not ~.
func urlEncode(b, s []byte) []byte {
	text := url.QueryEscape(string(s))
	return append(b, strings.NewReplacer("%2A", "*", "~", "%7E").Replace(text)...)
}

func urlDecode(b []byte, a *arguments, r int32) ([]byte, bool) {
	s, err := url.QueryUnescape(string(a.s(0, r)))
	if err != nil || !utf8.ValidString(s) {
		return b, false
	}
	return append(b, s...), true
}

// bounded refuses results of REPEAT, LPAD and RPAD that are larger than maxText.
func bounded(name string, of kernel) kernel {
	return func(k *call) error {
		a := k.arguments()
		for _, r := range k.rows() {
			size := a.n(1, r)
			if each := int64(len(a.s(0, r))); name == "REPEAT" {
				if each == 0 || size <= 0 {
					continue
				}
				size = min(size, maxText+1) * each
			}
			if size > min(maxText, int64(k.textLimit)) {
				return tooLong(name)
			}
		}
		return of(k)
	}
}

// tooLong is the error of a function whose result for one row is larger than maxText.
func tooLong(name string) error {
	return failure.Errorf(failure.UserCode, "%s: the result exceeds %d MiB", name, maxText>>20)
}
