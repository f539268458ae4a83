package ast

// The levels of operators by how strongly they bind, weakest first. Parser and printer share them.
const (
	LevelOr = 1 + iota
	LevelAnd
	LevelNot
	LevelIs
	LevelCompare
	LevelIn
	LevelSum
	LevelProduct
	LevelSign
	LevelPostfix
)

// Level returns how strongly the operator binds.
func (o BinaryOp) Level() int {
	switch o {
	case OpOr:
		return LevelOr
	case OpAnd:
		return LevelAnd
	case OpAdd, OpSub:
		return LevelSum
	case OpMul, OpDiv, OpMod, OpConcat:
		return LevelProduct
	default:
		return LevelCompare
	}
}
