package expr

import (
	"math"
	"math/big"
	"math/rand/v2"

	"github.com/tidemill/tidemill/core/datatype"
)

// mathFunction finds the kernels on numbers.
func (c *compiler) mathFunction(x *Call) (k kernel, strict bool, err error) {
	if f := floatFunction(x.Function); f != nil {
		return floatMap(f), true, nil
	}
	if f := floatFunction2(x.Function); f != nil && len(x.Args) == 2 {
		return floatMap2(f), true, nil
	}
	switch x.Function {
	case "LOG":
		return floatMap(math.Log), true, nil
	case "PI":
		return floatConstant(math.Pi), true, nil
	case "E":
		return floatConstant(math.E), true, nil
	case "RAND":
		return randKernel(c.random(x, 0, 0)), true, nil
	case "RAND_INTEGER":
		return randIntegerKernel(c.random(x, 0, 1), len(x.Args)-1), true, nil
	case "UUID":
		return uuidKernel(c.random(x, 0, 0)), true, nil
	case "GREATEST", "LEAST":
		return extremeKernel(x), true, nil
	case "ABS", "SIGN", "ROUND", "TRUNCATE":
		return roundingKernel(x), true, nil
	case "FLOOR", "CEIL":
		if len(x.Args) == 1 {
			return roundingKernel(x), true, nil
		}
	}
	return nil, false, nil
}

// floatFunction are the functions of one DOUBLE.
func floatFunction(name string) func(float64) float64 {
	switch name {
	case "SQRT":
		return math.Sqrt
	case "CBRT":
		return math.Cbrt
	case "EXP":
		return math.Exp
	case "LN":
		return math.Log
	case "LOG2":
		return math.Log2
	case "LOG10":
		return math.Log10
	case "SIN":
		return math.Sin
	case "COS":
		return math.Cos
	case "TAN":
		return math.Tan
	case "COT":
		return func(x float64) float64 { return 1 / math.Tan(x) }
	case "ASIN":
		return math.Asin
	case "ACOS":
		return math.Acos
	case "ATAN":
		return math.Atan
	case "SINH":
		return math.Sinh
	case "COSH":
		return math.Cosh
	case "TANH":
		return math.Tanh
	case "DEGREES":
		return func(x float64) float64 { return x * 180 / math.Pi }
	case "RADIANS":
		return func(x float64) float64 { return x / 180 * math.Pi }
	default:
		return nil
	}
}

// floatFunction2 are those of two.
func floatFunction2(name string) func(x, y float64) float64 {
	switch name {
	case "POWER":
		return math.Pow
	case "ATAN2":
		return math.Atan2
	case "LOG":
		return func(base, x float64) float64 { return math.Log(x) / math.Log(base) }
	default:
		return nil
	}
}

func floatMap(f func(float64) float64) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		out, in := values[float64](k.out), values[float64](k.args[0])
		mask := k.args[0].mask()
		for _, r := range k.rows() {
			out[r] = f(in[int(r)&mask])
		}
		return nil
	}
}

func floatMap2(f func(x, y float64) float64) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		out, a, b := values[float64](k.out), k.args[0].floats(), k.args[1].floats()
		for _, r := range k.rows() {
			out[r] = f(a.at(r), b.at(r))
		}
		return nil
	}
}

func floatConstant(x float64) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		values[float64](k.out)[0] = x
		return nil
	}
}

// random is the source of a random function: of the seed that a literal argument
// gives, when there are more arguments than the function needs, else of the task.
func (c *compiler) random(x *Call, seedArg, needed int) *rand.Rand {
	seed := c.env.seed
	if len(x.Args) > needed {
		if l, ok := x.Args[seedArg].(*Literal); ok {
			if v, ok := l.Value.(int64); ok {
				return rand.New(rand.NewPCG(uint64(v), 0))
			}
		}
	}
	if seed == 0 {
		seed = rand.Uint64()
	}
	return rand.New(rand.NewPCG(seed, 1))
}

func randKernel(random *rand.Rand) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		out := values[float64](k.out)
		for _, r := range k.rows() {
			out[r] = random.Float64()
		}
		return nil
	}
}

// randIntegerKernel draws below argument number bound.
func randIntegerKernel(random *rand.Rand, bound int) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		in, out := k.args[bound].integers(), values[int32](k.out)
		for _, r := range k.rows() {
			if out[r] = 0; in.at(r) > 0 {
				out[r] = int32(random.Int64N(in.at(r)))
			}
		}
		return nil
	}
}

// roundingKernel is ABS, SIGN, ROUND, TRUNCATE, FLOOR and CEIL of one number.
func roundingKernel(x *Call) kernel {
	switch t := x.Args[0].Type(); {
	case t.IsInteger():
		return roundInteger(x.Function)
	case t.Kind == datatype.Decimal:
		return roundDecimal(x.Function, t, x.T)
	default:
		return roundFloat(x.Function)
	}
}

func roundInteger(name string) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		in, out, digits := k.args[0].integers(), k.out.writer(), k.digits()
		for _, r := range k.rows() {
			v := in.at(r)
			switch name {
			case "ABS":
				v = max(v, -v)
			case "SIGN":
				v = int64(sign(v))
			case "ROUND", "TRUNCATE":
				if d := digits(r); d < -18 {
					v = 0
				} else if d < 0 && name == "ROUND" {
					v = divideRound(v, pow10(int(-d))) * pow10(int(-d))
				} else if d < 0 {
					v -= v % pow10(int(-d))
				}
			}
			out.putInteger(r, v)
		}
		return nil
	}
}

func sign(x int64) int {
	switch {
	case x < 0:
		return -1
	case x > 0:
		return 1
	default:
		return 0
	}
}

// digits is the second argument of ROUND and TRUNCATE, 0 without one.
func (k *call) digits() func(r int32) int64 {
	if len(k.args) < 2 {
		return func(int32) int64 { return 0 }
	}
	in := k.args[1].integers()
	return in.at
}

func roundFloat(name string) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		in, out, digits := k.args[0].floats(), k.out.writer(), k.digits()
		for _, r := range k.rows() {
			v := in.at(r)
			switch name {
			case "ABS":
				v = math.Abs(v)
			case "SIGN":
				if v != 0 && v == v {
					v = math.Copysign(1, v)
				}
			case "FLOOR":
				v = math.Floor(v)
			case "CEIL":
				v = math.Ceil(v)
			case "ROUND":
				v = roundDigits(v, digits(r), true)
			case "TRUNCATE":
				v = roundDigits(v, digits(r), false)
			}
			out.putFloat(r, v)
		}
		return nil
	}
}

// roundDigits rounds the decimal digits that the float prints as: 1.005 becomes
// 1.01, as in Java's BigDecimal, not 1.0.
func roundDigits(v float64, digits int64, round bool) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) || digits > 300 {
		return v
	}
	if digits < -300 {
		return 0
	}
	x, ok := new(big.Rat).SetString(string(appendFloat(nil, v, false)))
	if !ok {
		return v
	}
	scale := bigPow10(int(max(digits, -digits)))
	if digits >= 0 {
		x.Mul(x, new(big.Rat).SetInt(scale))
	} else {
		x.Quo(x, new(big.Rat).SetInt(scale))
	}
	n := new(big.Int).Quo(x.Num(), x.Denom())
	if round {
		n = divideRoundBig(x.Num(), x.Denom())
	}
	x.SetInt(n)
	if digits >= 0 {
		x.Quo(x, new(big.Rat).SetInt(scale))
	} else {
		x.Mul(x, new(big.Rat).SetInt(scale))
	}
	out, _ := x.Float64()
	return out
}

// roundDecimal computes in the argument's scale and moves to the result's.
func roundDecimal(name string, t, ret datatype.Type) kernel {
	return func(k *call) error {
		in, out, digits := k.args[0].decimals(), k.decimalOut(ret), k.digits()
		for _, r := range k.rows() {
			x := in.at(r)
			n := x.BigInt()
			drop := 0 // digits after the point to give up
			switch name {
			case "ABS":
				n.Abs(n)
			case "SIGN":
				n.SetInt64(int64(n.Sign()))
				n.Mul(n, bigPow10(t.Scale))
			case "FLOOR", "CEIL":
				n = floorBig(n, bigPow10(t.Scale), name == "CEIL")
			default:
				drop = int(min(max(int64(t.Scale)-digits(r), 0), 76))
			}
			if drop > 0 && name == "ROUND" {
				n = divideRoundBig(n, bigPow10(drop))
			} else if drop > 0 {
				n.Quo(n, bigPow10(drop))
			}
			n.Mul(n, bigPow10(drop))
			y, ok := rescaleBig(n, t.Scale, ret.Scale)
			out.put(r, y, ok)
		}
		return nil
	}
}

// floorBig rounds n down, or up, to a multiple of unit.
func floorBig(n, unit *big.Int, up bool) *big.Int {
	q, rest := new(big.Int).DivMod(n, unit, new(big.Int))
	if up && rest.Sign() != 0 {
		q.Add(q, big.NewInt(1))
	}
	return q.Mul(q, unit)
}
