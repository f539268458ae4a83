package parser

// Limits of the parser. They are far beyond statements that people or programs write, and low enough that a hostile text costs
// little memory and no stack overflow.
const (
	// MaxBytes is the largest text that is parsed.
	MaxBytes = 16 << 20
	// MaxDepth is how deep expressions, queries, patterns and types may be nested.
	MaxDepth = 200
	// MaxChain is how many operators of one level may follow each other without parentheses, and how many joins or set
	// operators.
	MaxChain = 4096
)
