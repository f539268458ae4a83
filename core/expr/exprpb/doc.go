// Package exprpb is the serialised form of expressions, as job graphs carry them.
// core/expr converts to and from it.
package exprpb
