// Package statetest is the conformance suite of keyed state: every
// state.Backend runs it whole.
package statetest
