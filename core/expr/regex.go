package expr

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
)

// regexes keeps the last compiled pattern: patterns are nearly always constant.
// The language is RE2's, which has no back-references and no look-around.
type regexes struct {
	last    string
	escape  rune
	found   *regexp.Regexp
	err     error
	similar bool          // patterns are SQL's, of SIMILAR TO
	chain   *chainMatcher // finds what found finds; nil: it does not
}

// submatches is FindSubmatchIndex of what of has returned last, valid until the next call.
func (x *regexes) submatches(s []byte) []int {
	if x.chain != nil {
		return x.chain.find(s)
	}
	return x.found.FindSubmatchIndex(s)
}

func (x *regexes) of(pattern []byte, escape rune) (*regexp.Regexp, error) {
	if x.found != nil && x.last == string(pattern) && x.escape == escape {
		return x.found, x.err
	}
	text := string(pattern)
	if x.similar {
		text = similarToRegex(text, escape)
	}
	x.last, x.escape = string(pattern), escape
	if x.found, x.err = regexp.Compile(text); x.err != nil {
		x.err = failure.Errorf(failure.UserCode, "pattern '%s': %w", pattern, x.err)
	}
	x.chain = newChain(text)
	return x.found, x.err
}

// regexFunction finds the kernels on regular expressions.
func regexFunction(name string) kernel {
	switch name {
	case "REGEXP":
		return matchKernel(false)
	case "SIMILAR TO":
		return matchKernel(true)
	case "REGEXP_REPLACE":
		return regexReplaceKernel
	case "REGEXP_EXTRACT":
		return regexExtractKernel
	case "REGEXP_SUBSTR":
		return regexExtractKernel
	case "REGEXP_COUNT", "REGEXP_INSTR":
		return regexNumberKernel(name == "REGEXP_COUNT")
	default:
		return nil
	}
}

func matchKernel(similar bool) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		clear(k.out.data)
		a, cache := k.arguments(), regexes{similar: similar}
		for _, r := range k.rows() {
			escape, err := k.escapeAt(r)
			if err != nil {
				return err
			}
			re, err := cache.of(a.s(1, r), escape)
			if err != nil {
				return err
			}
			if re.Match(a.s(0, r)) {
				setBit(k.out.data, int(r))
			}
		}
		return nil
	}
}

func regexReplaceKernel(k *call) error {
	a, out, cache := k.arguments(), k.textOut(), regexes{}
	for _, r := range k.rows() {
		re, err := cache.of(a.s(1, r), 0)
		if err != nil {
			return err
		}
		if !out.begin(r) {
			break
		}
		s, by := a.s(0, r), javaReplacement(a.s(2, r))
		if most := maxText / max(len(by), 1); len(s) >= most && countMatches(re, s) > most {
			return tooLong("REGEXP_REPLACE")
		}
		out.data = append(out.data, re.ReplaceAll(s, by)...)
	}
	return out.end()
}

// countMatches makes no list of the matches, which could be many times their text.
func countMatches(re *regexp.Regexp, s []byte) (n int) {
	re.ReplaceAllFunc(s, func([]byte) []byte {
		n++
		return nil
	})
	return n
}

// javaReplacement turns $1 into ${1}, which Go does not run into what follows.
func javaReplacement(s []byte) []byte {
	var b []byte
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			if i++; s[i] == '$' {
				b = append(b, '$')
			}
			b = append(b, s[i])
		case s[i] == '$' && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9':
			b = append(b, '$', '{', s[i+1], '}')
			i++
		default:
			b = append(b, s[i])
		}
	}
	return b
}

// regexExtractKernel takes a group of the first match; null without one.
func regexExtractKernel(k *call) error {
	a, out, cache, fresh := k.arguments(), k.textOut(), regexes{}, false
	for _, r := range k.rows() {
		re, err := cache.of(a.s(1, r), 0)
		if err != nil {
			return err
		}
		if !out.begin(r) {
			break
		}
		group := a.or(2, r, 0)
		match := cache.submatches(a.s(0, r))
		if match == nil || group < 0 || group > int64(re.NumSubexp()) || match[2*group] < 0 {
			k.setNull(r, &fresh)
			continue
		}
		out.data = append(out.data, a.s(0, r)[match[2*group]:match[2*group+1]]...)
	}
	return out.end()
}

// regexNumberKernel counts the matches, or tells the position of the first, from 1,
// or 0 without one.
func regexNumberKernel(count bool) kernel {
	return func(k *call) error {
		k.allocate(k.out)
		a, out, cache := k.arguments(), values[int32](k.out), regexes{}
		for _, r := range k.rows() {
			re, err := cache.of(a.s(1, r), 0)
			if err != nil {
				return err
			}
			s := a.s(0, r)
			if count {
				out[r] = int32(len(re.FindAllIndex(s, -1)))
				continue
			}
			out[r] = 0
			if at := re.FindIndex(s); at != nil {
				out[r] = int32(utf8.RuneCount(s[:at[0]])) + 1
			}
		}
		return nil
	}
}

// regexExtractAll takes a group, the first unless told, of every match.
func regexExtractAll(t datatype.Type) kernel {
	cache := regexes{}
	return textListKernel(t, func(a *arguments, r int32, add func([]byte)) error {
		re, err := cache.of(a.s(1, r), 0)
		if err != nil {
			return err
		}
		group := a.or(2, r, 1)
		if group < 0 || group > int64(re.NumSubexp()) {
			return failure.Errorf(failure.UserCode, "REGEXP_EXTRACT_ALL: pattern '%s' has no group %d", a.s(1, r), group)
		}
		s := a.s(0, r)
		for _, m := range re.FindAllSubmatchIndex(s, -1) {
			if m[2*group] >= 0 {
				s := s[m[2*group]:m[2*group+1]]
				add(s)
			} else {
				add(nil)
			}
		}
		return nil
	})
}

// similarToRegex translates a pattern of SIMILAR TO: % and _ as in LIKE, the
// rest a regular expression that must match everything.
func similarToRegex(pattern string, escape rune) string {
	var b strings.Builder
	b.WriteString(`(?s)\A(?:`)
	escaped, class := false, false
	for _, c := range pattern {
		switch {
		case escaped:
			b.WriteString(regexp.QuoteMeta(string(c)))
			escaped = false
		case c == escape:
			escaped = true
		case class:
			class = c != ']'
			b.WriteRune(c)
		case c == '[':
			class = true
			b.WriteRune(c)
		case c == '%':
			b.WriteString(".*")
		case c == '_':
			b.WriteString(".")
		case c == '.' || c == '^' || c == '$':
			b.WriteString(`\` + string(c))
		default:
			b.WriteRune(c)
		}
	}
	b.WriteString(`)\z`)
	return b.String()
}
