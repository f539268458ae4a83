package datastream

import (
	"fmt"

	"github.com/tidemill/tidemill/core/datastream/internal/rows"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator/process"
)

// Stream is rows of T.
type Stream[T any] struct {
	env   *Env
	node  *node
	side  int // of node's outputs; 0: the main one
	codec *rows.Codec[T]
}

// codecOf is the codec of T; where there is none the job is refused when it is made.
func codecOf[T any](e *Env, uid string) *rows.Codec[T] {
	c, err := rows.Of[T]()
	if err != nil {
		e.fail(uid, err)
		return &rows.Codec[T]{}
	}
	return c
}

// forward is an edge from each subtask to the one of the same number.
func (s *Stream[T]) forward() edge {
	return edge{from: s.node, side: s.side, how: jobgraph.Distribution_DISTRIBUTION_FORWARD}
}

// Map makes one row of each.
func Map[In, Out any](s *Stream[In], uid string, f func(In) (Out, error)) *Stream[Out] {
	return each(s, uid, "Map", func(in In, out *Collector[Out]) error {
		v, err := f(in)
		if err == nil {
			out.Emit(v)
		}
		return err
	})
}

// FlatMap makes any number of rows of each.
func FlatMap[In, Out any](s *Stream[In], uid string, f func(in In, out *Collector[Out]) error) *Stream[Out] {
	return each(s, uid, "FlatMap", f)
}

func each[In, Out any](s *Stream[In], uid, name string, f func(in In, out *Collector[Out]) error) *Stream[Out] {
	codec := codecOf[Out](s.env, uid)
	n := s.env.function(&node{uid: uid, name: name, inputs: []edge{s.forward()}, output: codec.Schema()}, nil, func() process.Function {
		return &mapping[In, Out]{input: input[In]{codec: s.codec}, out: Collector[Out]{codec: codec}, each: f}
	})
	return &Stream[Out]{env: s.env, node: n, codec: codec}
}

// Filter keeps the rows that f is true of.
func Filter[T any](s *Stream[T], uid string, f func(T) (bool, error)) *Stream[T] {
	n := s.env.function(&node{uid: uid, name: "Filter", inputs: []edge{s.forward()}, output: s.codec.Schema()}, nil, func() process.Function {
		return &filter[T]{input: input[T]{codec: s.codec}, keep: f}
	})
	return &Stream[T]{env: s.env, node: n, codec: s.codec}
}

// Union is the rows of several streams, in no order.
func Union[T any](uid string, first *Stream[T], others ...*Stream[T]) *Stream[T] {
	inputs := make([]edge, 0, len(others)+1)
	for _, s := range append([]*Stream[T]{first}, others...) {
		inputs = append(inputs, s.forward())
	}
	n := first.env.add(&node{uid: uid, name: "Union", inputs: inputs, output: first.codec.Schema(), operator: func(*Env) *jobgraph.Operator {
		return &jobgraph.Operator{Spec: &jobgraph.Operator_Union{Union: &jobgraph.Union{}}}
	}})
	return &Stream[T]{env: first.env, node: n, codec: first.codec}
}

// Rebalance spreads the rows of a stream evenly.
func Rebalance[T any](s *Stream[T], uid string) *Stream[T] {
	in := s.forward()
	in.how = jobgraph.Distribution_DISTRIBUTION_REBALANCE
	n := s.env.add(&node{uid: uid, name: "Rebalance", inputs: []edge{in}, output: s.codec.Schema(), operator: func(*Env) *jobgraph.Operator {
		return &jobgraph.Operator{Spec: &jobgraph.Operator_Union{Union: &jobgraph.Union{}}}
	}})
	return &Stream[T]{env: s.env, node: n, codec: s.codec}
}

// Keyed is rows of T, those of equal keys in one subtask.
type Keyed[K, T any] struct {
	stream  *Stream[T] // its node emits the columns of T, then those of K
	keys    *rows.Codec[K]
	columns []uint32
}

// KeyBy brings rows together by what f says of them: a number, a text, a time, or a struct
// of such.
func KeyBy[K, T any](s *Stream[T], uid string, f func(T) K) *Keyed[K, T] {
	keys := codecOf[K](s.env, uid)
	output := append(datatype.Schema{}, s.codec.Schema()...)
	var columns []uint32
	for _, k := range keys.Schema() {
		columns = append(columns, uint32(len(output)))
		output = append(output, datatype.Field{Name: fmt.Sprintf("key of %s: %s", uid, k.Name), Type: k.Type})
	}
	n := s.env.function(&node{uid: uid, name: "KeyBy", inputs: []edge{s.forward()}, output: output}, nil, func() process.Function {
		return &keying[K, T]{input: input[T]{codec: s.codec}, keys: keys, schema: output.Arrow(), key: f}
	})
	return &Keyed[K, T]{stream: &Stream[T]{env: s.env, node: n, codec: s.codec}, keys: keys, columns: columns}
}

// hashed is an edge by the keys.
func (k *Keyed[K, T]) hashed() edge {
	return edge{from: k.stream.node, how: jobgraph.Distribution_DISTRIBUTION_HASH, keys: k.columns}
}
