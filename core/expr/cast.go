package expr

import (
	"math"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
)

// castKernel returns the kernel that casts one type to another. relabel is true
// where the same values serve as both: then there is no kernel. With try, what
// cannot be cast is null instead of an error.
func castKernel(from, to datatype.Type, env *environment, try bool) (k kernel, relabel bool) {
	switch {
	case from.IsString() && to.IsString():
		return castText(from, to)
	case to.IsString():
		return padded(to, formatKernel(from, to, env)), false
	case from.IsString():
		return parseKernel(to, env, try), false
	case from.IsBinary() && to.IsBinary():
		return castBinary(from, to)
	case from.Kind == datatype.Decimal || to.Kind == datatype.Decimal:
		return castDecimal(from, to)
	case from.IsNumeric() && to.IsNumeric():
		return castNumber(layoutOf(from), layoutOf(to))
	case from.Kind == datatype.Boolean && to.IsNumeric():
		return boolToNumber(layoutOf(to)), false
	case to.Kind == datatype.Boolean && from.IsNumeric():
		return numberToBool(layoutOf(from)), false
	case from.IsTemporal() && to.IsTemporal():
		return castTemporal(from, to, env)
	case layoutOf(from) == nestedLayout:
		return castNested(from, to, env, try)
	case from.IsInterval() && to.IsNumeric(), from.IsNumeric() && to.IsInterval():
		return castNumber(layoutOf(from), layoutOf(to))
	case from.Kind == to.Kind:
		return nil, true
	default:
		return nil, false
	}
}

// castNumber converts as Java does: integers wrap around, floats saturate.
func castNumber(from, to layout) (kernel, bool) {
	if from == to {
		return nil, true
	}
	switch from {
	case int8Layout:
		return castInteger[int8](to), false
	case int16Layout:
		return castInteger[int16](to), false
	case int32Layout:
		return castInteger[int32](to), false
	case int64Layout:
		return castInteger[int64](to), false
	case float32Layout:
		return castFloat[float32](to), false
	case float64Layout:
		return castFloat[float64](to), false
	default:
		return nil, false
	}
}

func castInteger[F int8 | int16 | int32 | int64](to layout) kernel {
	switch to {
	case int8Layout:
		return convert[F, int8]
	case int16Layout:
		return convert[F, int16]
	case int32Layout:
		return convert[F, int32]
	case int64Layout:
		return convert[F, int64]
	case float32Layout:
		return convert[F, float32]
	case float64Layout:
		return convert[F, float64]
	default:
		return nil
	}
}

func castFloat[F float32 | float64](to layout) kernel {
	switch to {
	case int8Layout:
		return truncate32[F, int8]
	case int16Layout:
		return truncate32[F, int16]
	case int32Layout:
		return truncate32[F, int32]
	case int64Layout:
		return truncate64[F]
	case float32Layout:
		return convert[F, float32]
	case float64Layout:
		return convert[F, float64]
	default:
		return nil
	}
}

func convert[F, T int8 | int16 | int32 | int64 | float32 | float64](k *call) error {
	k.allocate(k.out)
	out, from := values[T](k.out), values[F](k.args[0])
	from = from[:len(out)]
	for i, x := range from {
		out[i] = T(x)
	}
	return nil
}

// truncate32 goes through 32 bits, as Java's narrowing does.
func truncate32[F float32 | float64, T int8 | int16 | int32](k *call) error {
	k.allocate(k.out)
	out := values[T](k.out)
	for i, x := range values[F](k.args[0]) {
		out[i] = T(int32(saturate(float64(x), math.MinInt32, math.MaxInt32)))
	}
	return nil
}

func truncate64[F float32 | float64](k *call) error {
	k.allocate(k.out)
	out := values[int64](k.out)
	for i, x := range values[F](k.args[0]) {
		out[i] = saturate(float64(x), math.MinInt64, math.MaxInt64)
	}
	return nil
}

func saturate(x float64, low, high int64) int64 {
	switch {
	case x != x:
		return 0
	case x <= float64(low):
		return low
	case x >= float64(high):
		return high
	default:
		return int64(x)
	}
}

func boolToNumber(to layout) kernel {
	switch to {
	case int8Layout:
		return boolToFixed[int8]
	case int16Layout:
		return boolToFixed[int16]
	case int32Layout:
		return boolToFixed[int32]
	case int64Layout:
		return boolToFixed[int64]
	case float32Layout:
		return boolToFixed[float32]
	case float64Layout:
		return boolToFixed[float64]
	default:
		return nil
	}
}

func boolToFixed[T int8 | int16 | int32 | int64 | float32 | float64](k *call) error {
	k.allocate(k.out)
	out, v := values[T](k.out), k.args[0]
	for i := range out {
		if out[i] = 0; v.truth(i) {
			out[i] = 1
		}
	}
	return nil
}

func numberToBool(from layout) kernel {
	switch from {
	case int8Layout:
		return fixedToBool[int8]
	case int16Layout:
		return fixedToBool[int16]
	case int32Layout:
		return fixedToBool[int32]
	case int64Layout:
		return fixedToBool[int64]
	case float32Layout:
		return fixedToBool[float32]
	case float64Layout:
		return fixedToBool[float64]
	default:
		return nil
	}
}

func fixedToBool[T int8 | int16 | int32 | int64 | float32 | float64](k *call) error {
	k.allocate(k.out)
	clear(k.out.data)
	for i, x := range values[T](k.args[0]) {
		if x != 0 {
			setBit(k.out.data, i)
		}
	}
	return nil
}

// castDecimal converts between decimals and other numbers. What has too many
// digits becomes null, as in Flink.
func castDecimal(from, to datatype.Type) (kernel, bool) {
	switch {
	case from.Kind == datatype.Boolean:
		return boolToDecimal(to), false
	case from.Kind == to.Kind:
		if from.Scale == to.Scale && from.Precision <= to.Precision && layoutOf(from) == layoutOf(to) {
			return nil, true
		}
		if widened(from, to) {
			return scaleShort(pow10(to.Scale - from.Scale)), false
		}
		return decimalToDecimal(from, to), false
	case to.Kind == datatype.Decimal && (from.IsInteger() || from.IsInterval()):
		digits := map[layout]int{int8Layout: 3, int16Layout: 5, int32Layout: 10, int64Layout: 19}[layoutOf(from)]
		if layoutOf(to) == int64Layout && digits+to.Scale <= to.Precision {
			return scaleInteger(layoutOf(from), pow10(to.Scale)), false
		}
		return integerToDecimal(to), false
	case to.Kind == datatype.Decimal:
		return floatToDecimal(layoutOf(from), to), false
	case to.Kind == datatype.Boolean:
		return decimalToBool, false
	default:
		if to.Kind == datatype.Double && layoutOf(from) == int64Layout {
			return shortToDouble(from.Scale), false
		}
		return decimalToNumber(from, layoutOf(to)), false
	}
}

// widened reports a cast between short decimals that cannot lose a digit.
func widened(from, to datatype.Type) bool {
	return layoutOf(from) == int64Layout && layoutOf(to) == int64Layout && to.Scale >= from.Scale &&
		to.Precision-to.Scale >= from.Precision-from.Scale
}

// scaleShort multiplies every value: it needs no test of the result.
func scaleShort(by int64) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		out := values[int64](k.out)
		for i, x := range values[int64](k.args[0]) {
			out[i] = x * by
		}
		return nil
	}
}

// scaleInteger turns integers into short decimals that hold all of them.
func scaleInteger(from layout, by int64) kernel {
	switch from {
	case int8Layout:
		return scaleFrom[int8](by)
	case int16Layout:
		return scaleFrom[int16](by)
	default:
		return scaleFrom[int32](by)
	}
}

func scaleFrom[T int8 | int16 | int32](by int64) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		out := values[int64](k.out)
		for i, x := range values[T](k.args[0]) {
			out[i] = int64(x) * by
		}
		return nil
	}
}

// shortToDouble divides 64-bit decimals: the power of ten is exact, so the
// result is the nearest double as long as the digits fit its 53 bits.
func shortToDouble(scale int) kernel {
	by := float64(pow10(scale))
	return func(k *call) error {
		k.allocate(k.out)
		out := values[float64](k.out)
		for i, x := range values[int64](k.args[0]) {
			out[i] = float64(x) / by
		}
		return nil
	}
}

func decimalToDecimal(from, to datatype.Type) kernel {
	return func(k *call) error {
		in, out := k.args[0].decimals(), k.decimalOut(to)
		for _, r := range k.rows() {
			x, ok := rescale(in.at(r), from.Scale, to.Scale)
			out.put(r, x, ok)
		}
		return nil
	}
}

func boolToDecimal(to datatype.Type) kernel {
	return func(k *call) error {
		out := k.decimalOut(to)
		for _, r := range k.rows() {
			x := int64(0)
			if k.args[0].truth(int(r)) {
				x = 1
			}
			d, ok := rescale(decFrom(x), 0, to.Scale)
			out.put(r, d, ok)
		}
		return nil
	}
}

func decimalToBool(k *call) error {
	k.allocate(k.out)
	clear(k.out.data)
	in := k.args[0].decimals()
	for _, r := range k.rows() {
		if in.at(r) != (dec{}) {
			setBit(k.out.data, int(r))
		}
	}
	return nil
}

func integerToDecimal(to datatype.Type) kernel {
	return func(k *call) error {
		in, out := k.args[0].integers(), k.decimalOut(to)
		for _, r := range k.rows() {
			x, ok := rescale(decFrom(in.at(r)), 0, to.Scale)
			out.put(r, x, ok)
		}
		return nil
	}
}

func floatToDecimal(from layout, to datatype.Type) kernel {
	return func(k *call) error {
		in, out := k.args[0].floats(), k.decimalOut(to)
		for _, r := range k.rows() {
			x, ok := parseDecimal(string(appendFloat(nil, in.at(r), from == float32Layout)), to.Scale)
			out.put(r, x, ok)
		}
		return nil
	}
}

func decimalToNumber(from datatype.Type, to layout) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		in, out := k.args[0].decimals(), k.out.writer()
		for _, r := range k.rows() {
			x := in.at(r)
			if to == float32Layout || to == float64Layout {
				out.putFloat(r, decimalToFloat(x, from.Scale))
				continue
			}
			out.putInteger(r, truncateDecimal(x, from.Scale))
		}
		return nil
	}
}

// castText cuts text to a shorter length and pads CHAR; longer lengths need no
// work.
func castText(from, to datatype.Type) (kernel, bool) {
	if to.Kind == datatype.Varchar && to.Precision >= from.Precision {
		return nil, true
	}
	if from.Kind == datatype.Char && to.Kind == datatype.Char && from.Precision == to.Precision {
		return nil, true
	}
	return padded(to, textKernel(func(b []byte, s []byte) []byte { return appendFitted(b, s, to) })), false
}

func castBinary(from, to datatype.Type) (kernel, bool) {
	if to.Kind == datatype.Varbinary && to.Precision >= from.Precision {
		return nil, true
	}
	return padded(to, textKernel(func(b []byte, s []byte) []byte {
		s = s[:min(len(s), to.Precision)]
		b = append(b, s...)
		for i := len(s); to.Kind == datatype.Binary && i < to.Precision; i++ {
			b = append(b, 0)
		}
		return b
	})), false
}

func errCast(text []byte, to datatype.Type) error {
	const shown = 60
	if len(text) > shown {
		text = append(append([]byte(nil), text[:shown]...), "..."...)
	}
	return failure.Errorf(failure.UserCode, "CAST('%s' AS %s): the text is not %s", text, to.WithNull(true), describe(to))
}

func describe(t datatype.Type) string {
	switch {
	case t.IsInteger():
		return "a whole number in range"
	case t.IsNumeric():
		return "a number"
	case t.Kind == datatype.Date:
		return "a date (yyyy-MM-dd)"
	case t.Kind == datatype.Time:
		return "a time (HH:mm:ss)"
	case t.IsTimestamp():
		return "a timestamp (yyyy-MM-dd HH:mm:ss)"
	case t.Kind == datatype.Boolean:
		return "TRUE or FALSE"
	default:
		return "of that type"
	}
}
