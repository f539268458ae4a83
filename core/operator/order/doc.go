// Package order holds the operators that are about the order and number of rows:
// Sort, TopN, GroupTopN, Limit, and Union, which has neither.
//
// Sort keeps its input, sorts it and emits it at the end. When its share of memory
// is used up, what it keeps is sorted and written as a run; the runs are merged at
// the end, on the way where they are more than memory allows to read at a time.
// What sorting takes is reserved with each batch. TopN keeps as many rows as
// it may emit, and leaves out what comes after the last of them before it keeps
// anything. GroupTopN is a Sort that cuts what it sorts, runs too, to the first
// rows of each group, time and again while rows come. Limit tells its task when it
// is full.
package order
