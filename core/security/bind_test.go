package security

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/tidemill/tidemill/core/failure"
)

// Which doors stay shut, and what the error tells to do.

func TestDoors(t *testing.T) {
	datadriven.RunTest(t, "testdata/doors", func(t *testing.T, d *datadriven.TestData) string {
		var address, host string
		has := map[string]bool{}
		for _, a := range d.CmdArgs {
			if a.Key == "at" {
				address = a.Vals[0]
				continue
			}
			has[a.Key] = true
		}
		switch d.Cmd {
		case "bind":
			return told(CheckBind(address, has["tls"], has["token"]))
		case "dial":
			return told(CheckDial(address, has["tls"]))
		case "browse":
			// input: method, host, then headers, one a line
			lines := strings.Split(strings.TrimSpace(d.Input), "\n")
			method, rest, _ := strings.Cut(lines[0], " ")
			host = rest
			r := httptest.NewRequest(method, "/api/v1/jobs", nil)
			r.Host = host
			for _, l := range lines[1:] {
				k, v, _ := strings.Cut(l, ": ")
				r.Header.Add(k, v)
			}
			return told(NewHosts("Mill.example.com").Check(r))
		}
		return "unknown command"
	})
}

func told(err error) string {
	if err == nil {
		return "open\n"
	}
	return fmt.Sprintf("%v: %v\n", failure.Of(err), err)
}
