package logictest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// script is one file, read.
type script struct {
	path      string
	lines     []string
	settings  map[string]string
	streaming bool
	without   []string // names of variations that it does not run in
	noOracle  string   // why the whole file has no oracle
	records   []*record
}

// record is one step of a script.
type record struct {
	kind     recordKind
	path     string // of the file that it stands in
	line     int    // of its first line, counted from 1
	text     string // SQL, or a file's content
	name     string // of a file, or the label of a query
	failure  *wantFailure
	types    string
	order    order
	want     []string
	from, to int // lines of want in the file, counted from 0
	oracle   string
	noOracle string
}

type recordKind uint8

const (
	invalidRecord recordKind = iota
	fileRecord
	statementRecord
	queryRecord
)

// order says which order of rows counts.
type order uint8

const (
	invalidOrder order = iota
	exactOrder
	rowOrder   // rows in any order
	valueOrder // values in any order
)

// wantFailure is the error that a record expects.
type wantFailure struct {
	code    string
	pattern *regexp.Regexp
}

const maxIncludes = 8

func readScript(path string) (*script, error) { return readNested(path, 0) }

func readNested(path string, depth int) (*script, error) {
	if depth > maxIncludes {
		return nil, fmt.Errorf("%s: includes are nested more than %d deep", path, maxIncludes)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read script: %w", err)
	}
	s := &script{path: path, lines: strings.Split(string(data), "\n"), settings: map[string]string{}}
	r := reader{script: s, depth: depth}
	for r.at < len(s.lines) {
		if err := r.next(); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, r.at+1, err)
		}
	}
	if r.pending.oracle != "" || r.pending.noOracle != "" {
		return nil, fmt.Errorf("%s: oracle or nooracle without a record behind it", path)
	}
	return s, nil
}

// reader goes through the lines of one file.
type reader struct {
	script  *script
	depth   int
	at      int    // line, counted from 0
	pending record // oracle lines for the next record
}

// next reads one directive or record, or passes an empty line.
func (r *reader) next() error {
	line := strings.TrimSpace(r.script.lines[r.at])
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case line == "" || strings.HasPrefix(line, "#"):
	case word == "settings":
		key, value, ok := strings.Cut(rest, "=")
		if !ok {
			return fmt.Errorf("settings wants key=value")
		}
		r.script.settings[key] = value
	case line == "streaming":
		r.script.streaming = true
	case word == "without":
		variation, why, _ := strings.Cut(rest, ": ")
		if why == "" {
			return fmt.Errorf("without wants `VARIATION: why`")
		}
		r.script.without = append(r.script.without, variation)
	case word == "nooracle-file" && rest != "":
		r.script.noOracle = rest
	case word == "include":
		r.at++
		return r.include(filepath.Join(filepath.Dir(r.script.path), rest))
	case word == "oracle":
		r.pending.oracle += rest + "\n"
	case word == "nooracle" && rest != "":
		r.pending.noOracle = rest
	case word == "file", word == "statement", word == "query":
		return r.record(word, rest)
	default:
		return fmt.Errorf("%q begins no record", line)
	}
	r.at++
	return nil
}

func (r *reader) include(path string) error {
	inner, err := readNested(path, r.depth+1)
	if err != nil {
		return err
	}
	for _, rec := range inner.records {
		if rec.kind == queryRecord {
			return fmt.Errorf("%s:%d: an included file cannot have queries", rec.path, rec.line)
		}
	}
	r.script.records = append(r.script.records, inner.records...)
	return nil
}

// record reads a record whose first line is at r.at.
func (r *reader) record(word, rest string) error {
	rec := r.pending
	r.pending = record{}
	rec.path, rec.line = r.script.path, r.at+1
	var err error
	switch word {
	case "file":
		rec.kind, rec.name = fileRecord, rest
		if rest == "" || !filepath.IsLocal(rest) {
			err = fmt.Errorf("file wants a name below ${dir}")
		}
	case "statement":
		rec.kind = statementRecord
		if rest != "ok" {
			err = rec.failing(rest)
		}
	default:
		rec.kind = queryRecord
		err = rec.query(rest)
	}
	if err != nil {
		return err
	}
	r.at++
	head := r.block(func(line string) bool { return line == "" || line == "----" })
	if r.at < len(r.script.lines) && r.script.lines[r.at] == "----" {
		r.at++
		rec.from = r.at
		rec.want = r.block(func(line string) bool { return line == "" })
		rec.to = r.at
	}
	return r.finish(&rec, head)
}

// finish checks that the record has the parts that its kind wants.
func (r *reader) finish(rec *record, head []string) error {
	rec.text = strings.Join(head, "\n")
	switch {
	case rec.kind == fileRecord:
		if len(head) > 0 || rec.from == 0 {
			return fmt.Errorf("file wants ---- and its content")
		}
		rec.text = strings.Join(rec.want, "\n") + "\n"
	case rec.text == "":
		return fmt.Errorf("a record without SQL")
	case rec.kind == statementRecord && rec.from != 0:
		return fmt.Errorf("a statement has no rows: make it a query")
	case rec.kind == queryRecord && rec.failure == nil && rec.from == 0:
		return fmt.Errorf("a query wants ---- and rows")
	}
	r.script.records = append(r.script.records, rec)
	return nil
}

// block takes lines up to one at which end holds, or the end of the file.
func (r *reader) block(end func(line string) bool) []string {
	from := r.at
	for r.at < len(r.script.lines) && !end(r.script.lines[r.at]) {
		r.at++
	}
	return slices.Clone(r.script.lines[from:r.at])
}

func (rec *record) failing(rest string) error {
	text, ok := strings.CutPrefix(rest, "error ")
	code, pattern, _ := strings.Cut(text, " ")
	if !ok || code == "" {
		return fmt.Errorf("want `ok` or `error CODE regexp`, not %q", rest)
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	rec.failure = &wantFailure{code: code, pattern: compiled}
	return nil
}

func (rec *record) query(rest string) error {
	if strings.HasPrefix(rest, "error ") {
		return rec.failing(rest)
	}
	words := strings.Fields(rest)
	if len(words) == 0 {
		return fmt.Errorf("query wants the types of its columns")
	}
	rec.types, rec.order = words[0], exactOrder
	for _, letter := range rec.types {
		if !strings.ContainsRune(typeLetters, letter) {
			return fmt.Errorf("%q is no type; the types are %s", letter, typeLetters)
		}
	}
	words = words[1:]
	if len(words) > 0 {
		switch words[0] {
		case "rowsort":
			rec.order, words = rowOrder, words[1:]
		case "valuesort":
			rec.order, words = valueOrder, words[1:]
		}
	}
	if len(words) > 1 {
		return fmt.Errorf("what does %q mean?", words[1])
	}
	if len(words) == 1 {
		rec.name = words[0]
	}
	return nil
}

// place is where the record stands, for messages.
func (rec *record) place() string { return fmt.Sprintf("%s:%d", rec.path, rec.line) }

// rewrite stores the wanted rows of every query in the file.
func (s *script) rewrite() error {
	var out []string
	at := 0
	for _, rec := range s.records {
		if rec.kind != queryRecord || rec.path != s.path || rec.failure != nil {
			continue
		}
		out = append(append(out, s.lines[at:rec.from]...), rec.want...)
		at = rec.to
	}
	out = append(out, s.lines[at:]...)
	return os.WriteFile(s.path, []byte(strings.Join(out, "\n")), 0o644)
}
