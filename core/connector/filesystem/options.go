package filesystem

import (
	"slices"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/suggest"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/fs"
)

// Name is the value of the 'connector' option.
const Name = "filesystem"

// The options of a table, besides the format's own (csv.field-delimiter, ...).
const (
	optConnector = "connector"
	optPath      = "path"
	optFormat    = "format"
	optFileSize  = "sink.rolling-policy.file-size"
	optMissing   = "source.allow-missing-columns"
	optMonitor   = "source.monitor-interval"
)

var known = slices.Concat([]string{optConnector, optPath, optFormat, optFileSize, optMissing, optMonitor}, commitOptions, connector.LookupOptions())

// Limits.
const (
	defaultFileSize = 256 << 20
	minSpanBytes    = 1 << 20
	maxSpanBytes    = 64 << 20
	// By one writer; beyond, the one written longest ago is sealed. Rows that come to all
	// partitions in turn then make a file of each few, so it is more than tables often have.
	maxOpenFiles = 1024
	// maxBuffered is what the open files of one writer may hold back in memory
	// together; beyond, those that hold the most write it out.
	maxBuffered = 128 << 20
	maxFiles    = 1 << 20
)

// location is a table's options, read.
type location struct {
	uri          string
	memos        *memos
	fsys         fs.FileSystem
	path         string
	format       formats.Format // nil until a file's name tells
	options      formats.Options
	fileSize     int64
	allowMissing bool
	completion   *completion   // of table partitions; nil: nobody is told
	every        time.Duration // how often new files are looked for; 0: never
}

func (c *Connector) locate(t connector.Table) (location, error) {
	if err := c.checkKeys(t); err != nil {
		return location{}, err
	}
	loc := location{uri: t.Options[optPath], memos: c.memos, options: t.Options, fileSize: defaultFileSize}
	if loc.uri == "" {
		return loc, failure.Errorf(failure.InvalidSQL, "table %s: option '%s' is missing", t.Name, optPath)
	}
	var err error
	if loc.fsys, loc.path, err = c.fs.Resolve(loc.uri); err != nil {
		return loc, failure.Errorf(failure.InvalidSQL, "table %s: %w", t.Name, err)
	}
	if name := t.Options[optFormat]; name != "" {
		if loc.format, err = c.formats.Lookup(name); err != nil {
			return loc, failure.Errorf(failure.InvalidSQL, "table %s: option '%s': %w", t.Name, optFormat, err)
		}
	} else if f, ok := c.formats.ForPath(loc.path); ok {
		loc.format = f
	}
	if size := t.Options[optFileSize]; size != "" {
		if loc.fileSize, err = config.ParseBytes(size); err != nil || loc.fileSize < 1 {
			return loc, failure.Errorf(failure.InvalidSQL, "table %s: option '%s': %q is not a size such as 128mb", t.Name, optFileSize, size)
		}
	}
	if every := t.Options[optMonitor]; every != "" {
		if loc.every, err = config.ParseDuration(every); err != nil || loc.every < time.Millisecond {
			return loc, failure.Errorf(failure.InvalidSQL, "table %s: option '%s': %q is not a time such as 10 s", t.Name, optMonitor, every)
		}
	}
	switch v := strings.ToLower(t.Options[optMissing]); v {
	case "", "false":
	case "true":
		loc.allowMissing = true
	default:
		return loc, failure.Errorf(failure.InvalidSQL, "table %s: option '%s': %q is not true or false", t.Name, optMissing, v)
	}
	if loc.completion, err = parseCompletion(t); err != nil {
		return loc, err
	}
	if _, err := connector.ParseLookup(t, connector.FullCache); err != nil {
		return loc, err
	}
	return loc, checkFormat(loc.format, t)
}

// Publishes implements connector.Publisher.
func (c *Connector) Publishes(connector.Table) bool { return true }

// CheckOptions implements connector.OptionChecker.
func (c *Connector) CheckOptions(t connector.Table) error {
	_, err := c.locate(t)
	return err
}

// checkFormat checks the options that are the format's, where that is known yet, and
// refuses those of another one.
func checkFormat(f formats.Format, t connector.Table) error {
	if f == nil {
		return nil
	}
	for key := range t.Options {
		if prefix, _, dotted := strings.Cut(key, "."); dotted && !slices.Contains(known, key) && prefix != f.Name() {
			return failure.Errorf(failure.InvalidSQL, "table %s: option '%s' is not one of format %s", t.Name, key, f.Name())
		}
	}
	checker, ok := f.(formats.OptionChecker)
	if !ok {
		return nil
	}
	var inFile datatype.Schema
	for _, c := range t.Schema {
		if !slices.Contains(t.Partitions, c.Name) {
			inFile = append(inFile, c)
		}
	}
	if err := checker.CheckOptions(t.Options, inFile); err != nil {
		return failure.Errorf(failure.InvalidSQL, "table %s: %w", t.Name, err)
	}
	return nil
}

// checkKeys refuses options that nothing would look at. Keys under a format's
// prefix are the format's to check.
func (c *Connector) checkKeys(t connector.Table) error {
	for key := range t.Options {
		prefix, _, dotted := strings.Cut(key, ".")
		if slices.Contains(known, key) || dotted && slices.Contains(c.formats.Names(), prefix) {
			continue
		}
		hint := ""
		if near := suggest.Closest(key, known); near != "" {
			hint = "; did you mean '" + near + "'?"
		}
		return failure.Errorf(failure.InvalidSQL, "table %s: unknown option '%s' of connector %s%s", t.Name, key, Name, hint)
	}
	return nil
}

// formatFor is the format of one file of the table.
func (c *Connector) formatFor(loc location, file string) (formats.Format, error) {
	if loc.format != nil {
		return loc.format, nil
	}
	if f, ok := c.formats.ForPath(file); ok {
		return f, nil
	}
	return nil, failure.Errorf(failure.InvalidSQL, "%s: the file name tells no format; give option 'format' (one of %s)",
		file, strings.Join(c.formats.Names(), ", "))
}
