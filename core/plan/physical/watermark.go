package physical

import (
	"math"
	"time"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// alignEvery is how often splits are compared where a table does not say.
const alignEvery = time.Second

// watermark derives watermarks from rows: in the source where its reader tells splits apart,
// since rows of one split are in order and those of several are not, else in an operator.
func (b *builder) watermark(n *plan.Watermark) (*fragment, error) {
	f, err := b.node(n.Input)
	if err != nil {
		return nil, err
	}
	spec := &jobgraph.WatermarkAssigner{Column: uint32(n.Column), IdleMillis: n.IdleMillis, FutureMillis: n.FutureMillis, Processing: n.Processing}
	rejects := rejectsBelow(n.Input)
	if rejects != nil && !n.Processing {
		spec.Rejects = rejects.Source
	}
	if !n.Processing {
		spec.Watermark = expr.ToProto(n.Expr)
		if scan, w, at, filtered := overScan(n); scan != nil {
			spec.Timeless = filtered
			if err := b.inSource(n, scan, spec, w, at); err != nil {
				return nil, err
			}
			return f, nil
		}
	}
	f = b.chain(f, n, n.Label(), f.schema, &jobgraph.Operator{Spec: &jobgraph.Operator_Watermark{Watermark: spec}})
	if spec.Rejects != "" {
		b.aside(f, rejects)
	}
	return f, nil
}

// overScan returns the scan whose reader can make the watermarks of n, and the watermark
// and the event time over its columns; nil if there is none. filtered says that not all rows
// of the scan come to n.
func overScan(n *plan.Watermark) (scan *plan.Scan, w, at expr.Expr, filtered bool) {
	w, at = n.Expr, plan.Column(n.Schema(), n.Column)
	for in := n.Input; ; {
		switch below := in.(type) {
		case *plan.Scan:
			if !below.Known.ManySplits {
				return nil, nil, nil, false
			}
			return below, w, at, filtered
		case *plan.Project:
			w, at = plan.Substitute(w, below.Exprs), plan.Substitute(at, below.Exprs)
			in = below.Input
		case *plan.Filter:
			filtered, in = true, below.Input
		default:
			return nil, nil, nil, false
		}
	}
}

// inSource gives spec to the source that was made of scan.
func (b *builder) inSource(n *plan.Watermark, scan *plan.Scan, spec *jobgraph.WatermarkAssigner, w, at expr.Expr) error {
	spec.Watermark = expr.ToProto(w)
	if c, ok := at.(*expr.Column); ok {
		spec.Column = uint32(c.Index)
	} else {
		spec.Column, spec.Time = 0, expr.ToProto(at)
	}
	for key, to := range map[string]*int64{
		"scan.watermark.idle-timeout": &spec.IdleMillis, "scan.watermark.alignment.max-drift": &spec.DriftMillis,
		"scan.watermark.alignment.update-interval": &spec.AlignMillis,
	} {
		text, ok := scan.Table.Options[key]
		if !ok {
			continue
		}
		d, err := config.ParseDuration(text)
		if err != nil || d < 0 || d.Milliseconds() > math.MaxInt32 {
			return sqlerr.New(sqlerr.InvalidOption, n.At(), "option '%s' of table %s: %q is not a time such as 10 s", key, scan.Table.Name, text)
		}
		*to = d.Milliseconds()
	}
	if spec.DriftMillis > 0 && spec.AlignMillis == 0 {
		spec.AlignMillis = alignEvery.Milliseconds()
	}
	made := b.sources[scan]
	made[len(made)-1].Watermark = spec
	source := b.emitters[scan]
	source.Name += " with " + n.Label() + ", by split"
	return nil
}
