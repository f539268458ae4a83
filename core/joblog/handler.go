package joblog

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/rpc"
)

// key is the attribute that says which job a line is about.
const key = "job"

// handler is a slog.Handler that adds to a ring.
type handler struct {
	ring   *Ring
	next   slog.Handler
	job    id.Job // of the logger's attributes; zero: none
	prefix string // of the logger's other attributes, as text
	group  string // that attributes are in, with a dot at its end
}

// Handler keeps lines about jobs in the ring and passes all on to next.
func (r *Ring) Handler(next slog.Handler) slog.Handler { return &handler{ring: r, next: next} }

// Enabled implements slog.Handler.
func (h *handler) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.ring.opts.Level || h.next.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := *h
	out.next = h.next.WithAttrs(slices.Clone(attrs))
	var b strings.Builder
	b.WriteString(h.prefix)
	for _, a := range attrs {
		out.take(&b, a)
	}
	out.prefix = b.String()
	return &out
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	out := *h
	out.next, out.group = h.next.WithGroup(name), h.group+name+"."
	return &out
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= h.ring.opts.Level {
		line := *h // its job and attributes
		var b strings.Builder
		b.WriteString(r.Message)
		b.WriteString(h.prefix)
		r.Attrs(func(a slog.Attr) bool {
			line.take(&b, a)
			return true
		})
		if !line.job.IsZero() {
			h.ring.Add(line.job, &rpc.LogLine{
				At: r.Time.UnixMilli(), Level: r.Level.String(), Node: h.ring.opts.Node, Text: strings.ToValidUTF8(b.String(), "\uFFFD"),
			})
		}
	}
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

// take writes an attribute as text, or notes the job that it names.
func (h *handler) take(b *strings.Builder, a slog.Attr) {
	v := a.Value.Resolve()
	if a.Key == key && h.group == "" {
		if about, ok := jobOf(v); ok {
			h.job = about
			return
		}
	}
	if v.Kind() == slog.KindGroup {
		inner := *h
		if a.Key != "" {
			inner.group += a.Key + "."
		}
		for _, one := range v.Group() {
			inner.take(b, one)
		}
		return
	}
	if a.Equal(slog.Attr{}) {
		return
	}
	text := v.String()
	if text == "" || strings.ContainsAny(text, " \t\r\n\"=") {
		text = strconv.Quote(text)
	}
	b.WriteString(" " + h.group + a.Key + "=" + text)
}

func jobOf(v slog.Value) (id.Job, bool) {
	if j, ok := v.Any().(id.Job); ok {
		return j, !j.IsZero()
	}
	if v.Kind() != slog.KindString {
		return id.Job{}, false
	}
	j, err := id.ParseJob(v.String())
	return j, err == nil && !j.IsZero()
}
