// Package tpch holds the 22 queries of the TPC-H benchmark, with the parameters
// the specification validates answers with, in text that both this engine and
// DuckDB take unchanged.
//
// The queries read tables named as in the specification (lineitem, orders, ...);
// Views makes those names of Parquet files, one file a table. Where the
// specification leaves rows tied at a LIMIT, the key is added to the ORDER BY, so
// that each answer is one list of rows.
package tpch
