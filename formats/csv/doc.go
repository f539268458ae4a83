// Package csv reads and writes delimited text as Arrow batches.
//
// A piece of the file is split into cells, as many rows as a batch has, without
// copying; then each wanted column's cells are parsed in one loop (package
// formats/internal/cells). Quotes follow RFC 4180: a field that begins with a
// quote ends with one and may hold delimiters, line breaks and doubled quotes.
// Lines end in LF or CRLF; a byte order mark and empty lines are passed over.
//
// # Names and types
//
// With a header, columns go by name, without one by the place they have in
// ReadOptions.Declared, or column0, column1, ... in inferred schemas.
// csv.header=auto takes the first line for a header if it cannot be a row: a
// cell does not fit its column's type, or the cells are the declared names, or
// all columns are text and the cells look like names.
// Types are inferred from up to 20,480 rows: BIGINT, DOUBLE, BOOLEAN, DATE,
// TIMESTAMP(6), STRING. A later value that does not fit is an error with file,
// line, column and value.
//
// # Nulls
//
// Without csv.null-literal an empty field is NULL and "" is the empty string.
// With it, unquoted fields equal to the literal are NULL, and empty fields are
// empty strings in text columns, NULL in others.
//
// # Spans
//
// Spans are byte ranges that begin at a record. Finding the borders means
// knowing whether a line break is inside quotes, so Spans reads the file from
// the start: fast where there are no quotes, by the splitter's own rules where
// there are.
//
// # Options
//
//	csv.field-delimiter      one byte, default ,
//	csv.quote-character      one byte, default "
//	csv.disable-quote-character
//	csv.null-literal
//	csv.header               auto, true or false; writers: true by default
//	csv.ignore-parse-errors  bad fields become NULL, rows of a wrong width are left out
//	csv.allow-comments       lines that begin with # are left out
package csv
