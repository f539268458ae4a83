//go:build !linux

package process

// trim has nothing to do here.
func trim() {}
