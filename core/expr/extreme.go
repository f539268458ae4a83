package expr

import (
	"bytes"

	"github.com/tidemill/tidemill/core/datatype"
)

// extremeKernel is GREATEST and LEAST: null if any argument is.
func extremeKernel(x *Call) kernel {
	wanted := 1
	if x.Function == "LEAST" {
		wanted = -1
	}
	switch l := layoutOf(x.T); {
	case l == textLayout:
		return extremeText(wanted)
	case x.T.Kind == datatype.Decimal:
		return extremeDecimal(wanted, x.T)
	case l >= int8Layout && l <= int64Layout:
		return extremeInteger(wanted)
	case l == float32Layout || l == float64Layout:
		return extremeFloat(wanted)
	case l == boolLayout:
		return boolOf(func(a *arguments, r int32) bool {
			found := a.vectors[0].truth(int(r))
			for _, v := range a.vectors[1:] {
				if y := v.truth(int(r)); y == (wanted > 0) {
					found = y
				}
			}
			return found
		})
	default:
		return nil
	}
}

func extremeText(wanted int) kernel {
	return textOf(func(b []byte, a *arguments, r int32) ([]byte, bool) {
		found := a.s(0, r)
		for i := 1; i < a.count(); i++ {
			if bytes.Compare(a.s(i, r), found)*wanted > 0 {
				found = a.s(i, r)
			}
		}
		return append(b, found...), true
	})
}

func extremeInteger(wanted int) kernel {
	return integerOf(func(a *arguments, r int32) int64 {
		found := a.n(0, r)
		for i := 1; i < a.count(); i++ {
			if y := a.n(i, r); y > found == (wanted > 0) {
				found = y
			}
		}
		return found
	})
}

func extremeFloat(wanted int) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		a, out := k.arguments(), k.out.writer()
		for _, r := range k.rows() {
			found := a.f(0, r)
			for i := 1; i < a.count(); i++ {
				if y := a.f(i, r); y != y || y > found == (wanted > 0) && y != found {
					found = y
				}
			}
			out.putFloat(r, found)
		}
		return nil
	}
}

func extremeDecimal(wanted int, t datatype.Type) kernel {
	return func(k *call) error {
		out := k.decimalOut(t)
		in := make([]decimals, len(k.args))
		for i, v := range k.args {
			in[i] = v.decimals()
		}
		for _, r := range k.rows() {
			found := in[0].at(r)
			for i := 1; i < len(in); i++ {
				if y := in[i].at(r); y.Cmp(found)*wanted > 0 {
					found = y
				}
			}
			out.put(r, found, true)
		}
		return nil
	}
}
