package expr

import (
	"bytes"
	"regexp/syntax"
	"slices"
)

// chainMatcher finds matches of the patterns by which parts are taken out of texts, such as
// a parameter out of an address,
//
//	(&|^)channel_id=([^&]*)
//
// without an automaton: perhaps one of some single bytes or the beginning of the text, then
// a literal, then everything up to a byte. It finds what package regexp finds.
type chainMatcher struct {
	before  []int // bytes, or atBegin; empty: anything
	literal []byte
	stop    int // the byte that ends what follows; -1: nothing follows
	least   int // bytes of what follows
	// groups that hold what is before and what follows, 0 for none.
	beforeGroup, restGroup int
	found                  []int
}

// atBegin among what is before a literal is the beginning of the text.
const atBegin = -1

// newChain returns a matcher for a pattern, or nil where it is not of that form.
func newChain(pattern string) *chainMatcher {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	parts := []*syntax.Regexp{tree}
	if tree.Op == syntax.OpConcat {
		parts = tree.Sub
	}
	c := &chainMatcher{stop: -1, found: make([]int, 2*(tree.MaxCap()+1))}
	if len(parts) > 1 && parts[0].Op != syntax.OpLiteral {
		if !c.takesBefore(parts[0]) {
			return nil
		}
		parts = parts[1:]
	}
	if len(parts) == 0 || parts[0].Op != syntax.OpLiteral || parts[0].Flags&syntax.FoldCase != 0 {
		return nil
	}
	c.literal = []byte(string(parts[0].Rune))
	if len(parts) > 2 || len(parts) == 2 && !c.takesRest(parts[1]) {
		return nil
	}
	// Two ways to begin at the same place would need their order.
	if slices.Contains(c.before, int(c.literal[0])) {
		return nil
	}
	return c
}

// takesBefore reads what is before the literal.
func (c *chainMatcher) takesBefore(x *syntax.Regexp) bool {
	if x.Op == syntax.OpCapture {
		c.beforeGroup, x = x.Cap, x.Sub[0]
	}
	ways := []*syntax.Regexp{x}
	if x.Op == syntax.OpAlternate {
		ways = x.Sub
	}
	for _, w := range ways {
		switch {
		case w.Op == syntax.OpBeginText:
			c.before = append(c.before, atBegin)
		case w.Op == syntax.OpLiteral && len(w.Rune) == 1 && w.Rune[0] < 0x80 && w.Flags&syntax.FoldCase == 0:
			c.before = append(c.before, int(w.Rune[0]))
		case w.Op == syntax.OpCharClass:
			for i := 0; i < len(w.Rune); i += 2 {
				if w.Rune[i] != w.Rune[i+1] || w.Rune[i] >= 0x80 {
					return false
				}
				c.before = append(c.before, int(w.Rune[i]))
			}
		default:
			return false
		}
	}
	return true
}

// takesRest reads what follows the literal.
func (c *chainMatcher) takesRest(x *syntax.Regexp) bool {
	if x.Op == syntax.OpCapture {
		c.restGroup, x = x.Cap, x.Sub[0]
	}
	switch {
	case x.Flags&syntax.NonGreedy != 0:
		return false
	case x.Op == syntax.OpStar:
	case x.Op == syntax.OpPlus:
		c.least = 1
	default:
		return false
	}
	class := x.Sub[0]
	// Everything but one byte: two ranges with it between them.
	if class.Op != syntax.OpCharClass || len(class.Rune) != 4 || class.Rune[0] != 0 || class.Rune[3] != 0x10FFFF ||
		class.Rune[1]+2 != class.Rune[2] || class.Rune[1]+1 >= 0x80 {
		return false
	}
	c.stop = int(class.Rune[1] + 1)
	return true
}

// find is regexp's FindSubmatchIndex. What it returns is valid until the next call.
func (c *chainMatcher) find(s []byte) []int {
	for from := 0; ; {
		at := bytes.Index(s[from:], c.literal)
		if at < 0 {
			return nil
		}
		at += from
		from = at + 1
		start := c.start(s, at)
		if start < 0 {
			continue
		}
		rest := at + len(c.literal)
		end := rest
		if c.stop >= 0 {
			if n := bytes.IndexByte(s[rest:], byte(c.stop)); n >= 0 {
				end = rest + n
			} else {
				end = len(s)
			}
		}
		if end-rest < c.least {
			continue
		}
		c.found[0], c.found[1] = start, end
		if g := c.beforeGroup; g > 0 {
			c.found[2*g], c.found[2*g+1] = start, at
		}
		if g := c.restGroup; g > 0 {
			c.found[2*g], c.found[2*g+1] = rest, end
		}
		return c.found
	}
}

// start is where a match begins whose literal is at that place, or -1.
func (c *chainMatcher) start(s []byte, at int) int {
	if len(c.before) == 0 {
		return at
	}
	for _, b := range c.before {
		if b == atBegin && at == 0 {
			return 0
		}
		if at > 0 && int(s[at-1]) == b {
			return at - 1
		}
	}
	return -1
}
