package rpc

import "testing"

func TestNames(t *testing.T) {
	for _, address := range []string{"127.0.0.1:80", "[::1]:80", "unix:/tmp/a-b.sock", "some-host:1"} {
		one, other := NewName(address), NewName(address)
		if one == other || AddressOf(one) != address || AddressOf(other) != address {
			t.Errorf("%s: %s, %s", address, one, other)
		}
	}
	if got := AddressOf("embedded"); got != "embedded" {
		t.Error(got)
	}
}
