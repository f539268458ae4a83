// Package catalog keeps what statements can name: catalogs, databases, tables
// and views, and the session that resolves names against them.
//
//	Session (current catalog and database, options, temporary objects)
//	   └─ Catalogs ── catalog ── database ── *Table | *View
//
// A Table holds what CREATE TABLE said, in the terms of the engine: types are
// resolved, options are a map, the expressions of computed columns and of the
// watermark stay syntax and are bound where the table is read. Tables and views
// are immutable; ANALYZE, ALTER and CREATE OR REPLACE put another one in their place.
//
// Names are matched exactly, letter case included, as in Flink; an unknown name
// is an error with the nearest known one.
//
// Lock order: a Session's lock before that of its Catalogs. Both are held only
// while maps are read or written.
package catalog
