package physical

import (
	"testing"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/plan"
)

// A source that tells its splits apart is given the watermark over its own columns, with
// the table's options; another one is not.
func TestWatermarkInSource(t *testing.T) {
	at := datatype.Of(datatype.Timestamp).WithPrecision(3)
	for _, test := range []struct {
		many             bool
		drift            string
		wantIn, wantOp   bool
		fails, condition bool
	}{
		{many: true, drift: "2 s", wantIn: true},
		{many: true, drift: "2 s", wantIn: true, condition: true},
		{many: true, drift: "soon", fails: true},
		{wantOp: true, drift: "2 s"},
	} {
		in := datatype.Schema{{Name: "id", Type: datatype.Of(datatype.BigInt)}, {Name: "at", Type: at}}
		var below plan.Node = &plan.Scan{
			Connector: "c", Columns: in, Known: connector.Description{Schema: in, ManySplits: test.many},
			Table: connector.Table{Name: "t", Options: map[string]string{"scan.watermark.idle-timeout": "7 s", "scan.watermark.alignment.max-drift": test.drift}},
		}
		if test.condition {
			below = &plan.Filter{Input: below, Cond: &expr.Literal{Value: true, T: datatype.Of(datatype.Boolean)}}
		}
		project := &plan.Project{Input: below, Exprs: []expr.Expr{plan.Column(in, 1)}, Names: []string{"ts"}}
		mark := &plan.Watermark{Input: project, Column: 0, Expr: plan.Column(project.Schema(), 0), IdleMillis: 5000}
		g, _, err := Build([]plan.Node{mark}, Options{Parallelism: 1, Streaming: true})
		if (err != nil) != test.fails {
			t.Fatalf("%+v: %v", test, err)
		}
		if err != nil {
			continue
		}
		chain := g.Vertices[0].Chain
		w := chain[0].GetSource().GetWatermark()
		if (w != nil) != test.wantIn || (chain[len(chain)-1].GetWatermark() != nil) != test.wantOp {
			t.Errorf("%+v: %v", test, chain)
		}
		if w != nil && (w.Column != 1 || w.IdleMillis != 7000 || w.DriftMillis != 2000 || w.AlignMillis != 1000 || w.Timeless != test.condition) {
			t.Errorf("%+v: %v", test, w)
		}
	}
}
