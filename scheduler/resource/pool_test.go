package resource

// Each file of testdata is a story of workers that come and go and of requests
// for their slots. A command is a call, its output the answers and what is free.

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/tidemill/tidemill/core/id"
)

func TestPool(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, file string) {
		p := NewPool(false)
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			var name string
			var job, n, region int
			d.MaybeScanArgs(t, "worker", &name)
			d.MaybeScanArgs(t, "slots", &n)
			d.MaybeScanArgs(t, "region", &region)
			d.MaybeScanArgs(t, "job", &job)
			var out []Answer
			r := Request{Job: id.Job{15: byte(job)}, Region: region}
			switch d.Cmd {
			case "fixed":
				p = NewPool(true)
			case "worker":
				out = p.AddWorker(id.Worker(name), n)
			case "lose":
				p.RemoveWorker(id.Worker(name))
			case "aside":
				if !p.SetAside(id.Worker(name), "connection refused") {
					return "nothing changes\n"
				}
			case "back":
				var back bool
				if out, back = p.PutBack(id.Worker(name)); !back {
					return "nothing changes\n"
				}
			case "foresee":
				var counts []int
				for _, f := range strings.Fields(d.Input) {
					var n int
					if _, err := fmt.Sscan(f, &n); err != nil {
						t.Fatal(err)
					}
					counts = append(counts, n)
				}
				return fmt.Sprintln(p.Foresee(r.Job, counts))
			case "usable":
				return fmt.Sprintln(p.Usable())
			case "ask":
				least := n
				d.MaybeScanArgs(t, "least", &least)
				out = p.Ask(r, least, n)
			case "why":
				reason, owner, waits := p.Why(r)
				if !waits {
					return "it does not wait\n"
				}
				return fmt.Sprintf("%s; of %s\n", reason, owner)
			case "withdraw":
				out = p.Withdraw(r)
			case "release":
				var slots []id.Slot
				for _, f := range strings.Fields(d.Input) {
					at := strings.LastIndexByte(f, ':')
					s := id.Slot{Worker: id.Worker(f[:at])}
					if _, err := fmt.Sscan(f[at+1:], &s.Index); err != nil {
						t.Fatal(err)
					}
					slots = append(slots, s)
				}
				out = p.Release(r.Job, slots)
			default:
				t.Fatalf("unknown command %s", d.Cmd)
			}
			var b strings.Builder
			for _, a := range out {
				if a.Refused != nil {
					fmt.Fprintf(&b, "region %d refused: %v\n", a.Request.Region, a.Refused)
					continue
				}
				fmt.Fprintf(&b, "region %d gets %v\n", a.Request.Region, a.Slots)
			}
			fmt.Fprintf(&b, "free %d of %d\n", p.Free(), p.Total())
			return b.String()
		})
	})
}
