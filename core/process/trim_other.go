//go:build !linux

package process

// Trim has nothing to do here.
func Trim() {}
