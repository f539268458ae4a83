package fuzz

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/core/sql/parser"
)

func generated(seed uint64) *relation {
	random := rand.New(rand.NewPCG(seed, 0))
	g := &generator{Rand: random, tables: newTables(random, true), functions: functionTable()}
	return g.statement()
}

// Whatever is generated can be parsed here, and the seed alone decides it.
func TestStatementsParse(t *testing.T) {
	for seed := range uint64(500) {
		s := generated(seed).node.text(ours)
		if again := generated(seed).node.text(ours); again != s {
			t.Fatalf("seed %d gives\n%s\nand\n%s", seed, s, again)
		}
		if _, err := parser.ParseStatement(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// Every move makes another statement, and can be taken back.
func TestMovesCanBeTakenBack(t *testing.T) {
	for seed := range uint64(50) {
		n := generated(seed).node
		before := n.text(ours) + n.text(duck)
		for _, move := range n.moves() {
			undo := move()
			if undo == nil {
				t.Fatal("a move that is none")
			}
			undo()
			if after := n.text(ours) + n.text(duck); after != before {
				t.Fatalf("was\n%s\nis\n%s", before, after)
			}
		}
	}
}

func TestMovesShrink(t *testing.T) {
	n := plain(aQuery, "SELECT $0 FROM t$1", list("", ", ", 1, plain(anInt, "a"), plain(anInt, "($0 + $1)", plain(anInt, "b"), plain(anInt, "c"))),
		list(" WHERE ", " AND ", 0, plain(aBool, "x"), plain(aBool, "y")))
	var got []string
	for _, move := range n.moves() {
		undo := move()
		got = append(got, n.text(ours))
		undo()
	}
	want := `SELECT (b + c) FROM t WHERE x AND y
SELECT a FROM t WHERE x AND y
SELECT a, 1 FROM t WHERE x AND y
SELECT a, b FROM t WHERE x AND y
SELECT a, c FROM t WHERE x AND y
SELECT a, (b + c) FROM t WHERE y
SELECT a, (b + c) FROM t WHERE x`
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("got\n%s", text)
	}
}
