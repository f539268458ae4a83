package rpc

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
)

// NewName names a process that serves at address (host:port, or unix:PATH) for this
// life of it: another start has another name.
func NewName(address string) string {
	var life [4]byte
	_, _ = rand.Read(life[:]) // it never fails: the program ends first
	return address + "-" + hex.EncodeToString(life[:])
}

// AddressOf is where the process of that name serves.
func AddressOf(name string) string {
	if at := strings.LastIndexByte(name, '-'); at >= 0 {
		return name[:at]
	}
	return name
}
