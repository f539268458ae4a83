package security

import (
	"net"
	"net/netip"
	"strings"

	"github.com/tidemill/tidemill/core/failure"
)

// Near reports whether an address, host:port or unix:PATH, is reached from this machine
// alone. A name other than localhost is not: it may mean anything tomorrow.
func Near(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	return loopback(host)
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// CheckBind refuses to listen where strangers could come in, and says what to do
// instead: without a token anywhere, without TLS beyond this machine.
func CheckBind(address string, hasTLS, hasToken bool) error {
	var lacks string
	switch near := Near(address); {
	case near && hasToken || hasTLS && hasToken:
		return nil
	case near:
		return failure.Errorf(failure.Usage,
			"listen at %s: every user of this machine could run jobs there: give it a token (--token-file FILE; `tidemill token` makes one)", address)
	case hasTLS:
		lacks = "a token"
	case hasToken:
		lacks = "TLS"
	default:
		lacks = "TLS and a token"
	}
	return failure.Errorf(failure.Usage, "listen at %s: it can be reached from other machines, but has not %s: "+
		"listen at 127.0.0.1 instead, or give it both TLS (--tls-dir DIR; `tidemill cert` makes one) and a token (--token-file FILE; `tidemill token` makes one)",
		address, lacks)
}

// CheckDial refuses to show a token, or to send anything, to another machine without
// TLS: whoever is on the way could read it and use it.
func CheckDial(address string, hasTLS bool) error {
	if hasTLS || Near(address) {
		return nil
	}
	return failure.Errorf(failure.Usage, "connect to %s: it is another machine, and everything would be readable on the way: "+
		"give the cluster's certificate (--tls-dir DIR), or connect to 127.0.0.1 through a tunnel", address)
}
