package expr

import (
	"cmp"
	"slices"
)

// Share has expressions that contain others read the others' results: column from+i is
// the result of exprs[i]. order lists the expressions so that each comes after those
// that it reads; it is nil where nothing is shared.
func Share(exprs []Expr, from int) (out []Expr, order []int) {
	s := sharing{exprs: exprs, from: from, sizes: make([]int, len(exprs)), named: map[string][]int{}}
	for i, e := range exprs {
		reads := false
		Walk(e, func(e Expr) bool {
			_, column := e.(*Column)
			reads = reads || column
			s.sizes[i]++
			return true
		})
		if c, ok := e.(*Call); ok && reads && !volatile(c) {
			s.named[c.Function] = append(s.named[c.Function], i)
		}
	}
	shared := false
	out = make([]Expr, len(exprs))
	for i, e := range exprs {
		out[i] = s.rewrite(e, i)
		shared = shared || out[i] != e
	}
	if !shared {
		return exprs, nil
	}
	for i := range exprs {
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(s.sizes[a], s.sizes[b]) })
	return out, order
}

// sharing knows what may be shared.
type sharing struct {
	exprs []Expr
	from  int
	sizes []int            // nodes of each expression
	named map[string][]int // expressions that may be read, by their function
}

// rewrite replaces the largest parts of e, of expression i, that are expressions
// themselves. Of equal ones the first is read.
func (s *sharing) rewrite(e Expr, i int) Expr {
	c, ok := e.(*Call)
	if !ok {
		return e
	}
	for _, j := range s.named[c.Function] {
		if (s.sizes[j] < s.sizes[i] || s.sizes[j] == s.sizes[i] && j < i) && Equal(s.exprs[j], c) {
			return &Column{Index: s.from + j, T: c.T}
		}
	}
	var args []Expr
	for k, a := range c.Args {
		b := s.rewrite(a, i)
		if b != a && args == nil {
			args = slices.Clone(c.Args)
		}
		if args != nil {
			args[k] = b
		}
	}
	if args == nil {
		return c
	}
	return &Call{Function: c.Function, Args: args, T: c.T}
}

// volatile reports whether any part of e is a volatile function.
func volatile(e Expr) bool {
	found := false
	Walk(e, func(e Expr) bool {
		c, ok := e.(*Call)
		found = found || ok && isVolatile(c)
		return !found
	})
	return found
}
