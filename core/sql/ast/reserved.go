package ast

import (
	"slices"
	"strings"
)

// reservedWords cannot be names without quotes, in ascending order. The list is short on purpose: Flink reserves several hundred
// words, most of which can be told from names by their place.
var reservedWords = []string{
	"ALL", "AND", "ANY", "AS", "BETWEEN", "BY", "CASE", "CREATE", "CROSS", "CUBE", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP",
	"DISTINCT", "ELSE", "END", "EXCEPT", "EXISTS", "FALSE", "FETCH", "FOR", "FROM", "FULL", "GROUP", "HAVING", "IN", "INNER", "INSERT",
	"INTERSECT", "INTERVAL", "INTO", "IS", "JOIN", "LATERAL", "LEFT", "LIKE", "LIMIT", "LOCALTIME", "LOCALTIMESTAMP", "MINUS", "NATURAL", "NOT", "NULL",
	"ON", "OR", "ORDER", "OUTER", "OVER", "PARTITION", "QUALIFY", "RIGHT", "ROLLUP", "SELECT", "SIMILAR", "SOME", "TABLE", "TABLESAMPLE",
	"THEN", "TRUE", "UNION", "UNKNOWN", "UNNEST", "USING", "VALUES", "WHEN", "WHERE", "WITH",
}

// IsReserved reports whether a word, in any letter case, must be quoted to be a name.
func IsReserved(word string) bool {
	_, found := slices.BinarySearch(reservedWords, strings.ToUpper(word))
	return found
}
