package datastream

import (
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/operator/process"
	"github.com/tidemill/tidemill/core/stream"
)

// BroadcastFunction is a function over a keyed stream and another that every subtask gets
// whole. It may be a TimerFunction and a Closer, too.
type BroadcastFunction[K, In, All, Out any] interface {
	// Open declares state and side outputs. It is called once, first.
	Open(o *Opening) error
	// Process takes a row of the keyed stream. It must not write broadcast state.
	Process(ctx *Context[K], in In, out *Collector[Out]) error
	// ProcessBroadcast takes a row that every subtask gets. There is no key in hand: it has
	// neither keyed state nor timers. What it does with broadcast state must depend on
	// nothing but that state and the row, and not on the order of rows, where the stream
	// has several subtasks.
	ProcessBroadcast(ctx *Context[K], in All, out *Collector[Out]) error
}

// Connected is a keyed stream beside one that every subtask gets.
type Connected[K, In, All any] struct {
	keyed *Keyed[K, In]
	all   *Stream[All]
}

// Connect puts a stream that every subtask gets beside a keyed one.
func Connect[K, In, All any](s *Keyed[K, In], all *Stream[All]) *Connected[K, In, All] {
	return &Connected[K, In, All]{s, all}
}

// ProcessBroadcast runs a function over connected streams.
func ProcessBroadcast[K, In, All, Out any](c *Connected[K, In, All], uid string, made func() BroadcastFunction[K, In, All, Out]) *Stream[Out] {
	env, out := c.keyed.stream.env, codecOf[Out](c.keyed.stream.env, uid)
	everywhere := c.all.forward()
	everywhere.how = jobgraph.Distribution_DISTRIBUTION_BROADCAST
	n := &node{uid: uid, name: "Process", inputs: []edge{c.keyed.hashed(), everywhere}, output: out.Schema()}
	env.function(n, c.keyed.columns, func() process.Function {
		f := &connected[K, In, All, Out]{
			processing: processing[K, In, Out]{in: input[In]{codec: c.keyed.stream.codec, place: -1}},
			all:        input[All]{codec: c.all.codec, place: -1}, both: made(),
		}
		f.function = f.both
		f.init(n, c.keyed.keys, out, f.both)
		return f
	})
	return &Stream[Out]{env: env, node: n, codec: out}
}

// connected is ProcessBroadcast.
type connected[K, In, All, Out any] struct {
	processing[K, In, Out]

	all  input[All]
	both BroadcastFunction[K, In, All, Out]
}

// Open implements process.Function.
func (c *connected[K, In, All, Out]) Open(r *process.Runtime) error {
	c.all.rt = r
	return c.processing.Open(r)
}

// Process implements process.Function.
func (c *connected[K, In, All, Out]) Process(input int, b *stream.Batch) error {
	if c.all.place = -1; input == 0 {
		return c.processing.Process(input, b)
	}
	if err := c.all.take(b); err != nil {
		return err
	}
	for i := range c.all.rows {
		c.all.place = i
		if err := c.both.ProcessBroadcast(&c.ctx, c.all.rows[i], &c.out); err != nil {
			return c.all.failed(err)
		}
		if c.out.err != nil {
			return c.out.err
		}
	}
	return nil
}

// Row implements process.Function.
func (c *connected[K, In, All, Out]) Row() string {
	if row := c.all.Row(); row != "" {
		return row
	}
	return c.processing.Row()
}

var _ process.Function = (*connected[None, None, None, None])(nil)
