// Package nexmark holds the queries of the Nexmark benchmark: what streams of people,
// auctions and bids are asked. Texts are our own, of the published definitions.
//
//	queries/qN.sql          over the views person, auction and bid
//	queries/cepN.sql        with MATCH_RECOGNIZE, which DuckDB has not: gaps and islands there
//	queries/qN.duckdb.sql   the same in DuckDB's dialect, where quotes are not all
//	                        that differs
//
// The views are over a source of one kind: the connector nexmark, or files that were
// written from it. SameRows compares what the changes of a query leave with the rows
// of the peer.
package nexmark
