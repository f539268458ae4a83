package expr

// Total reports whether e is cheap, has a value for every row without ever failing,
// and the same one each time: comparisons, null tests and their connectives over
// columns and literals. Whoever reads rows may evaluate it before anything else.
func Total(e Expr) bool {
	c, ok := e.(*Call)
	if !ok {
		return true
	}
	switch c.Function {
	case "AND", "OR", "NOT", "IN", "IS NULL", "IS NOT NULL":
	case "CAST":
		if !keepsValues(c.Args[0].Type(), c.T) {
			return false
		}
	default:
		if compareOpOf(c.Function) == noCompare {
			return false
		}
	}
	for _, a := range c.Args {
		if !Total(a) {
			return false
		}
	}
	return true
}
