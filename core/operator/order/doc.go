// Package order holds the operators that are about the order and number of rows:
// Sort, TopN, Limit, and Union, which has neither.
//
// Sort keeps its whole input and emits it at the end. TopN keeps as many rows as
// it may emit, and leaves out what comes after the last of them before it keeps
// anything. Limit tells its task when it is full.
package order
