package expr

import (
	"math"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
)

// arithmeticKernel chooses the loop of a numeric operator whose arguments and
// result have the layout l.
func arithmeticKernel(op string, l layout) kernel {
	switch l {
	case int8Layout:
		return integerKernel[int8](op)
	case int16Layout:
		return integerKernel[int16](op)
	case int32Layout:
		return integerKernel[int32](op)
	case int64Layout:
		return integerKernel[int64](op)
	case float32Layout:
		return floatKernel[float32](op)
	case float64Layout:
		return floatKernel[float64](op)
	default:
		return nil
	}
}

func integerKernel[T int8 | int16 | int32 | int64](op string) kernel {
	switch op {
	case "/":
		return divideIntegers[T]
	case "%":
		return moduloIntegers[T]
	default:
		return plainKernel[T](op)
	}
}

func floatKernel[T float32 | float64](op string) kernel {
	switch op {
	case "/":
		return divideFloats[T]
	case "%":
		return moduloFloats[T]
	default:
		return plainKernel[T](op)
	}
}

// plainKernel covers the operators that cannot fail: they may compute rows that
// do not count, which is cheaper than looking which do.
func plainKernel[T int8 | int16 | int32 | int64 | float32 | float64](op string) kernel {
	var loop func(out, a, b []T, aConst, bConst bool, sel []int32)
	switch op {
	case "+":
		loop = addVectors[T]
	case "-":
		loop = subVectors[T]
	case "*":
		loop = mulVectors[T]
	default:
		return nil
	}
	return func(k *call) error {
		k.allocate(k.out)
		a, b := k.args[0], k.args[1]
		sel := k.sel
		if len(sel) > k.n/4 {
			sel = nil
		}
		loop(values[T](k.out), values[T](a), values[T](b), a.constant && !b.constant, b.constant && !a.constant, sel)
		return nil
	}
}

func errDivideByZero(op string, dividend any) error {
	return failure.Errorf(failure.UserCode, "%v %s 0: division by zero", dividend, op)
}

func divideIntegers[T int8 | int16 | int32 | int64](k *call) error {
	k.allocate(k.out)
	out, a, b := values[T](k.out), values[T](k.args[0]), values[T](k.args[1])
	am, bm := k.args[0].mask(), k.args[1].mask()
	for _, r := range k.rows() {
		y := b[int(r)&bm]
		if y == 0 {
			return k.atRow(r, errDivideByZero("/", a[int(r)&am]))
		}
		out[r] = a[int(r)&am] / y
	}
	return nil
}

func moduloIntegers[T int8 | int16 | int32 | int64](k *call) error {
	k.allocate(k.out)
	out, a, b := values[T](k.out), values[T](k.args[0]), values[T](k.args[1])
	am, bm := k.args[0].mask(), k.args[1].mask()
	for _, r := range k.rows() {
		y := b[int(r)&bm]
		if y == 0 {
			return k.atRow(r, errDivideByZero("%", a[int(r)&am]))
		}
		out[r] = a[int(r)&am] % y
	}
	return nil
}

func divideFloats[T float32 | float64](k *call) error {
	k.allocate(k.out)
	out, a, b := values[T](k.out), values[T](k.args[0]), values[T](k.args[1])
	am, bm := k.args[0].mask(), k.args[1].mask()
	for i := range out {
		out[i] = a[i&am] / b[i&bm]
	}
	return nil
}

func moduloFloats[T float32 | float64](k *call) error {
	k.allocate(k.out)
	out, a, b := values[T](k.out), values[T](k.args[0]), values[T](k.args[1])
	am, bm := k.args[0].mask(), k.args[1].mask()
	for _, r := range k.rows() {
		out[r] = T(math.Mod(float64(a[int(r)&am]), float64(b[int(r)&bm])))
	}
	return nil
}

// negateKernel is unary minus for every fixed-width layout but wide decimals.
func negateKernel(l layout) kernel {
	switch l {
	case int8Layout:
		return negate[int8]
	case int16Layout:
		return negate[int16]
	case int32Layout:
		return negate[int32]
	case int64Layout:
		return negate[int64]
	case float32Layout:
		return negate[float32]
	case float64Layout:
		return negate[float64]
	case decimalLayout:
		return negateDecimal
	default:
		return nil
	}
}

func negate[T int8 | int16 | int32 | int64 | float32 | float64](k *call) error {
	k.allocate(k.out)
	out := values[T](k.out)
	for i, x := range values[T](k.args[0]) {
		out[i] = -x
	}
	return nil
}

// operatorKernel is the kernel of + - * / % for resolved argument types.
func operatorKernel(op string, args []datatype.Type, ret datatype.Type) kernel {
	if len(args) == 1 {
		if op == "-" {
			return negateKernel(layoutOf(ret))
		}
		return copyKernel
	}
	a, b := args[0], args[1]
	switch {
	case a.Kind == datatype.Decimal && b.Kind == datatype.Decimal:
		return decimalKernel(op, a, b, ret)
	case a.IsNumeric() && b.IsNumeric(), a.IsInterval() && a.Kind == b.Kind && layoutOf(a) == layoutOf(ret):
		return arithmeticKernel(op, layoutOf(ret))
	case a.IsTemporal() || b.IsTemporal():
		return temporalKernel(op, a, b, ret)
	default:
		return scaleInterval(op, a, b, ret)
	}
}

// copyKernel is unary plus: the argument itself.
func copyKernel(k *call) error {
	constant := k.out.constant
	*k.out = *k.args[0]
	k.out.constant = constant
	return nil
}
