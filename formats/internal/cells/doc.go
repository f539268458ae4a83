// Package cells turns columns of text into Arrow arrays. Text formats split a
// piece of a file into cells (CSV fields, JSON scalars) without copying them;
// a Converter then parses one column's cells in one loop chosen by its type.
package cells
