package fs

import (
	"path"
	"strings"
)

// DefaultScheme is the scheme of a path that names none.
const DefaultScheme = "file"

// SplitURI parts a URI into its scheme and the path that the scheme's file
// system sees. A bare path has the scheme "" and comes back as it is.
func SplitURI(uri string) (scheme, p string) {
	i := strings.IndexByte(uri, ':')
	if i <= 0 || !validScheme(uri[:i]) {
		return "", uri
	}
	scheme, rest := strings.ToLower(uri[:i]), uri[i+1:]
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		if scheme == DefaultScheme {
			after = strings.TrimPrefix(after, "localhost")
		}
		return scheme, after
	}
	if scheme == DefaultScheme && strings.HasPrefix(rest, "/") {
		return scheme, rest // file:/x, as Hadoop writes it
	}
	return "", uri // a colon inside a plain file name
}

func validScheme(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		letter := 'a' <= c && c <= 'z'
		other := '0' <= s[i] && s[i] <= '9' || s[i] == '+' || s[i] == '-' || s[i] == '.'
		if !letter && (i == 0 || !other) {
			return false
		}
	}
	return s != ""
}

// Join appends parts to base with single slashes and cleans the result; a
// scheme of base is kept. Empty parts vanish.
func Join(base string, parts ...string) string {
	prefix, p := cutScheme(base)
	for _, part := range parts {
		if part == "" {
			continue
		}
		if p == "" {
			p = part
			continue
		}
		p += "/" + part
	}
	if p == "" {
		return prefix
	}
	return prefix + path.Clean(p)
}

// Split parts p before its last name: dir is what Join would put it back to,
// with any scheme, and "" when p has one part only.
func Split(p string) (dir, name string) {
	prefix, rest := cutScheme(p)
	rest = trimSlashes(rest)
	i := strings.LastIndexByte(rest, '/')
	switch {
	case i < 0:
		return prefix, rest
	case i == 0:
		return prefix + "/", rest[1:]
	}
	return prefix + rest[:i], rest[i+1:]
}

// cutScheme parts "s3://b/x" into "s3://" and "b/x".
func cutScheme(uri string) (prefix, p string) {
	if scheme, _ := SplitURI(uri); scheme == "" {
		return "", uri
	}
	if i := strings.Index(uri, "://"); i > 0 {
		return uri[:i+3], uri[i+3:]
	}
	i := strings.IndexByte(uri, ':')
	return uri[:i+1], uri[i+1:]
}

func trimSlashes(p string) string {
	for len(p) > 1 && strings.HasSuffix(p, "/") {
		p = p[:len(p)-1]
	}
	return p
}
