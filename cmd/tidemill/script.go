package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser"
	"github.com/tidemill/tidemill/core/suggest"
)

// script is statements with the text that they stand in.
type script struct {
	name       string // file, for messages; empty for the command line's text
	text       string
	statements []ast.Statement
}

// readScript takes the text of an argument, a file or standard input, replaces
// variables and parses it.
func readScript(argument, file string, stdin io.Reader, variables map[string]string) (script, error) {
	s := script{name: file, text: argument}
	switch {
	case file == "-" || file == "" && argument == "":
		data, err := io.ReadAll(io.LimitReader(stdin, parser.MaxBytes+1))
		if err != nil {
			return s, fmt.Errorf("read standard input: %w", err)
		}
		s.name, s.text = "", string(data)
	case file != "":
		data, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			return s, failure.Wrap(failure.NotFound, err)
		}
		if err != nil {
			return s, failure.Wrap(failure.Usage, err)
		}
		s.text = string(data)
	}
	return s, s.parse(variables)
}

func (s *script) parse(variables map[string]string) error {
	text, err := substitute(s.text, variables)
	if err != nil {
		return s.place(err)
	}
	s.text = text
	s.statements, err = parser.ParseScript(text)
	return s.place(err)
}

// place adds the script's name to an error.
func (s *script) place(err error) error {
	if err == nil || s.name == "" {
		return err
	}
	return fmt.Errorf("%s: %w", s.name, err)
}

// substitute replaces ${name} by its value; a name without one is an error, not
// an empty text.
func substitute(text string, variables map[string]string) (string, error) {
	var b strings.Builder
	rest := text
	for {
		before, after, found := strings.Cut(rest, "${")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, tail, closed := strings.Cut(after, "}")
		value, known := variables[name]
		if !closed || !known {
			line := 1 + strings.Count(text[:len(text)-len(after)], "\n")
			hint := ""
			if near := suggest.Closest(name, slices.Sorted(maps.Keys(variables))); near != "" {
				hint = fmt.Sprintf("; did you mean ${%s}?", near)
			}
			if !closed {
				return "", failure.Errorf(failure.Usage, "line %d: ${ without }", line)
			}
			return "", failure.Errorf(failure.Usage, "line %d: variable ${%s} has no value: give -v %s=...%s", line, name, name, hint)
		}
		b.WriteString(value)
		rest = tail
	}
}
