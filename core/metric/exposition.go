package metric

import (
	"bufio"
	"io"
	"math/bits"
	"strconv"
	"strings"
)

// ExpositionType is the content type of what WriteText writes.
const ExpositionType = "text/plain; version=0.0.4; charset=utf-8"

// WriteText writes every series of the registry in Prometheus' text form, in base units.
// A histogram has a bucket for each power of two between its smallest and largest value.
func (r *Registry) WriteText(w io.Writer) error {
	out := bufio.NewWriter(w)
	name := ""
	for s := range r.All() {
		if s.Name != name {
			name = s.Name
			writeHead(out, s)
		}
		if s.Kind == HistogramKind {
			writeHistogram(out, s)
			continue
		}
		writeValue(out, s.Name, s.Labels, "", s.Value)
	}
	return out.Flush()
}

func writeHead(out *bufio.Writer, s Sample) {
	kind := s.Kind.String()
	_, _ = out.WriteString("# HELP " + s.Name + " " + escape(s.Help, "\\\n") + "\n# TYPE " + s.Name + " " + kind + "\n")
}

// writeHistogram gathers the buckets by octave: a reader wants few of them, and the same
// ones from day to day.
func writeHistogram(out *bufio.Writer, s Sample) {
	scale := s.Unit.Scale()
	var below uint64 // values of the buckets so far
	top := int64(-1) // the octave's largest value
	flush := func() {
		if top >= 0 {
			writeValue(out, s.Name+"_bucket", s.Labels, formatFloat(float64(top)*scale), float64(below))
		}
	}
	for last, count := range s.Histogram.Buckets() {
		if octave := int64(1)<<bits.Len64(uint64(last)) - 1; octave != top {
			flush()
			top = octave
		}
		below += count
	}
	flush()
	writeValue(out, s.Name+"_bucket", s.Labels, "+Inf", float64(s.Histogram.Count))
	writeValue(out, s.Name+"_sum", s.Labels, "", float64(s.Histogram.Sum)*scale)
	writeValue(out, s.Name+"_count", s.Labels, "", float64(s.Histogram.Count))
}

// writeValue writes one line; le is the border of a histogram's bucket, or empty.
func writeValue(out *bufio.Writer, name string, labels []Label, le string, value float64) {
	_, _ = out.WriteString(name)
	sep := byte('{')
	label := func(name, value string) {
		_ = out.WriteByte(sep)
		_, _ = out.WriteString(name + `="` + escape(value, "\\\n\"") + `"`)
		sep = ','
	}
	for _, l := range labels {
		label(l.Name, l.Value)
	}
	if le != "" {
		label("le", le)
	}
	if sep == ',' {
		_ = out.WriteByte('}')
	}
	_, _ = out.WriteString(" " + formatFloat(value) + "\n")
}

func formatFloat(x float64) string {
	switch {
	case x != x:
		return "NaN"
	case x > 1.7e308:
		return "+Inf"
	case x < -1.7e308:
		return "-Inf"
	case x == float64(int64(x)) && x < 1e15 && x > -1e15:
		return strconv.FormatInt(int64(x), 10)
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// escape puts a backslash before the special characters of a help or a label.
func escape(text, special string) string {
	if !strings.ContainsAny(text, special) {
		return text
	}
	var b strings.Builder
	for _, c := range []byte(text) {
		if strings.IndexByte(special, c) < 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('\\')
		if c == '\n' {
			c = 'n'
		}
		b.WriteByte(c)
	}
	return b.String()
}
