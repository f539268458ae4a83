// Package shuffletest is the conformance suite of shuffle services. Every
// implementation runs it whole:
//
//	func TestConformance(t *testing.T) {
//		shuffletest.Run(t, func(t *testing.T, o shuffletest.Options) shuffle.Service { ... })
//	}
//
// Each case runs in a bubble of testing/synctest, with an allocator that must be
// empty when the service's exchanges are dropped; a goroutine that is left fails
// the case.
package shuffletest
