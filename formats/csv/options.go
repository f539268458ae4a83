package csv

import (
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
)

// headerMode says whether the first line names the columns.
type headerMode uint8

const (
	headerAuto headerMode = iota + 1
	headerPresent
	headerAbsent
)

// dialect is a CSV file's form.
type dialect struct {
	delimiter   byte
	quote       byte
	quoting     bool
	hasNull     bool
	nullLiteral string
	header      headerMode
	lenient     bool
	comments    bool
}

var _ formats.OptionChecker = Format{}

// CheckOptions implements formats.OptionChecker.
func (Format) CheckOptions(o formats.Options, _ datatype.Schema) error {
	_, err := parseOptions(o)
	return err
}

func parseOptions(o formats.Options) (d dialect, err error) {
	s, err := o.Section("csv", "field-delimiter", "quote-character", "disable-quote-character", "null-literal", "header",
		"ignore-parse-errors", "allow-comments")
	if err != nil {
		return d, err
	}
	d = dialect{delimiter: ',', quote: '"', header: headerAuto}
	d.nullLiteral, d.hasNull = s["null-literal"]
	if d.delimiter, err = oneByte(s, "field-delimiter", ','); err != nil {
		return d, err
	}
	if d.quote, err = oneByte(s, "quote-character", '"'); err != nil {
		return d, err
	}
	noQuotes, err := boolean(s, "disable-quote-character")
	if err != nil {
		return d, err
	}
	d.quoting = !noQuotes
	if d.lenient, err = boolean(s, "ignore-parse-errors"); err != nil {
		return d, err
	}
	if d.comments, err = boolean(s, "allow-comments"); err != nil {
		return d, err
	}
	switch h := strings.ToLower(s["header"]); h {
	case "", "auto":
	case "true":
		d.header = headerPresent
	case "false":
		d.header = headerAbsent
	default:
		return d, failure.Errorf(failure.Usage, "csv.header = %q: want auto, true or false", h)
	}
	if d.delimiter == d.quote && d.quoting {
		return d, failure.Errorf(failure.Usage, "csv.field-delimiter and csv.quote-character are both %q", d.quote)
	}
	return d, nil
}

// oneByte reads an option of one byte; \t may be written so.
func oneByte(s map[string]string, key string, missing byte) (byte, error) {
	v, ok := s[key]
	if !ok {
		return missing, nil
	}
	if v == `\t` {
		v = "\t"
	}
	if len(v) != 1 || v[0] == '\n' || v[0] == '\r' {
		return 0, failure.Errorf(failure.Usage, "csv.%s = %q: want one byte that is no line break", key, v)
	}
	return v[0], nil
}

func boolean(s map[string]string, key string) (bool, error) {
	v, ok := s[key]
	if !ok {
		return false, nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return false, failure.Errorf(failure.Usage, "csv.%s = %q: want true or false", key, v)
	}
	return b, nil
}
