package ast

// CreateTable is CREATE [OR REPLACE] [TEMPORARY] TABLE and REPLACE TABLE in all forms.
type CreateTable struct {
	Span
	// Create is set when the word CREATE was written, Replace for REPLACE and OR REPLACE.
	Create, Replace bool
	Temporary       bool
	IfNotExists     bool
	Name            *Name
	Columns         []*ColumnDef
	Constraints     []*Constraint
	// Watermark is nil when not written.
	Watermark     *Watermark
	Comment       *StringLit
	Distribution  *Distribution
	PartitionedBy []*Ident
	Options       []*Option
	// Like is the LIKE clause, nil when not written.
	Like *LikeClause
	// Query is the AS query of CTAS and RTAS, nil when not written.
	Query Query
}

// ColumnDef is a column of a table in CREATE and ALTER.
type ColumnDef struct {
	Span
	Name *Ident
	Kind ColumnKind
	// Type is nil for computed columns and for the bare names of CTAS.
	Type TypeName
	// Expr is the expression of a computed column.
	Expr Expr
	// MetadataKey is the key of METADATA FROM 'key', nil when not written.
	MetadataKey *StringLit
	// Virtual is set for METADATA ... VIRTUAL, a column that is not written.
	Virtual bool
	// Constraint is a constraint written at the column; its Columns are empty.
	Constraint *Constraint
	Comment    *StringLit
	// Place says where ALTER puts the column; nil when not written.
	Place *ColumnPlace
}

// ColumnPlace is FIRST or AFTER column.
type ColumnPlace struct {
	Span
	// After is nil for FIRST.
	After *Ident
}

// ColumnKind is the kind of a ColumnDef.
type ColumnKind uint8

// The kinds of columns.
const (
	ColumnInvalid ColumnKind = iota
	ColumnPhysical
	ColumnComputed
	ColumnMetadata
	// ColumnName is a bare name, as in CREATE TABLE t (a, b) AS SELECT and in views.
	ColumnName
)

// String returns the kind's name.
func (k ColumnKind) String() string {
	return spell(k, []string{"", "physical", "computed", "metadata", "name"})
}

// Constraint is PRIMARY KEY or UNIQUE.
type Constraint struct {
	Span
	// Name is nil when not written.
	Name *Ident
	// Primary is set for PRIMARY KEY, and not for UNIQUE.
	Primary  bool
	Columns  []*Ident
	Enforced Enforcement
}

// Enforcement is ENFORCED or NOT ENFORCED.
type Enforcement uint8

// The enforcements; EnforcementUnset means that none was written.
const (
	EnforcementUnset Enforcement = iota
	Enforced
	NotEnforced
)

// String returns the enforcement as written in SQL.
func (e Enforcement) String() string { return spell(e, []string{"", "ENFORCED", "NOT ENFORCED"}) }

// Watermark is WATERMARK FOR column AS expression.
type Watermark struct {
	Span
	// Column may be dotted when the time is a field of a row.
	Column *Name
	Expr   Expr
}

// Distribution is DISTRIBUTED BY or DISTRIBUTED INTO.
type Distribution struct {
	Span
	Kind    DistributionKind
	Columns []*Ident
	// Buckets is nil when not written.
	Buckets *NumberLit
}

// DistributionKind is the kind of a Distribution.
type DistributionKind uint8

// The kinds of distribution; DistributionDefault means that none was written.
const (
	DistributionDefault DistributionKind = iota
	DistributionHash
	DistributionRange
)

// String returns the kind as written in SQL.
func (k DistributionKind) String() string { return spell(k, []string{"", "HASH", "RANGE"}) }

// LikeClause is LIKE table (options) of CREATE TABLE. File is set instead of Table for LIKE 'file'.
type LikeClause struct {
	Span
	Table   *Name
	File    *StringLit
	Options []*LikeOption
}

// LikeOption is one INCLUDING, EXCLUDING or OVERWRITING of a LikeClause.
type LikeOption struct {
	Span
	Strategy MergeStrategy
	Feature  LikeFeature
}

// MergeStrategy is what LIKE does with a feature of the source table.
type MergeStrategy uint8

// The merge strategies.
const (
	MergeInvalid MergeStrategy = iota
	MergeIncluding
	MergeExcluding
	MergeOverwriting
)

// String returns the strategy as written in SQL.
func (s MergeStrategy) String() string {
	return spell(s, []string{"", "INCLUDING", "EXCLUDING", "OVERWRITING"})
}

// LikeFeature is a part of the source table of LIKE.
type LikeFeature uint8

// The features of a table.
const (
	FeatureInvalid LikeFeature = iota
	FeatureAll
	FeatureConstraints
	FeatureDistribution
	FeatureGenerated
	FeatureMetadata
	FeatureOptions
	FeaturePartitions
	FeatureWatermarks
)

// String returns the feature as written in SQL.
func (f LikeFeature) String() string {
	return spell(f, []string{"", "ALL", "CONSTRAINTS", "DISTRIBUTION", "GENERATED", "METADATA", "OPTIONS", "PARTITIONS", "WATERMARKS"})
}

// CreateView is CREATE [OR REPLACE] [TEMPORARY] VIEW.
type CreateView struct {
	Span
	OrReplace   bool
	Temporary   bool
	IfNotExists bool
	Name        *Name
	Columns     []*ViewColumn
	Comment     *StringLit
	Query       Query
}

// ViewColumn is a column name of a view with its comment.
type ViewColumn struct {
	Span
	Name    *Ident
	Comment *StringLit
}

// CreateMaterializedTable is CREATE [OR ALTER] MATERIALIZED TABLE.
type CreateMaterializedTable struct {
	Span
	OrAlter       bool
	IfNotExists   bool
	Name          *Name
	Columns       []*ColumnDef
	Constraints   []*Constraint
	Watermark     *Watermark
	Comment       *StringLit
	Distribution  *Distribution
	PartitionedBy []*Ident
	Options       []*Option
	// Freshness is an interval, nil when not written.
	Freshness   Expr
	RefreshMode RefreshMode
	Query       Query
}

// RefreshMode is how a materialized table is kept up to date.
type RefreshMode uint8

// The refresh modes; RefreshUnset means that none was written.
const (
	RefreshUnset RefreshMode = iota
	RefreshFull
	RefreshContinuous
)

// String returns the mode as written in SQL.
func (m RefreshMode) String() string { return spell(m, []string{"", "FULL", "CONTINUOUS"}) }

// CreateCatalog is CREATE CATALOG.
type CreateCatalog struct {
	Span
	IfNotExists bool
	Name        *Ident
	Comment     *StringLit
	Options     []*Option
}

// CreateDatabase is CREATE DATABASE.
type CreateDatabase struct {
	Span
	IfNotExists bool
	Name        *Name
	Comment     *StringLit
	Options     []*Option
}

// CreateFunction is CREATE [TEMPORARY [SYSTEM]] FUNCTION.
type CreateFunction struct {
	Span
	Temporary   bool
	System      bool
	IfNotExists bool
	Name        *Name
	Body        *FunctionBody
}

// FunctionBody is what follows AS in CREATE and ALTER FUNCTION.
type FunctionBody struct {
	Span
	Class *StringLit
	// Language is the upper-case word after LANGUAGE, empty when not written.
	Language  string
	Resources []*Resource
	Options   []*Option
}

// Resource is one of USING JAR 'uri', ...
type Resource struct {
	Span
	// Kind is JAR, FILE, ARCHIVE or ARTIFACT.
	Kind string
	URI  *StringLit
}

// CreateModel is CREATE [TEMPORARY] MODEL.
type CreateModel struct {
	Span
	Temporary     bool
	IfNotExists   bool
	Name          *Name
	Input, Output []*ColumnDef
	Comment       *StringLit
	Options       []*Option
	// Query is the AS query, nil when not written.
	Query Query
}

// CreateConnection is CREATE [TEMPORARY [SYSTEM]] CONNECTION.
type CreateConnection struct {
	Span
	Temporary   bool
	System      bool
	IfNotExists bool
	Name        *Name
	Comment     *StringLit
	Options     []*Option
}

// Drop is DROP of any catalog object.
type Drop struct {
	Span
	Kind      ObjectKind
	Temporary bool
	System    bool
	IfExists  bool
	Name      *Name
	// Behavior is CASCADE or RESTRICT of DROP DATABASE.
	Behavior DropBehavior
}

// DropBehavior is what DROP DATABASE does with the tables inside.
type DropBehavior uint8

// The behaviours; DropDefault means that none was written.
const (
	DropDefault DropBehavior = iota
	DropRestrict
	DropCascade
)

// String returns the behaviour as written in SQL.
func (b DropBehavior) String() string { return spell(b, []string{"", "RESTRICT", "CASCADE"}) }

func (*CreateTable) statement()             {}
func (*CreateView) statement()              {}
func (*CreateMaterializedTable) statement() {}
func (*CreateCatalog) statement()           {}
func (*CreateDatabase) statement()          {}
func (*CreateFunction) statement()          {}
func (*CreateModel) statement()             {}
func (*CreateConnection) statement()        {}
func (*Drop) statement()                    {}
