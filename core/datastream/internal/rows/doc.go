// Package rows maps values of Go types to columns and back.
//
// A type is looked at once, by reflection, when a job is built (Of): a struct is a row of
// its exported fields, any other type a row of one column. From then on a column is read or
// written in one loop over the places that its field has in a slice of values:
//
//	[]T  | a b c | a b c | a b c |        stride = size of T, offset of b
//	         b       b       b     <-->   column b
//
// That goes by pointers, so it is in this internal package; a twin by reflection is in the
// tests, which compare both.
package rows
