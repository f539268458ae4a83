package datastream

import (
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/expr"
	"github.com/tidemill/tidemill/core/jobgraph"
)

// Watermarks says how event time comes of rows.
type Watermarks struct {
	// Column is the column that has a row's time, a time.Time.
	Column string
	// Delay is how much later than the latest row another may come and not be late.
	Delay time.Duration
	// Idle is how long nothing has to come for a subtask to be left out of event time;
	// zero: it never is.
	Idle time.Duration
}

// WithWatermarks has event time follow the rows of a stream.
func WithWatermarks[T any](s *Stream[T], uid string, w Watermarks) *Stream[T] {
	schema := s.codec.Schema()
	column := schema.Index(w.Column)
	if column < 0 || !schema[column].Type.IsTimestamp() {
		s.env.fail(uid, fmt.Errorf("%q is no column of times: there are %s", w.Column, schema))
		column = 0
	}
	n := s.env.add(&node{uid: uid, name: "Watermarks", inputs: []edge{s.forward()}, output: schema, operator: func(*Env) *jobgraph.Operator {
		at := &expr.Column{Index: column, Name: w.Column, T: schema[column].Type}
		delay := &expr.Literal{Value: w.Delay.Milliseconds(), T: datatype.Of(datatype.IntervalSecond).NotNull()}
		return &jobgraph.Operator{Spec: &jobgraph.Operator_Watermark{Watermark: &jobgraph.WatermarkAssigner{
			Column: uint32(column), IdleMillis: w.Idle.Milliseconds(),
			Watermark: expr.ToProto(&expr.Call{Function: "-", Args: []expr.Expr{at, delay}, T: at.T}),
		}}}
	}})
	return &Stream[T]{env: s.env, node: n, codec: s.codec}
}
