// Package suggest finds the name that was probably meant: the "did you mean" of
// every error about an unknown column, function, option or command.
package suggest
