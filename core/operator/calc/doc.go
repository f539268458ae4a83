// Package calc holds the operators that work row by row: Calc, which filters and
// projects, and WatermarkAssigner, which derives watermarks from a column.
//
// A filter adds a selection and copies nothing. Where it leaves few rows, the
// columns that the projection reads are gathered first, so that neither it nor
// anyone behind it pays for rows that do not count. Columns that are projected as
// they are pass through with another reference.
package calc
