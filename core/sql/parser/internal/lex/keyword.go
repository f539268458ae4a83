package lex

import (
	"strings"

	"github.com/tidemill/tidemill/core/sql/ast"
)

// Keyword is a word that the parser knows, in any letter case. Zero is a word that it does not know.
type Keyword uint16

// String returns the keyword in capitals.
func (k Keyword) String() string {
	if int(k) < len(names) {
		return names[k]
	}
	return ""
}

// Reserved reports whether the keyword cannot be a name without quotes.
func (k Keyword) Reserved() bool { return reserved[k] }

// names holds the keywords in the order of their numbers; number zero is the empty word.
var names = append([]string{""}, strings.Fields(words)...)

var reserved = func() []bool {
	t := make([]bool, len(names))
	for k, name := range names {
		t[k] = ast.IsReserved(name)
	}
	return t
}()

const tableSize = 2048 // a power of two, at least four times the number of keywords

// table is an open hash table of the keywords.
var table = func() (t [tableSize]Keyword) {
	for k := 1; k < len(names); k++ {
		var hash uint32
		for _, c := range []byte(names[k]) {
			hash = hash*hashStep + uint32(c&^0x20)
		}
		slot := hash % tableSize
		for t[slot] != 0 {
			slot = (slot + 1) % tableSize
		}
		t[slot] = Keyword(k)
	}
	return t
}()

// lookup finds the keyword of a word whose hash over its bytes without the case bit is given.
func lookup(word string, hash uint32) Keyword {
	for slot := hash % tableSize; table[slot] != 0; slot = (slot + 1) % tableSize {
		if sameWord(word, names[table[slot]]) {
			return table[slot]
		}
	}
	return 0
}

// sameWord compares a word with a keyword in capitals, letter case ignored.
func sameWord(word, keyword string) bool {
	if len(word) != len(keyword) {
		return false
	}
	for i := 0; i < len(word); i++ {
		c := word[i]
		if c >= 'a' && c <= 'z' {
			c &^= 0x20
		}
		if c != keyword[i] {
			return false
		}
	}
	return true
}
