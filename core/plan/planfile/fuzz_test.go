package planfile_test

import (
	"testing"

	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan/planfile"
)

// Whatever is read is refused or a valid graph, which can be written again.
func FuzzDecode(f *testing.F) {
	data, err := planfile.Encode(example(), "0.1")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"format": 1, "checksum": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "plan": {}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := planfile.Decode(data)
		if err != nil {
			return
		}
		if err := jobgraph.Validate(p.Graph); err != nil {
			t.Fatal(err)
		}
		if _, err := planfile.Encode(p, ""); err != nil {
			t.Fatal(err)
		}
	})
}
