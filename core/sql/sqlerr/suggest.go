package sqlerr

import "github.com/tidemill/tidemill/core/suggest"

// Suggest returns the candidate that name was probably meant to be, or "".
func Suggest(name string, candidates []string) string { return suggest.Closest(name, candidates) }
