// Package metatest is the conformance suite of the raftmeta contract. Every
// implementation of raftmeta.Store runs it whole.
package metatest
