package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Statement is something to run over the numbers 0 to Rows-1, of which the answer is
// known without running anything.
type Statement struct {
	Kind StatementKind
	Rows int64
	By   int64 // groups, factor or divisor, as the kind has it
	// Format and Shift are those of a write.
	Format string
	Shift  int64
}

// StatementKind is the kind of a statement.
type StatementKind uint8

// The kinds.
const (
	noStatement StatementKind = iota
	Group                     // counts and sums of groups
	Join                      // numbers with their multiples
	Sort                      // numbers in reverse order
	Distinct                  // a number of groups
	Write                     // a partitioned table, overwritten
	BadValue                  // fails in the middle, by itself
)

func (k StatementKind) String() string {
	return [...]string{"none", "group", "join", "sort", "distinct", "write", "bad value"}[min(k, BadValue)]
}

func (s Statement) String() string {
	return fmt.Sprintf("%s of %d by %d %s %d", s.Kind, s.Rows, s.By, s.Format, s.Shift)
}

func newStatement(r *rand.Rand) Statement {
	return Statement{
		Kind: StatementKind(1 + r.IntN(int(BadValue))), Rows: pick[int64](r, 0, 1, 100, 5000), By: pick[int64](r, 1, 2, 7, 50),
		Format: pick(r, "parquet", "csv", "json", "arrow"), Shift: r.Int64N(1000),
	}
}

const source = `CREATE TABLE numbers%[1]d (n BIGINT) WITH ('connector' = 'flaky', 'number-of-rows' = '%[1]d', 'rows-per-second' = '0', 'fields.n.kind' = 'sequence');
`

// tables are the statements that define what a statement reads and writes.
func (s Statement) tables() string { return fmt.Sprintf(source, s.Rows) + s.target() }

// target is the table that is written; there is one of each format.
func (s Statement) target() string {
	if s.Kind != Write {
		return ""
	}
	return fmt.Sprintf("CREATE TABLE target_%[1]s (n BIGINT, p BIGINT) PARTITIONED BY (p) WITH ('connector' = 'filesystem', 'path' = 'sim:///%[1]s', 'format' = '%[1]s');\n", s.Format)
}

// text is the statement.
func (s Statement) text() string {
	from := fmt.Sprintf("numbers%d", s.Rows)
	switch s.Kind {
	case Group:
		return fmt.Sprintf("SELECT MOD(n, %d) AS k, COUNT(*) AS c, SUM(n) AS s FROM %s GROUP BY MOD(n, %d)", s.By, from, s.By)
	case Join:
		return fmt.Sprintf("SELECT COUNT(*) AS c, SUM(a.n) AS s FROM %s a JOIN %s b ON a.n = b.n * %d", from, from, s.By)
	case Sort:
		return fmt.Sprintf("SELECT n FROM %s WHERE MOD(n, %d) = 0 ORDER BY n DESC", from, s.By)
	case Distinct:
		return fmt.Sprintf("SELECT COUNT(DISTINCT MOD(n, %d)) AS c FROM %s", s.By, from)
	case Write:
		return fmt.Sprintf("INSERT OVERWRITE target_%s SELECT n + %d, MOD(n, %d) FROM %s", s.Format, s.Shift, s.By, from)
	default:
		return fmt.Sprintf("SELECT SUM(100 / (n - %d)) AS s FROM %s", s.By, from)
	}
}

// fails tells that the statement must fail by itself.
func (s Statement) fails() bool { return s.Kind == BadValue && s.By < s.Rows }

// answer is what the statement must give, as sorted lines, but for Sort, whose order
// counts.
func (s Statement) answer() []string {
	switch s.Kind {
	case Group:
		return s.groups(0)
	case Join:
		count, sum := int64(0), int64(0)
		for n := int64(0); n < s.Rows; n += s.By {
			count, sum = count+1, sum+n
		}
		return []string{line(count, orNull(sum, count))}
	case Sort:
		var all []string
		for n := s.Rows - 1; n >= 0; n-- {
			if n%s.By == 0 {
				all = append(all, line(n))
			}
		}
		return all
	case Distinct:
		return []string{line(min(s.By, s.Rows))}
	case BadValue:
		sum := int64(0)
		for n := range s.Rows {
			sum += 100 / (n - s.By)
		}
		return []string{line(orNull(sum, s.Rows))}
	default:
		return nil
	}
}

// groups are the lines that Group gives, and a read of what Write has written.
func (s Statement) groups(shift int64) []string {
	counts, sums := map[int64]int64{}, map[int64]int64{}
	for n := range s.Rows {
		counts[n%s.By]++
		sums[n%s.By] += n + shift
	}
	var all []string
	for k, c := range counts {
		all = append(all, line(k, c, sums[k]))
	}
	slices.Sort(all)
	return all
}

// check reads what a Write has written: each number of each partition once.
func (s Statement) check() string {
	return fmt.Sprintf("SELECT p, COUNT(DISTINCT n) AS c, SUM(n) AS s, COUNT(*) AS d FROM target_%s GROUP BY p", s.Format)
}

// written is what check must give after the statement, for the partitions that it
// writes: INSERT OVERWRITE leaves the others as they are.
func (s Statement) written(before map[string]string) map[string]string {
	after := map[string]string{}
	for p, l := range before {
		after[p] = l
	}
	for _, l := range s.groups(s.Shift) {
		f := strings.Split(l, " ")
		after[f[0]] = strings.Join(append(f, f[1]), " ")
	}
	return after
}

func line(values ...any) string { return strings.TrimSuffix(fmt.Sprintln(values...), "\n") }

// orNull is a sum, which is null over nothing.
func orNull(sum, of int64) any {
	if of == 0 {
		return "NULL"
	}
	return sum
}
