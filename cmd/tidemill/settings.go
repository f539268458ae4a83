package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
)

// A file of settings is YAML as far as settings need it: KEY: VALUE, where a key is written
// whole or its parts are nested, by indentation or in braces.
//
//	worker.slots: 4
//	worker:
//	  memory: {size: 8 gb}

// readSettings are those of a file, unless its name is empty, and of -D, which win.
func readSettings(file string, args []string) (map[string]string, error) {
	settings := map[string]string{}
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, failure.Wrap(failure.Usage, err)
		}
		if settings, err = parseSettings(file, text); err != nil {
			return nil, err
		}
	}
	given, err := pairs("-D", args)
	if err != nil {
		return nil, err
	}
	maps.Copy(settings, given)
	return settings, nil
}

// writeSettings writes a file that readSettings reads and its owner alone: arguments of a
// process are seen by everybody on the machine.
func writeSettings(file string, settings map[string]string) error {
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		value := settings[key]
		if strings.ContainsAny(value, "\r\n") || len(value) > bufio.MaxScanTokenSize/2 {
			return failure.Errorf(failure.Usage, "setting %s: the value is longer than a line", key)
		}
		fmt.Fprintf(&text, "%s: \"%s\"\n", key, value)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) { // it may be readable to others
		return err
	}
	return os.WriteFile(file, []byte(text.String()), 0o600)
}

// parent is a key whose value is what is indented below it.
type parent struct {
	indent int
	key    string
	line   int
}

// settingsReader collects what a file says.
type settingsReader struct {
	name     string
	settings map[string]string
	line     int
	parents  []parent
	open     *parent // the key of the line before, which had no value
}

// parseSettings reads a file of settings; what is no setting is refused with its line.
func parseSettings(name string, text []byte) (map[string]string, error) {
	r := &settingsReader{name: name, settings: map[string]string{}}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		r.line++
		if err := r.take(lines.Text()); err != nil {
			return nil, err
		}
	}
	if err := lines.Err(); err != nil {
		return nil, failure.Errorf(failure.Usage, "%s: %w", name, err)
	}
	return r.settings, r.close()
}

func (r *settingsReader) refuse(line int, why string) error {
	return failure.Errorf(failure.Usage, "%s line %d: %s", r.name, line, why)
}

// take reads a line.
func (r *settingsReader) take(text string) error {
	line := strings.TrimSpace(text)
	if line == "" || line[0] == '#' {
		return nil
	}
	indent := len(text) - len(strings.TrimLeft(text, " "))
	if strings.HasPrefix(text[indent:], "\t") {
		return r.refuse(r.line, "indent by spaces, not by tabs")
	}
	if r.open != nil && indent > r.open.indent {
		r.parents, r.open = append(r.parents, *r.open), nil
	}
	if err := r.close(); err != nil {
		return err
	}
	for n := len(r.parents); n > 0 && r.parents[n-1].indent >= indent; n = len(r.parents) {
		r.parents = r.parents[:n-1]
	}
	prefix := ""
	if n := len(r.parents); n > 0 {
		prefix = r.parents[n-1].key + "."
	} else if indent > 0 && len(r.settings) > 0 {
		return r.refuse(r.line, "it is indented below a key that has a value")
	}
	key, value, ok := strings.Cut(line, ":")
	if !ok || key == "" || strings.TrimSpace(key) != key || strings.HasPrefix(key, "- ") {
		return r.refuse(r.line, "want KEY: VALUE")
	}
	if value = strings.TrimSpace(value); value == "" {
		r.open = &parent{indent: indent, key: prefix + key, line: r.line}
		return nil
	}
	return r.put(prefix+key, value, r.line)
}

// close gives the key that had neither a value nor anything below it the empty one.
func (r *settingsReader) close() error {
	open := r.open
	r.open = nil
	if open == nil {
		return nil
	}
	return r.put(open.key, "", open.line)
}

// put takes a setting, or those in braces.
func (r *settingsReader) put(key, value string, line int) error {
	if inner, ok := strings.CutPrefix(value, "{"); ok {
		inner, ok = strings.CutSuffix(inner, "}")
		parts, whole := splitFlow(inner)
		if !ok || !whole {
			return r.refuse(line, "the braces do not match")
		}
		for _, part := range parts {
			k, v, ok := strings.Cut(part, ":")
			if !ok {
				return r.refuse(line, "want {KEY: VALUE, ...}")
			}
			if err := r.put(key+"."+strings.TrimSpace(k), strings.TrimSpace(v), line); err != nil {
				return err
			}
		}
		return nil
	}
	if q := len(value); q > 1 && (value[0] == '"' || value[0] == '\'') && value[q-1] == value[0] {
		value = value[1 : q-1]
	}
	if _, twice := r.settings[key]; twice {
		return r.refuse(line, key+" is there twice")
	}
	if _, err := (config.Config{}).With(key, value, fmt.Sprintf("%s line %d", r.name, line)); err != nil {
		return err
	}
	r.settings[key] = value
	return nil
}

// splitFlow splits what stands between braces at its commas, but for those within inner
// braces; whole: those match.
func splitFlow(text string) (parts []string, whole bool) {
	depth, from := 0, 0
	for i, c := range text {
		switch {
		case c == '{':
			depth++
		case c == '}':
			depth--
		case c == ',' && depth == 0:
			parts, from = append(parts, text[from:i]), i+1
		}
		if depth < 0 {
			return nil, false
		}
	}
	if strings.TrimSpace(text[from:]) != "" {
		parts = append(parts, text[from:])
	}
	return parts, depth == 0
}
