package gen

import (
	"fmt"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
)

// Rows at scale 1; line items follow from orders.
const (
	suppliersAtOne = 10_000
	partsAtOne     = 200_000
	customersAtOne = 150_000
	ordersAtOne    = 1_500_000
	clerksAtOne    = 1_000

	suppliersPerPart = 4
	linesPerOrder    = 7 // at most
)

// table is one table: what it counts its rows by (parts, for the suppliers of
// parts; orders, for line items), and how units are made.
type table struct {
	name    string
	columns string // names and types
	units   int64
	piece   int64 // units made at once
	make    func(first, count int64, into columns)
}

const (
	regionColumns   = `r_regionkey BIGINT, r_name STRING, r_comment STRING`
	nationColumns   = `n_nationkey BIGINT, n_name STRING, n_regionkey BIGINT, n_comment STRING`
	supplierColumns = `s_suppkey BIGINT, s_name STRING, s_address STRING, s_nationkey BIGINT, s_phone STRING, s_acctbal DECIMAL(15;2), s_comment STRING`
	customerColumns = `c_custkey BIGINT, c_name STRING, c_address STRING, c_nationkey BIGINT, c_phone STRING, c_acctbal DECIMAL(15;2), ` +
		`c_mktsegment STRING, c_comment STRING`
	partColumns = `p_partkey BIGINT, p_name STRING, p_mfgr STRING, p_brand STRING, p_type STRING, p_size INT, p_container STRING, ` +
		`p_retailprice DECIMAL(15;2), p_comment STRING`
	partsuppColumns = `ps_partkey BIGINT, ps_suppkey BIGINT, ps_availqty INT, ps_supplycost DECIMAL(15;2), ps_comment STRING`
	ordersColumns   = `o_orderkey BIGINT, o_custkey BIGINT, o_orderstatus STRING, o_totalprice DECIMAL(15;2), o_orderdate DATE, ` +
		`o_orderpriority STRING, o_clerk STRING, o_shippriority INT, o_comment STRING`
	lineitemColumns = `l_orderkey BIGINT, l_partkey BIGINT, l_suppkey BIGINT, l_linenumber INT, l_quantity DECIMAL(15;2), ` +
		`l_extendedprice DECIMAL(15;2), l_discount DECIMAL(15;2), l_tax DECIMAL(15;2), l_returnflag STRING, l_linestatus STRING, ` +
		`l_shipdate DATE, l_commitdate DATE, l_receiptdate DATE, l_shipinstruct STRING, l_shipmode STRING, l_comment STRING`
)

// tables lists the tables, the long ones first.
func (g *generator) tables() []table {
	return []table{
		{"lineitem", lineitemColumns, g.orders, 5_000, g.lineitem},
		{"orders", ordersColumns, g.orders, 20_000, g.ordersTable},
		{"partsupp", partsuppColumns, g.parts, 5_000, g.partsupp},
		{"part", partColumns, g.parts, 20_000, g.part},
		{"customer", customerColumns, g.customers, 20_000, g.customer},
		{"supplier", supplierColumns, g.suppliers, 20_000, g.supplier},
		{"nation", nationColumns, int64(len(g.words.nations)), 25, g.nation},
		{"region", regionColumns, int64(len(g.words.regions)), 5, g.region},
	}
}

// schema parses the columns; none is nullable.
func (t table) schema() (datatype.Schema, error) {
	var s datatype.Schema
	for _, column := range strings.Split(t.columns, ", ") {
		name, kind, _ := strings.Cut(column, " ")
		parsed, err := datatype.Parse(strings.ReplaceAll(kind, ";", ", "))
		if err != nil {
			return nil, fmt.Errorf("column %s of %s: %w", name, t.name, err)
		}
		s = append(s, datatype.Field{Name: name, Type: parsed.NotNull()})
	}
	return s, nil
}

// generator knows how many rows there are and what texts are drawn from.
type generator struct {
	words                               *vocabulary
	text                                string
	suppliers, parts, customers, orders int64
	clerks                              int64
}

func newGenerator(scale float64, textBytes int) *generator {
	rows := func(atOne float64) int64 { return max(int64(atOne*scale), 1) }
	g := &generator{
		words:     newVocabulary(),
		suppliers: rows(suppliersAtOne), parts: rows(partsAtOne), customers: rows(customersAtOne), orders: rows(ordersAtOne),
		clerks: max(rows(clerksAtOne), clerksAtOne),
	}
	g.text = newText(g.words, textBytes)
	return g
}

// price is a part's, in cents.
func price(part int64) int64 {
	return 90_000 + part/10%20_001 + part%1_000*100
}

// supplierOf is the n-th supplier, from 0, of a part.
func (g *generator) supplierOf(part, n int64) int64 {
	return (part+n*(g.suppliers/suppliersPerPart+(part-1)/g.suppliers))%g.suppliers + 1
}

// orderKey leaves out 24 of every 32 keys.
func orderKey(index int64) int64 { return index>>3<<5 | index&7 }
