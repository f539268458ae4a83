package lex

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/sql/ast"
)

// describe writes the tokens of a text: kind and text, faults by number.
func describe(src string) string {
	var list []string
	for _, t := range Scan(src) {
		switch t.Kind {
		case Word:
			list = append(list, fmt.Sprintf("%s/%s", t.Text(src), t.Word))
		case Illegal:
			list = append(list, fmt.Sprintf("fault %d %q", t.Word, t.Text(src)))
		case EOF:
		case Quoted, String, UString, Binary, Number:
			list = append(list, fmt.Sprintf("%s %s", t.Kind, t.Text(src)))
		default:
			list = append(list, t.Kind.String())
		}
	}
	return strings.Join(list, " ")
}

func TestScan(t *testing.T) {
	for src, want := range map[string]string{
		"":                                "",
		" \t\r\n\f\v\u00a0\ufeff":         "",
		"SELECT selecT fro from_":         "SELECT/SELECT selecT/SELECT fro/ from_/",
		"größe _a $b c$1 日本":              "größe/ _a/ $b/ c$1/ 日本/",
		"`a``b` \"c\"\"d\"":               "a quoted name `a``b` a quoted name \"c\"\"d\"",
		"'' 'a''b' ''''":                  "a string '' a string 'a''b' a string ''''",
		"X'0A' x'' xa 'b' u&'c' U&'d' u&": "a binary string X'0A' a binary string x'' xa/ a string 'b' a string u&'c' a string U&'d' u/ fault 5 \"&\"",
		"1 1.5 .5 1. 1e5 1E-5 1.5e+3 1e":  "a number 1 a number 1.5 a number .5 a number 1. a number 1e5 a number 1E-5 a number 1.5e+3 fault 6 \"1e\"",
		"12ab a.b a[1].c":                 "fault 6 \"12ab\" a/ . b/ a/ [ a number 1 ] . c/",
		"<> != < <= > >= = => || | :: :":  "<> <> < <= > >= = => || | :: :",
		"( ) [ ] { } , ; + - * / % ? ^ .": "( ) [ ] { } , ; + - * / % ? ^ .",
		"a--b\nc --d":                     "a/ c/",
		"a/* b */c/**/d":                  "a/ c/ d/",
		"/*+ A(b) */ * /":                 "/*+ A/ ( b/ ) */ * /",
		"'abc":                            "fault 1 \"'abc\"",
		"`abc":                            "fault 2 \"`abc\"",
		"a /* b":                          "a/ fault 3 \"/* b\"",
		"/*+ A":                           "fault 4 \"/*+ A\"",
		"/*+ A '*/":                       "/*+ A/ fault 1 \"'*/\" fault 4 \"\"",
		"a # € b \xff":                    "a/ fault 5 \"#\" fault 5 \"€\" b/ fault 5 \"\\xff\"",
		"``":                              "fault 7 \"``\"",
		"! & ~":                           "fault 5 \"!\" fault 5 \"&\" fault 5 \"~\"",
	} {
		if have := describe(src); have != want {
			t.Errorf("%q\nhave %s\nwant %s", src, have, want)
		}
	}
}

// TestKeywords checks that the list of words and the constants go together, and that each word is found in any letter case.
func TestKeywords(t *testing.T) {
	list := names[1:]
	if !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
		t.Error("the keywords are not in order")
	}
	for k, name := range map[Keyword]string{ABSENT: "ABSENT", MATCH_RECOGNIZE: "MATCH_RECOGNIZE", SELECT: "SELECT", ZONE: "ZONE"} {
		if k.String() != name {
			t.Errorf("the keyword %s has the name %s", name, k)
		}
	}
	if int(ZONE) != len(list) || 4*len(list) > tableSize {
		t.Errorf("%d constants, %d names, a table of %d", ZONE, len(list), tableSize)
	}
	for k := 1; k < len(names); k++ {
		for _, src := range []string{names[k], strings.ToLower(names[k])} {
			if tok := Scan(src)[0]; tok.Kind != Word || int(tok.Word) != k || tok.Word.Reserved() != ast.IsReserved(src) {
				t.Errorf("%s is token %+v", src, tok)
			}
		}
	}
	if Keyword(60000).String() != "" || Kind(200).String() != "invalid" {
		t.Error("a value outside of the table has a name")
	}
}

// FuzzScan checks that tokens are in order and that all bytes outside of them are blanks or comments.
func FuzzScan(f *testing.F) {
	for _, s := range []string{"SELECT 'a' /* b */ -- c\n", "/*+ a */ U&'b' X'c' `d` 1.5e3", "\xff\x00é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		end := int32(0)
		for _, tok := range Scan(src) {
			if tok.Start < end || tok.End < tok.Start || int(tok.End) > len(src) {
				t.Fatalf("token %+v after %d in %q", tok, end, src)
			}
			end = tok.End
		}
		if int(end) != len(src) {
			t.Fatalf("the last token ends at %d of %d", end, len(src))
		}
	})
}
