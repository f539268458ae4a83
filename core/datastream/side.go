package datastream

import (
	"fmt"

	"github.com/tidemill/tidemill/core/datastream/internal/rows"
)

// Tag names an output beside the main one, of rows of T.
type Tag[T any] struct{ name string }

// NewTag returns a tag; it is the same as any other of this name.
func NewTag[T any](name string) Tag[T] { return Tag[T]{name} }

// SideOutput is what a function emits with a tag. from is what Process or another of
// its kind returned.
func SideOutput[T, Out any](from *Stream[Out], tag Tag[T]) *Stream[T] {
	codec := codecOf[T](from.env, from.node.uid)
	out := &Stream[T]{env: from.env, node: from.node, codec: codec}
	if from.side != 0 || from.env.functions[from.node.uid] == nil {
		from.env.fail(from.node.uid, fmt.Errorf("a side output %q of a stream that no function of its own makes", tag.name))
	}
	for i, s := range from.node.sides {
		if s.name == tag.name {
			if !s.schema.Equal(codec.Schema()) {
				from.env.fail(from.node.uid, fmt.Errorf("side output %q is of %s, and of %s", tag.name, s.schema, codec.Schema()))
			}
			out.side = i + 1
			return out
		}
	}
	from.node.sides = append(from.node.sides, side{tag.name, codec.Schema()})
	out.side = len(from.node.sides)
	return out
}

// Side is where a function emits rows with a tag. Open asks for it. Where nobody reads the
// side output, rows go nowhere.
func Side[T any](o *Opening, tag Tag[T]) (*Collector[T], error) {
	codec, err := rows.Of[T]()
	if err != nil {
		return nil, err
	}
	c := &Collector[T]{codec: codec}
	at := -1
	for i, s := range o.sides {
		if s.name == tag.name {
			at = i + 1
		}
	}
	c.open(o.rt, at)
	o.flushes = append(o.flushes, c.flush)
	return c, nil
}
