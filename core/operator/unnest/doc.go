// Package unnest gives FROM its UNNEST: it emits a row for every element of an
// array or entry of a map, with the other columns of the row that holds it.
//
//	id | tags     UNNEST (tags) WITH ORDINALITY:   id | tag | ordinality
//	1  | [a, b]                                    1  | a   | 1
//	2  | []       -->                              1  | b   | 2
//	3  | [c]                                       3  | c   | 1
//	                                      outer:   2  |     |
//
// Elements of one batch lie one after the other in Arrow's child array. Where all
// of them are wanted, what is emitted is slices of it, and nothing is copied; else
// the wanted ones are gathered. The other columns are gathered by the row that
// each element is of. Only those that are asked for are: to repeat the collection
// itself beside its elements costs the square of its length.
//
// A row may hold millions of elements, and a column beside them a text of
// megabytes. A batch therefore ends at Context.BatchRows, or where what is
// repeated would exceed stream.TargetBytes, whichever comes first; a row that is
// larger by itself is emitted alone. Beside the batch the operator keeps the
// positions of one batch, which it charges to the task's memory.
//
// A null collection has no elements. A null element of an array of rows is a row
// of nulls. Row kinds are kept: each row that is made has the kind of the row
// that it is from.
package unnest
