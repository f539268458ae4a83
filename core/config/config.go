package config

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/suggest"
)

// Reload says when a changed value takes effect.
type Reload uint8

// The reload classes.
const (
	InvalidReload Reload = iota
	PerJob               // for jobs submitted afterwards
	PerProcess           // after a restart of the process
)

// String is the class in words.
func (r Reload) String() string {
	switch r {
	case PerJob:
		return "per job"
	case PerProcess:
		return "at start"
	default:
		return "invalid"
	}
}

// Info describes an option, whatever its type.
type Info struct {
	Key     string
	Type    string
	Default string
	Doc     string
	Reload  Reload
	Secret  bool // values are shown as ***
	check   func(string) error
}

// Secret is text that nobody may see: it prints as ***.
type Secret string

// Reveal returns the text.
func (s Secret) Reveal() string { return string(s) }

// String hides the text.
func (Secret) String() string { return hidden }

// Format hides the text under every verb: fmt shows the value of a string under one
// that does not suit strings, whatever its String says.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText hides the text in JSON and logs.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

const hidden = "***"

// Show is a value of the option as it may be printed.
func (i Info) Show(text string) string {
	if i.Secret && text != "" {
		return hidden
	}
	return text
}

// Option is a setting of type T.
type Option[T any] struct {
	info  Info
	value T
	parse func(string) (T, error)
}

// Key is the option's name.
func (o Option[T]) Key() string { return o.info.Key }

// Get returns the value in c, or the default.
func (o Option[T]) Get(c Config) T {
	text, ok := c.values[o.info.Key]
	if !ok {
		return o.value
	}
	v, err := o.parse(text.text)
	if err != nil {
		panic(fmt.Sprintf("config: %s was checked when it was set: %v", o.info.Key, err))
	}
	return v
}

func option[T any](key, kind, text, doc string, reload Reload, parse func(string) (T, error)) Option[T] {
	value, err := parse(text)
	if err != nil {
		panic(fmt.Sprintf("config: default of %s: %v", key, err))
	}
	check := func(s string) error { _, err := parse(s); return err }
	return Option[T]{
		info:  Info{Key: key, Type: kind, Default: text, Doc: doc, Reload: reload, check: check},
		value: value, parse: parse,
	}
}

func stringOption(key, value, doc string, reload Reload, allowed ...string) Option[string] {
	return option(key, "string", value, doc, reload, func(s string) (string, error) {
		if len(allowed) > 0 && !slices.Contains(allowed, s) {
			return "", fmt.Errorf("%q is not one of %s", s, strings.Join(allowed, ", "))
		}
		return s, nil
	})
}

func boolOption(key string, value bool, doc string, reload Reload) Option[bool] {
	return option(key, "boolean", strconv.FormatBool(value), doc, reload, func(s string) (bool, error) {
		v, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(s)))
		if err != nil {
			return false, fmt.Errorf("%q is not true or false", s)
		}
		return v, nil
	})
}

func secretOption(key, doc string, reload Reload) Option[Secret] {
	o := option(key, "string", "", doc, reload, func(s string) (Secret, error) { return Secret(s), nil })
	o.info.Secret = true
	return o
}

func intOption(key string, value, least, most int, doc string, reload Reload) Option[int] {
	return option(key, "integer", strconv.Itoa(value), doc, reload, func(s string) (int, error) {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < least || n > most {
			return 0, fmt.Errorf("%q is not a whole number from %d to %d", s, least, most)
		}
		return n, nil
	})
}

func floatOption(key string, value, least, most float64, doc string, reload Reload) Option[float64] {
	return option(key, "number", strconv.FormatFloat(value, 'g', -1, 64), doc, reload, func(s string) (float64, error) {
		n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil || !(n >= least && n <= most) {
			return 0, fmt.Errorf("%q is not a number from %g to %g", s, least, most)
		}
		return n, nil
	})
}

func bytesOption(key, value, doc string, reload Reload) Option[int64] {
	return option(key, "size", value, doc, reload, ParseBytes)
}

func durationOption(key, value, doc string, reload Reload) Option[time.Duration] {
	return option(key, "duration", value, doc, reload, ParseDuration)
}

func zoneOption(key, value, doc string, reload Reload) Option[*time.Location] {
	return option(key, "time zone", value, doc, reload, func(s string) (*time.Location, error) {
		if s == "" || s == "Local" {
			return nil, fmt.Errorf("%q is not a time zone such as UTC or Europe/Paris", s)
		}
		zone, err := time.LoadLocation(s)
		if err != nil {
			return nil, fmt.Errorf("%q is not a time zone such as UTC or Europe/Paris", s)
		}
		return zone, nil
	})
}

// ParseBytes reads a size such as 64mb, 1 GiB or 4096. Units are powers of 1024,
// as in Flink.
func ParseBytes(s string) (int64, error) {
	number, unit := split(s)
	shift, ok := map[string]uint{
		"": 0, "b": 0, "k": 10, "kb": 10, "kib": 10, "m": 20, "mb": 20, "mib": 20,
		"g": 30, "gb": 30, "gib": 30, "t": 40, "tb": 40, "tib": 40,
	}[unit]
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || !ok || n < 0 || n > (1<<62)>>shift {
		return 0, fmt.Errorf("%q is not a size such as 64mb", s)
	}
	return n << shift, nil
}

// ParseDuration reads a duration such as 10 s, 500ms, 2 min or 1 d. A bare
// number counts milliseconds, as in Flink.
func ParseDuration(s string) (time.Duration, error) {
	number, unit := split(s)
	scale, ok := map[string]time.Duration{
		"": time.Millisecond, "ns": 1, "us": time.Microsecond, "ms": time.Millisecond,
		"s": time.Second, "sec": time.Second, "m": time.Minute, "min": time.Minute,
		"h": time.Hour, "d": 24 * time.Hour,
	}[unit]
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || !ok || n < 0 || n > int64(1<<62)/int64(max(scale, 1)) {
		return 0, fmt.Errorf("%q is not a duration such as 10 s", s)
	}
	return time.Duration(n) * scale, nil
}

func split(s string) (number, unit string) {
	s = strings.ToLower(strings.TrimSpace(s))
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	return s[:end], strings.TrimSpace(s[end:])
}

type given struct{ text, origin string }

// Config is a set of given values. The zero Config has none: every option has
// its default. It is immutable and may be shared.
type Config struct {
	values map[string]given
}

// With returns c with one more value. origin says where it was given: a file,
// a flag, a SET statement.
func (c Config) With(key, text, origin string) (Config, error) {
	info, ok := byKey[key]
	if !ok {
		hint := ""
		if near := suggest.Closest(key, Keys()); near != "" {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
		return c, failure.Errorf(failure.Usage, "%s: unknown option %s%s", origin, key, hint)
	}
	if err := info.check(text); err != nil {
		return c, failure.Errorf(failure.Usage, "%s: option %s: %w", origin, key, err)
	}
	values := maps.Clone(c.values)
	if values == nil {
		values = map[string]given{}
	}
	values[key] = given{text: text, origin: origin}
	return Config{values: values}, nil
}

// Without returns c with the default for key again.
func (c Config) Without(key string) Config {
	values := maps.Clone(c.values)
	delete(values, key)
	return Config{values: values}
}

// Given returns the text that key was given as, and where.
func (c Config) Given(key string) (text, origin string, ok bool) {
	g, ok := c.values[key]
	return g.text, g.origin, ok
}

// Map returns the given values, for a job graph's options. Secrets are not among
// them: a job graph is stored and shown.
func (c Config) Map() map[string]string {
	out := make(map[string]string, len(c.values))
	for k, g := range c.values {
		if !byKey[k].Secret {
			out[k] = g.text
		}
	}
	return out
}

// FromMap is the inverse of Map.
func FromMap(m map[string]string, origin string) (Config, error) {
	var c Config
	for _, k := range slices.Sorted(maps.Keys(m)) {
		var err error
		if c, err = c.With(k, m[k], origin); err != nil {
			return Config{}, err
		}
	}
	return c, nil
}
