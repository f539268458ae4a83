package fs

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Limits of a pattern: beyond them Glob refuses rather than fills memory.
const (
	// MaxGlobAlternatives is the number of patterns that braces may spell.
	MaxGlobAlternatives = 1024
	// MaxGlobMatches is the number of files that one pattern may match.
	MaxGlobMatches = 1 << 20
)

// ErrPattern says that a glob pattern is malformed or beyond its limits.
var ErrPattern = errors.New("bad glob pattern")

// HasGlob reports whether p contains a character that Glob interprets.
func HasGlob(p string) bool { return strings.ContainsAny(p, `*?[{\`) }

// Glob returns the files that match pattern, each once, sorted by path. In a
// pattern * stands for any text and ? for one character within a path part,
// [a-z] and [^a-z] for one of a class, {a,b} for either text, ** as a whole
// part for any number of parts; a backslash takes the next character as it is.
// Wildcards at the front of a part do not match names that Readable leaves
// out. Directories are not returned. No match is an empty result.
func Glob(ctx context.Context, fsys FileSystem, pattern string) ([]Info, error) {
	alternatives, err := expandBraces(pattern)
	if err != nil {
		return nil, err
	}
	g := globber{fsys: fsys, found: map[string]Info{}}
	for _, alt := range alternatives {
		dir, parts, err := compileGlob(alt)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", pattern, err)
		}
		if err := g.walk(ctx, dir, parts); err != nil {
			return nil, err
		}
	}
	result := make([]Info, 0, len(g.found))
	for _, info := range g.found {
		result = append(result, info)
	}
	slices.SortFunc(result, func(a, b Info) int { return strings.Compare(a.Path, b.Path) })
	return result, nil
}

// compileGlob parts a pattern without braces into the literal directory that
// it begins with and the parts that remain, and checks their syntax.
func compileGlob(pattern string) (dir string, parts []string, err error) {
	prefix := ""
	if strings.HasPrefix(pattern, "/") {
		prefix = "/"
	}
	for _, part := range strings.Split(pattern, "/") {
		if part != "" && part != "." {
			parts = append(parts, part)
		}
	}
	for _, part := range parts {
		if _, err := path.Match(part, ""); err != nil {
			return "", nil, fmt.Errorf("%w: part %q", ErrPattern, part)
		}
	}
	n := 0
	for n < len(parts)-1 && !HasGlob(parts[n]) {
		n++
	}
	return prefix + strings.Join(parts[:n], "/"), parts[n:], nil
}

type globber struct {
	fsys  FileSystem
	found map[string]Info
}

// walk collects the files below dir that match all of parts.
func (g *globber) walk(ctx context.Context, dir string, parts []string) error {
	if len(parts) == 0 {
		return nil
	}
	if !HasGlob(parts[0]) {
		return g.literal(ctx, Join(dir, parts[0]), parts[1:])
	}
	deep, last := parts[0] == "**", len(parts) == 1
	if deep && !last {
		if err := g.walk(ctx, dir, parts[1:]); err != nil { // ** as no part at all
			return err
		}
	}
	var below []string
	err := g.fsys.List(ctx, dir, ListOptions{}, func(info Info) error {
		if info.Path == dir || !matchPart(parts[0], info.Name()) { // dir is a file
			return nil
		}
		if info.Dir {
			below = append(below, info.Path)
			return nil
		}
		if last {
			return g.add(info)
		}
		return nil
	})
	if errors.Is(err, ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	rest := parts[1:]
	if deep {
		rest = parts
	}
	for _, d := range below {
		if err := g.walk(ctx, d, rest); err != nil {
			return err
		}
	}
	return nil
}

// literal goes on at a part that has no wildcard: one Stat instead of a List.
func (g *globber) literal(ctx context.Context, p string, rest []string) error {
	if len(rest) > 0 {
		return g.walk(ctx, p, rest)
	}
	info, err := g.fsys.Stat(ctx, p)
	if errors.Is(err, ErrNotExist) {
		return nil
	}
	if err != nil || info.Dir {
		return err
	}
	return g.add(info)
}

func (g *globber) add(info Info) error {
	if len(g.found) >= MaxGlobMatches {
		return fmt.Errorf("%w: more than %d files match", ErrPattern, MaxGlobMatches)
	}
	g.found[info.Path] = info
	return nil
}

// matchPart matches one name; syntax was checked by compileGlob.
func matchPart(pattern, name string) bool {
	if !Readable(name) && strings.IndexByte(`*?[`, pattern[0]) >= 0 {
		return false
	}
	if pattern == "**" {
		return true
	}
	ok, _ := path.Match(pattern, name)
	return ok
}

// expandBraces spells out {a,b}, nested ones too, in the order written. Braces
// inside a class or behind a backslash are plain text.
func expandBraces(pattern string) ([]string, error) {
	done := []string{}
	todo := []string{pattern}
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		open, choices, rest, err := firstBrace(p)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", pattern, err)
		}
		if choices == nil {
			done = append(done, p)
		}
		for i := len(choices) - 1; i >= 0; i-- {
			todo = append(todo, p[:open]+choices[i]+rest)
		}
		if len(todo)+len(done) > MaxGlobAlternatives {
			return nil, fmt.Errorf("%q: %w: more than %d alternatives", pattern, ErrPattern, MaxGlobAlternatives)
		}
	}
	return done, nil
}

// firstBrace finds the first group of braces: where it opens, its choices and
// what follows it. Without one choices is nil.
func firstBrace(p string) (open int, choices []string, rest string, err error) {
	depth, start, class := 0, 0, false
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case c == '\\':
			i++
		case c == '[' && !class:
			class = true
		case c == ']':
			class = false
		case class:
		case c == '{':
			if depth == 0 {
				open, start = i, i+1
			}
			depth++
		case c == ',' && depth == 1:
			choices = append(choices, p[start:i])
			start = i + 1
		case c == '}' && depth > 0:
			if depth--; depth == 0 {
				return open, append(choices, p[start:i]), p[i+1:], nil
			}
		}
	}
	if depth > 0 {
		return 0, nil, "", fmt.Errorf("%w: brace not closed", ErrPattern)
	}
	return 0, nil, "", nil
}
