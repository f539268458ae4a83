// Package option reads the options of a table's WITH clause: a connector takes them one by
// one, and what it has not asked for is unknown, with the name that was probably meant. The
// first mistake is the one that is told, and a connector looks for it once, at the end.
package option
