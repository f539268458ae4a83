package expr

import (
	"fmt"

	"github.com/tidemill/tidemill/core/datatype"
)

// isRandom reports functions that give each row another value.
func isRandom(name string) bool {
	return name == "RAND" || name == "RAND_INTEGER" || name == "UUID"
}

// functionKernel finds the kernel of a named function.
func (c *compiler) functionKernel(x *Call) (k kernel, strict bool, err error) {
	for _, family := range []func(*Call) (kernel, bool, error){c.textFunction, c.mathFunction, c.timeFunction, c.nestedFunction, c.jsonFunction} {
		if k, strict, err := family(x); k != nil || err != nil {
			return k, strict, err
		}
	}
	return nil, false, fmt.Errorf("function %s is not evaluated yet", x.Function)
}

// nestedFunction finds the kernels on arrays, maps and rows.
func (c *compiler) nestedFunction(x *Call) (k kernel, strict bool, err error) {
	switch x.Function {
	case "ARRAY":
		return arrayKernel(x.T), false, nil
	case "MAP":
		return mapKernel(x.T), false, nil
	case "ROW":
		return rowKernel(x.T), false, nil
	case ".":
		l, ok := x.Args[1].(*Literal)
		if !ok {
			return nil, false, fmt.Errorf("field position %s is not a literal", String(x.Args[1]))
		}
		at, ok := l.Value.(int64)
		if !ok || at < 0 || int(at) >= len(x.Args[0].Type().Fields) {
			return nil, false, fmt.Errorf("no field %v in %s", l.Value, x.Args[0].Type())
		}
		return fieldKernel(int(at), x.T), true, nil
	case "[]":
		if x.Args[0].Type().Kind == datatype.Map {
			return mapElementKernel(x.T), true, nil
		}
		return arrayElementKernel(x.T), true, nil
	case "$KEY":
		return keyKernel, false, nil
	case "$VALUE":
		return valueKernel(x.T), true, nil
	case "CARDINALITY":
		return cardinalityKernel, true, nil
	case "ELEMENT":
		return singleElementKernel(x.T), true, nil
	case "ARRAY_CONTAINS":
		return containsKernel, false, nil
	case "||":
		return concatArrays(x.T), true, nil
	}
	if k := c.mapFunction(x); k != nil {
		return k, true, nil
	}
	k, strict = c.arrayFunction(x)
	return k, strict, nil
}
