//go:build !linux

package verify

import "fmt"

// smallDisk is known for Linux only.
func smallDisk(string, int) (remove func() error, err error) {
	return nil, fmt.Errorf("%w: small file systems are made on Linux only", errNotShown)
}
