package security

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/tidemill/tidemill/core/failure"
)

// Hosts are the names under which a process is reached by browsers. A page of somebody
// else can have a browser call us: under a name of its own that it points at this
// machine (DNS rebinding), or under ours from its own origin. Check refuses both.
type Hosts struct {
	names map[string]bool
}

// NewHosts takes names beside localhost and numeric addresses, which nobody can point
// elsewhere.
func NewHosts(names ...string) Hosts {
	h := Hosts{names: map[string]bool{}}
	for _, n := range names {
		h.names[strings.ToLower(strings.TrimSuffix(n, "."))] = true
	}
	return h
}

// Check refuses a request for a host that is not ours, or from a page that is not.
func (h Hosts) Check(r *http.Request) error {
	if !h.ours(r.Host) {
		return failure.Errorf(failure.Unauthorized, "host %q is not served here: call localhost, a numeric address or the name that is advertised", r.Host)
	}
	for _, origin := range r.Header.Values("Origin") {
		u, err := url.Parse(origin)
		if err != nil || !strings.EqualFold(u.Host, r.Host) {
			return failure.Errorf(failure.Unauthorized, "a page of %q may not call %s", origin, r.Host)
		}
	}
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "", "none", "same-origin":
		return nil
	default:
		if r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" {
			return nil // a link that somebody followed: the page that had it sees nothing
		}
		return failure.Errorf(failure.Unauthorized, "a %s request of a page may not call %s", site, r.Host)
	}
}

func (h Hosts) ours(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = hostPort
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || net.ParseIP(strings.Trim(host, "[]")) != nil || h.names[host]
}
