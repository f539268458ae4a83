package ast

// Insert is INSERT INTO or INSERT OVERWRITE.
type Insert struct {
	Span
	Overwrite bool
	// Table is a *TableRef or, for a path in quotes, a *FileTable.
	Table TableExpr
	// Partition is nil when not written.
	Partition *PartitionSpec
	// Columns is the column list, empty when not written; a column may be dotted.
	Columns []*Name
	Query   Query
}

// Update is UPDATE t SET ... WHERE ...
type Update struct {
	Span
	Table *TableRef
	// Alias is nil when not written.
	Alias *Ident
	Sets  []*Assignment
	// Where is nil when not written.
	Where Expr
}

// Assignment is `column = value` of UPDATE.
type Assignment struct {
	Span
	Column *Name
	Value  Expr
}

// Delete is DELETE FROM t WHERE ...
type Delete struct {
	Span
	Table *TableRef
	// Alias is nil when not written.
	Alias *Ident
	// Where is nil when not written.
	Where Expr
}

// Truncate is TRUNCATE TABLE.
type Truncate struct {
	Span
	Table *Name
}

// StatementSet is BEGIN STATEMENT SET; ... END, also after EXECUTE or EXPLAIN: several INSERTs that run as one job.
type StatementSet struct {
	Span
	// Inserts holds *Insert statements, and *CreateTable ones of the AS form.
	Inserts []Statement
}

// Execute is EXECUTE before an INSERT, a query or a statement set.
type Execute struct {
	Span
	Statement Statement
}

// ExecutePlan is EXECUTE PLAN 'path'.
type ExecutePlan struct {
	Span
	Path *StringLit
}

// CompilePlan is COMPILE [AND EXECUTE] PLAN 'path' [IF NOT EXISTS] FOR statement.
type CompilePlan struct {
	Span
	// Execute is set for COMPILE AND EXECUTE PLAN.
	Execute     bool
	IfNotExists bool
	Path        *StringLit
	// Statement is an *Insert or a *StatementSet.
	Statement Statement
}

func (*Insert) statement()       {}
func (*Update) statement()       {}
func (*Delete) statement()       {}
func (*Truncate) statement()     {}
func (*StatementSet) statement() {}
func (*Execute) statement()      {}
func (*ExecutePlan) statement()  {}
func (*CompilePlan) statement()  {}
