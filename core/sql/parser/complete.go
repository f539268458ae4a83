package parser

import (
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// Complete reports whether a shell should hand src to the parser: every statement in it is ended by a semicolon, with statement
// sets closed, and no string, quoted name, comment or hint is open. Blank input is complete. Whether the statements are right is
// not looked at.
func Complete(src string) bool {
	tokens := lex.Scan(src)
	tokens = tokens[:len(tokens)-1]
	if len(tokens) == 0 {
		return true
	}
	inSet := false
	for i, t := range tokens {
		if t.Kind == lex.Illegal && opens(t.Word) {
			return false
		}
		if t.Kind != lex.Word {
			continue
		}
		switch t.Word {
		case lex.SET:
			inSet = inSet || opensSet(tokens, i)
		case lex.END:
			if before := tokens[max(i-1, 0)]; before.Kind == lex.Semicolon || before.Word == lex.BEGIN {
				inSet = false
			}
		}
	}
	return !inSet && tokens[len(tokens)-1].Kind == lex.Semicolon
}

// opens reports whether a fault means that more text may mend it.
func opens(f lex.Fault) bool {
	return f == lex.OpenString || f == lex.OpenQuote || f == lex.OpenComment || f == lex.OpenHint
}

// opensSet reports whether the word SET at i belongs to BEGIN STATEMENT SET or STATEMENT SET BEGIN.
func opensSet(tokens []lex.Token, i int) bool {
	if i == 0 || tokens[i-1].Word != lex.STATEMENT {
		return false
	}
	return i > 1 && tokens[i-2].Word == lex.BEGIN || i+1 < len(tokens) && tokens[i+1].Word == lex.BEGIN
}

// Expected returns the keywords that may follow src, nearest to the grammar's order and without duplicates. It returns none when
// src has a mistake before its end. A shell that completes a half-written word leaves that word out of src.
func Expected(src string) []string {
	if len(src) > MaxBytes {
		return nil
	}
	tokens := lex.Scan(src)
	p := parser{src: src, tokens: tokens, tok: tokens[0], tracing: true}
	p.script()
	if p.wantedAt != len(tokens)-1 || p.failed && p.err.Code != sqlerr.Incomplete {
		return nil
	}
	var words []string
	for _, w := range p.wanted {
		if w.word {
			words = append(words, w.text)
		}
	}
	return words
}
