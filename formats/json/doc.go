// Package json reads and writes JSON lines, one object a line, as Arrow batches.
//
// A line is split into the cells of the wanted columns: scalars are left where
// they stand and parsed column by column (package formats/internal/cells);
// values of ARRAY, MAP and ROW columns are split further by the same rules, one
// level below. Missing keys and null are NULL; of a repeated key the last one
// counts; unknown keys are passed over. Whatever the type, a string's text is
// read like the literal itself ("12" is a BIGINT), and a STRING column takes
// any value, objects as their JSON text.
//
// Types are inferred from up to 20,480 lines: integers are BIGINT, other numbers
// DOUBLE, strings DATE or TIMESTAMP(6) where all of them are, objects ROW,
// arrays ARRAY; what does not agree is STRING.
//
// Spans are byte ranges that begin at a line: JSON has no raw line breaks.
//
// # Options
//
//	json.ignore-parse-errors         bad values become NULL, bad lines are left out
//	json.timestamp-format.standard   SQL (2026-01-02 03:04:05) or ISO-8601; readers take both
package json
