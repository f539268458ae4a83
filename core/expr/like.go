package expr

import (
	"bytes"
	"unicode/utf8"

	"github.com/tidemill/tidemill/core/failure"
)

// likePattern is a LIKE pattern cut at its % signs.
type likePattern struct {
	pieces   []likePiece
	anchored bool // no % at the start
	closed   bool // no % at the end
}

// likePiece is text in which some runes may be anything.
type likePiece struct {
	text []byte
	wild []bool // for each rune of text, whether it is a _; nil: none
}

// parseLike reads a pattern. An escape makes the next character plain; without
// one given it is the backslash, as in Flink.
func parseLike(pattern []byte, escape rune) (*likePattern, error) {
	p := &likePattern{anchored: true, closed: true}
	piece := likePiece{}
	open := false // piece has begun
	flush := func() {
		if open {
			p.pieces = append(p.pieces, piece.compact())
		}
		piece, open = likePiece{}, false
	}
	for i := 0; i < len(pattern); {
		r, size := utf8.DecodeRune(pattern[i:])
		at := pattern[i : i+size]
		i += size
		switch r {
		case escape:
			if i >= len(pattern) {
				return nil, failure.Errorf(failure.UserCode, "LIKE '%s': nothing follows the escape character", pattern)
			}
			_, size = utf8.DecodeRune(pattern[i:])
			piece.add(pattern[i:i+size], false)
			i, open = i+size, true
			p.closed = true
		case '%':
			if len(p.pieces) == 0 && !open {
				p.anchored = false
			}
			flush()
			p.closed = false
		default:
			piece.add(at, r == '_')
			open, p.closed = true, true
		}
	}
	flush()
	return p, nil
}

func (p *likePiece) add(s []byte, wild bool) {
	p.text = append(p.text, s...)
	p.wild = append(p.wild, wild)
}

// compact forgets the wildcards where there are none.
func (p likePiece) compact() likePiece {
	for _, w := range p.wild {
		if w {
			return p
		}
	}
	return likePiece{text: p.text}
}

// prefix returns the number of bytes that p matches at the start of s, or -1.
func (p *likePiece) prefix(s []byte) int {
	if p.wild == nil {
		if bytes.HasPrefix(s, p.text) {
			return len(p.text)
		}
		return -1
	}
	at, n := 0, 0
	for _, wild := range p.wild {
		if n >= len(s) {
			return -1
		}
		_, size := utf8.DecodeRune(s[n:])
		_, want := utf8.DecodeRune(p.text[at:])
		if !wild && !bytes.Equal(s[n:n+size], p.text[at:at+want]) {
			return -1
		}
		n, at = n+size, at+want
	}
	return n
}

// find returns where p first matches in s and how many bytes, or -1.
func (p *likePiece) find(s []byte) (at, n int) {
	if p.wild == nil {
		return bytes.Index(s, p.text), len(p.text)
	}
	for at < len(s) {
		if n = p.prefix(s[at:]); n >= 0 {
			return at, n
		}
		_, size := utf8.DecodeRune(s[at:])
		at += size
	}
	return -1, 0
}

// suffix reports whether p matches the end of s.
func (p *likePiece) suffix(s []byte) bool {
	if p.wild == nil {
		return bytes.HasSuffix(s, p.text)
	}
	runes := len(p.wild)
	at := len(s)
	for ; runes > 0 && at > 0; runes-- {
		_, size := utf8.DecodeLastRune(s[:at])
		at -= size
	}
	return runes == 0 && p.prefix(s[at:]) == len(s)-at
}

// match reports whether the whole of s matches.
func (p *likePattern) match(s []byte) bool {
	pieces := p.pieces
	if len(pieces) == 0 {
		return len(s) == 0 || !p.closed
	}
	if p.anchored {
		n := pieces[0].prefix(s)
		if n < 0 {
			return false
		}
		if s, pieces = s[n:], pieces[1:]; len(pieces) == 0 {
			return len(s) == 0 || !p.closed
		}
	}
	last := len(pieces)
	if p.closed {
		last--
	}
	for i := range pieces[:last] {
		at, n := pieces[i].find(s)
		if at < 0 {
			return false
		}
		s = s[at+n:]
	}
	return !p.closed || pieces[last].suffix(s)
}

// likeKernel is LIKE with an optional escape character. A constant pattern is
// read once.
func likeKernel(k *call) error {
	k.allocate(k.out)
	clear(k.out.data)
	in, patterns := k.args[0].text(), k.args[1].text()
	var p *likePattern
	var last []byte
	for _, r := range k.rows() {
		if with := patterns.at(int(r)); p == nil || !bytes.Equal(with, last) {
			escape, err := k.escapeAt(r)
			if err != nil {
				return err
			}
			if p, err = parseLike(with, escape); err != nil {
				return err
			}
			last = with
		}
		if p.match(in.at(int(r))) {
			setBit(k.out.data, int(r))
		}
	}
	return nil
}

// escapeAt is the escape character: the third argument's, or the backslash.
func (k *call) escapeAt(r int32) (rune, error) {
	if len(k.args) < 3 {
		return '\\', nil
	}
	view := k.args[2].text()
	s := view.at(int(r))
	c, size := utf8.DecodeRune(s)
	if size == 0 || size != len(s) {
		return 0, failure.Errorf(failure.UserCode, "LIKE ... ESCAPE '%s': want one character", s)
	}
	return c, nil
}
