package datastream

import (
	"fmt"
	"time"

	"github.com/tidemill/tidemill/core/datastream/internal/rows"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/operator/process"
	"github.com/tidemill/tidemill/core/stream"
)

// ProcessFunction is a function over a stream, keyed by K. One is made for each subtask.
// One that is also a TimerFunction or a Closer is told of that.
type ProcessFunction[K, In, Out any] interface {
	// Open declares state and side outputs. It is called once, first.
	Open(o *Opening) error
	// Process takes a row.
	Process(ctx *Context[K], in In, out *Collector[Out]) error
}

// TimerFunction is a ProcessFunction that sets timers.
type TimerFunction[K, Out any] interface {
	// OnTimer is called when a timer of a key fires. The watermark, or the clock, has
	// reached its time, or passed it. At the end of input all timers of event time fire,
	// those too that are set then: a function that sets another one each time must look at
	// Context.Ended.
	OnTimer(ctx *Context[K], t Timer, out *Collector[Out]) error
}

// Closer is a function with something to give back.
type Closer interface {
	// Close is called once, last, also after an error.
	Close() error
}

// None is the key of streams that have none.
type None struct{}

// Timer is one that fires.
type Timer struct {
	At         time.Time
	Processing bool // by the clock, not by event time
}

// Context is what a function may ask about the row or timer in hand. It is valid during
// the call.
type Context[K any] struct {
	codec  *rows.Codec[K] // nil: no keys
	rt     *process.Runtime
	keys   []K
	number int32
}

// Key is the key in hand.
func (c *Context[K]) Key() K { return c.keys[c.number] }

// Watermark is how far event time has come; the zero Time before there was one.
func (c *Context[K]) Watermark() time.Time {
	if w := c.rt.Watermark(); w > stream.MinWatermark {
		return time.UnixMilli(int64(w)).UTC()
	}
	return time.Time{}
}

// Ended says that the input has ended and what remains are timers.
func (c *Context[K]) Ended() bool { return c.rt.Watermark() == stream.MaxWatermark }

// Now is processing time, as the task last looked at the clock: a few times a second. It is
// the zero Time before that.
func (c *Context[K]) Now() time.Time {
	if n := c.rt.Now(); n != 0 {
		return time.UnixMilli(n).UTC()
	}
	return time.Time{}
}

// SetTimer sets a timer of the key by event time, in milliseconds; one of the same time
// replaces it. One whose time is over fires with the next watermark.
func (c *Context[K]) SetTimer(at time.Time) { c.timer(process.EventTime, at, true) }

// DeleteTimer takes a timer of event time back, if there is one.
func (c *Context[K]) DeleteTimer(at time.Time) { c.timer(process.EventTime, at, false) }

// SetProcessingTimer sets a timer of the key by the clock. It fires when the task looks at
// it, and never once the input has ended.
func (c *Context[K]) SetProcessingTimer(at time.Time) { c.timer(process.ProcessingTime, at, true) }

// DeleteProcessingTimer takes one of these back.
func (c *Context[K]) DeleteProcessingTimer(at time.Time) {
	c.timer(process.ProcessingTime, at, false)
}

func (c *Context[K]) timer(d process.Domain, at time.Time, set bool) {
	c.rt.SetTimer(process.Timer{Domain: d, At: at.UnixMilli()}, set)
}

// begin decodes the keys in hand.
func (c *Context[K]) begin() (err error) {
	if c.codec == nil {
		c.keys = make([]K, 1)
		return nil
	}
	heads := c.rt.Heads()
	c.keys, err = c.codec.Decode(c.rt.Alloc(), c.rt.Keys(), heads, len(heads), c.keys)
	return err
}

// hand takes the row, or timer, at a place in hand.
func (c *Context[K]) hand(place int) { c.number = c.rt.Select(place) }

// Opening is what Open declares with.
type Opening struct {
	rt      *process.Runtime
	sides   []side
	flushes []func() error // at the end of a batch
}

// Subtask is which one of how many the function is of.
func (o *Opening) Subtask() (index, parallelism int) { return o.rt.Subtask() }

// Process runs a function over a keyed stream.
func Process[K, In, Out any](s *Keyed[K, In], uid string, made func() ProcessFunction[K, In, Out]) *Stream[Out] {
	return processOf(s.stream, uid, s.hashed(), s.columns, s.keys, made)
}

// ProcessAll runs a function over a stream without keys: it has shared state only.
func ProcessAll[In, Out any](s *Stream[In], uid string, made func() ProcessFunction[None, In, Out]) *Stream[Out] {
	return processOf(s, uid, s.forward(), nil, nil, made)
}

func processOf[K, In, Out any](s *Stream[In], uid string, in edge, keys []uint32, codec *rows.Codec[K], made func() ProcessFunction[K, In, Out]) *Stream[Out] {
	out := codecOf[Out](s.env, uid)
	n := &node{uid: uid, name: "Process", inputs: []edge{in}, output: out.Schema()}
	s.env.function(n, keys, func() process.Function {
		f := &processing[K, In, Out]{in: input[In]{codec: s.codec, place: -1}, function: made()}
		f.init(n, codec, out, f.function)
		return f
	})
	return &Stream[Out]{env: s.env, node: n, codec: out}
}

// user is what functions of the user's have in common.
type user[K, Out any] struct {
	node    *node
	ctx     Context[K]
	opening Opening
	out     Collector[Out]
	timer   TimerFunction[K, Out] // nil: it sets none
	closer  Closer
	at      process.Timer // in hand, where a timer is
}

func (u *user[K, Out]) init(n *node, keys *rows.Codec[K], out *rows.Codec[Out], f any) {
	u.node, u.out.codec, u.ctx.codec = n, out, keys
	u.timer, _ = f.(TimerFunction[K, Out])
	u.closer, _ = f.(Closer)
}

func (u *user[K, Out]) open(r *process.Runtime, f interface{ Open(o *Opening) error }) error {
	u.ctx.rt, u.opening.rt, u.opening.sides = r, r, u.node.sides
	u.out.open(r, 0)
	if err := f.Open(&u.opening); err != nil {
		return userError("open", err)
	}
	return nil
}

// Timers implements process.Function.
func (u *user[K, Out]) Timers(int) error {
	if u.timer == nil {
		return failure.Errorf(failure.UserCode, "a timer fires, and the function has no OnTimer")
	}
	return u.ctx.begin()
}

// Timer implements process.Function.
func (u *user[K, Out]) Timer(i int, t process.Timer) error {
	u.at = t
	u.ctx.hand(i)
	err := u.timer.OnTimer(&u.ctx, Timer{At: time.UnixMilli(t.At).UTC(), Processing: t.Domain == process.ProcessingTime}, &u.out)
	if err != nil {
		return userError(u.timerRow(), err)
	}
	return u.out.err
}

func (u *user[K, Out]) timerRow() string {
	return fmt.Sprintf("timer of %s at %s of key %+v", u.at.Domain, time.UnixMilli(u.at.At).UTC().Format(time.RFC3339Nano), u.ctx.Key())
}

// Flush implements process.Function: state, then what is emitted.
func (u *user[K, Out]) Flush() error {
	u.at = process.Timer{}
	for _, f := range u.opening.flushes {
		if err := f(); err != nil {
			return err
		}
	}
	return u.out.flush()
}

// Close implements process.Function.
func (u *user[K, Out]) Close() error {
	if u.closer == nil {
		return nil
	}
	return u.closer.Close()
}

// processing is Process.
type processing[K, In, Out any] struct {
	user[K, Out]

	in       input[In]
	function ProcessFunction[K, In, Out]
}

// Open implements process.Function.
func (p *processing[K, In, Out]) Open(r *process.Runtime) error {
	p.in.rt = r
	return p.open(r, p.function)
}

// Process implements process.Function.
func (p *processing[K, In, Out]) Process(_ int, b *stream.Batch) error {
	if err := p.in.take(b); err != nil {
		return err
	}
	if err := p.ctx.begin(); err != nil {
		return err
	}
	for i := range p.in.rows {
		p.in.place = i
		p.ctx.hand(i)
		if err := p.function.Process(&p.ctx, p.in.rows[i], &p.out); err != nil {
			return p.in.failed(err)
		}
		if p.out.err != nil {
			return p.out.err
		}
	}
	return nil
}

// Row implements process.Function.
func (p *processing[K, In, Out]) Row() string {
	if p.at.Domain != process.InvalidDomain {
		return p.timerRow()
	}
	return p.in.Row()
}

var _ process.Function = (*processing[None, None, None])(nil)
