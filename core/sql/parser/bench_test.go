package parser

import (
	"testing"

	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser/internal/lex"
)

// minimumCostSupplier asks what TPC-H's second query asks: a join of eight tables with a correlated subquery.
const minimumCostSupplier = `
SELECT s.s_acctbal, s.s_name, n.n_name, p.p_partkey, p.p_mfgr, s.s_address, s.s_phone, s.s_comment
FROM part AS p, supplier AS s, partsupp AS ps, nation AS n, region AS r
WHERE p.p_partkey = ps.ps_partkey
  AND s.s_suppkey = ps.ps_suppkey
  AND p.p_size = 15
  AND p.p_type LIKE '%BRASS'
  AND s.s_nationkey = n.n_nationkey
  AND n.n_regionkey = r.r_regionkey
  AND r.r_name = 'EUROPE'
  AND ps.ps_supplycost = (
    SELECT MIN(ps2.ps_supplycost)
    FROM partsupp AS ps2, supplier AS s2, nation AS n2, region AS r2
    WHERE p.p_partkey = ps2.ps_partkey
      AND s2.s_suppkey = ps2.ps_suppkey
      AND s2.s_nationkey = n2.n_nationkey
      AND n2.n_regionkey = r2.r_regionkey
      AND r2.r_name = 'EUROPE'
  )
ORDER BY s.s_acctbal DESC, n.n_name, s.s_name, p.p_partkey
LIMIT 100`

// BenchmarkParse reads TPC-H Q2; the goal is 20 microseconds.
func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(minimumCostSupplier)))
	for b.Loop() {
		if _, err := ParseStatement(minimumCostSupplier); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkScan is the lexer's share of BenchmarkParse.
func BenchmarkScan(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(minimumCostSupplier)))
	for b.Loop() {
		lex.Scan(minimumCostSupplier)
	}
}

// BenchmarkError reads a statement with a mistake, and so twice.
func BenchmarkError(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseStatement(minimumCostSupplier + " OFSET 3"); err == nil {
			b.Fatal("no error")
		}
	}
}

// BenchmarkFormat writes TPC-H Q2.
func BenchmarkFormat(b *testing.B) {
	statement, err := ParseStatement(minimumCostSupplier)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		ast.Format(statement)
	}
}
