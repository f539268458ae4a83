package ast

// Show is SHOW of a list of things, with the filters of its kind.
type Show struct {
	Span
	Kind ShowKind
	// From is the catalog, database or table after FROM, IN or, for partitions, the kind itself; nil when not written.
	From *Name
	// Partition filters SHOW PARTITIONS.
	Partition *PartitionSpec
	// Like is the pattern, nil when not written; Not and CaseInsensitive (ILIKE) belong to it.
	Like            *StringLit
	Not             bool
	CaseInsensitive bool
}

// ShowKind is what SHOW lists.
type ShowKind uint8

// The things that SHOW lists.
const (
	ShowInvalid ShowKind = iota
	ShowCatalogs
	ShowCurrentCatalog
	ShowDatabases
	ShowCurrentDatabase
	ShowTables
	ShowViews
	ShowMaterializedTables
	ShowColumns
	ShowPartitions
	ShowFunctions
	ShowUserFunctions
	ShowProcedures
	ShowModels
	ShowModules
	ShowFullModules
	ShowConnections
	ShowJars
	ShowJobs
)

var showKinds = []string{
	"", "CATALOGS", "CURRENT CATALOG", "DATABASES", "CURRENT DATABASE", "TABLES", "VIEWS",
	"MATERIALIZED TABLES", "COLUMNS", "PARTITIONS", "FUNCTIONS", "USER FUNCTIONS", "PROCEDURES", "MODELS", "MODULES", "FULL MODULES",
	"CONNECTIONS", "JARS", "JOBS",
}

// String returns the kind as written after SHOW.
func (k ShowKind) String() string { return spell(k, showKinds) }

// ShowCreate is SHOW CREATE of a table, view, catalog, ...
type ShowCreate struct {
	Span
	Kind ObjectKind
	Name *Name
}

// Describe is DESCRIBE or DESC. Exactly one of Name, File, Query and Job is set.
type Describe struct {
	Span
	// Kind is ObjectTable when no kind was written.
	Kind     ObjectKind
	Extended bool
	Name     *Name
	// File is a path in quotes: DESCRIBE 'x.csv'.
	File *StringLit
	// Query is a query whose columns are asked for.
	Query Query
	// Job is the id of DESCRIBE JOB 'id'.
	Job *StringLit
}

// Explain is EXPLAIN with its details. EXPLAIN PLAN FOR is EXPLAIN.
type Explain struct {
	Span
	Details   []ExplainDetail
	Statement Statement
}

// ExplainDetail is something that EXPLAIN shows on demand.
type ExplainDetail uint8

// The details of EXPLAIN.
const (
	ExplainInvalid ExplainDetail = iota
	ExplainEstimatedCost
	ExplainChangelogMode
	ExplainJSON
	ExplainAdvice
	// ExplainAnalyze runs the statement and shows what happened.
	ExplainAnalyze
)

// String returns the detail as written in SQL.
func (d ExplainDetail) String() string {
	return spell(d, []string{"", "ESTIMATED_COST", "CHANGELOG_MODE", "JSON_EXECUTION_PLAN", "PLAN_ADVICE", "ANALYZE"})
}

// Set is SET 'key' = 'value'; without Key it asks for all options.
type Set struct {
	Span
	// Key is nil for SET alone.
	Key, Value *StringLit
}

// Reset is RESET 'key'; without Key it resets all options.
type Reset struct {
	Span
	Key *StringLit
}

// Use is USE database or USE CATALOG catalog.
type Use struct {
	Span
	// Catalog is set for USE CATALOG.
	Catalog bool
	Name    *Name
}

// UseModules is USE MODULES a, b.
type UseModules struct {
	Span
	Names []*Ident
}

// LoadModule is LOAD MODULE name [WITH (...)].
type LoadModule struct {
	Span
	Name    *Ident
	Options []*Option
}

// UnloadModule is UNLOAD MODULE name.
type UnloadModule struct {
	Span
	Name *Ident
}

// Jar is ADD JAR 'path' or REMOVE JAR 'path'.
type Jar struct {
	Span
	Remove bool
	Path   *StringLit
}

// AnalyzeTable is ANALYZE TABLE t [PARTITION (...)] COMPUTE STATISTICS [FOR COLUMNS ... | FOR ALL COLUMNS].
type AnalyzeTable struct {
	Span
	Table      *Name
	Partition  *PartitionSpec
	Columns    []*Ident
	AllColumns bool
}

// CallProcedure is CALL procedure(...).
type CallProcedure struct {
	Span
	Call *Call
}

// StopJob is STOP JOB 'id' [WITH SAVEPOINT] [WITH DRAIN].
type StopJob struct {
	Span
	Job       *StringLit
	Savepoint bool
	Drain     bool
}

func (*Show) statement()          {}
func (*ShowCreate) statement()    {}
func (*Describe) statement()      {}
func (*Explain) statement()       {}
func (*Set) statement()           {}
func (*Reset) statement()         {}
func (*Use) statement()           {}
func (*UseModules) statement()    {}
func (*LoadModule) statement()    {}
func (*UnloadModule) statement()  {}
func (*Jar) statement()           {}
func (*AnalyzeTable) statement()  {}
func (*CallProcedure) statement() {}
func (*StopJob) statement()       {}
