package tpch

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed queries/*.sql
var files embed.FS

// Count is the number of queries; they are numbered from 1.
const Count = 22

// Tables returns the names of the tables the queries read, small ones first.
func Tables() []string {
	return []string{"region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"}
}

// Query returns the text of query n without a closing semicolon, or an error when
// there is no such query.
func Query(n int) (string, error) {
	if n < 1 || n > Count {
		return "", fmt.Errorf("no TPC-H query %d: they are 1 to %d", n, Count)
	}
	text, err := files.ReadFile(fmt.Sprintf("queries/q%d.sql", n))
	if err != nil {
		return "", fmt.Errorf("read TPC-H query %d: %w", n, err)
	}
	return strings.TrimSpace(string(text)), nil
}

// Views returns the statements which make the tables' names of the files
// dir/TABLE.parquet; dir may be a path or a URL of any file system.
func Views(dir string) string {
	dir = strings.ReplaceAll(strings.TrimSuffix(dir, "/"), "'", "''")
	var b strings.Builder
	for _, t := range Tables() {
		fmt.Fprintf(&b, "CREATE VIEW %s AS SELECT * FROM '%s/%s.parquet';\n", t, dir, t)
	}
	return b.String()
}
