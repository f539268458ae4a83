// Package config holds typed options: key, type, default, documentation and
// reload class of every setting, and the values that were given.
//
// An Option is declared once, in options.go, and read with its own type; there
// are no bare strings at the places of use. A Config maps keys to the text they
// were given as, with where it came from, and is immutable: With makes a new
// one. Setting an unknown key or a value of the wrong form is an error at once,
// naming the nearest key, so that nothing is silently ignored.
//
// Names are Flink's where the meaning is Flink's.
package config
