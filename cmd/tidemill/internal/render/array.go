package render

import (
	"bytes"
	"io"

	"github.com/tidemill/tidemill/formats"
)

// jsonArray makes one JSON array of the lines that the JSON format writes: a line break
// in a line would be escaped, so each one that passes ends a row.
type jsonArray struct {
	out   io.Writer
	begun bool
	ended bool // the last byte was a line's end
}

// Write implements io.Writer.
func (a *jsonArray) Write(p []byte) (int, error) {
	var b bytes.Buffer
	for rest := p; len(rest) > 0; {
		line, tail, ended := bytes.Cut(rest, []byte{'\n'})
		switch {
		case !a.begun:
			b.WriteString("[\n")
		case a.ended:
			b.WriteString(",\n")
		}
		b.Write(line)
		a.begun, a.ended, rest = true, ended, tail
	}
	if _, err := a.out.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (a *jsonArray) end() error {
	end := "\n]\n"
	if !a.begun {
		end = "[]\n"
	}
	_, err := io.WriteString(a.out, end)
	return err
}

// arrayWriter ends the array after the last line.
type arrayWriter struct {
	formats.Writer
	array *jsonArray
}

// Close implements formats.Writer.
func (w arrayWriter) Close() error {
	if err := w.Writer.Close(); err != nil {
		return err
	}
	return w.array.end()
}
