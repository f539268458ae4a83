package ast

// Alter is ALTER of any catalog object; the action says what changes. Which actions go with which kind is the parser's
// knowledge: a tree that it returns holds legal pairs only.
type Alter struct {
	Span
	Kind      ObjectKind
	Temporary bool
	System    bool
	IfExists  bool
	Name      *Name
	Action    AlterAction
}

// AlterAction is the change of an Alter.
type AlterAction interface {
	Node
	alterAction()
}

// RenameTo gives the object a new name.
type RenameTo struct {
	Span
	Name *Name
}

// RenameColumn is RENAME a TO b; From may be dotted.
type RenameColumn struct {
	Span
	From *Name
	To   *Ident
}

// SetOptions is SET ('key' = 'value', ...).
type SetOptions struct {
	Span
	Options []*Option
}

// ResetOptions is RESET ('key', ...).
type ResetOptions struct {
	Span
	Keys []*StringLit
}

// ChangeSchema is ADD or MODIFY of columns, constraints, watermark and distribution.
type ChangeSchema struct {
	Span
	// Modify is set for MODIFY and not for ADD.
	Modify      bool
	Columns     []*ColumnDef
	Constraints []*Constraint
	Watermark   *Watermark
	// Distribution stands alone when set.
	Distribution *Distribution
}

// DropColumns is DROP column or DROP (column, ...).
type DropColumns struct {
	Span
	Columns []*Name
}

// DropPart drops the primary key, a named constraint, the watermark or the distribution.
type DropPart struct {
	Span
	Part TablePart
	// Name is the constraint's name when Part is PartConstraint.
	Name *Ident
}

// TablePart is a part of a table's schema that DROP names by a word.
type TablePart uint8

// The parts of a table.
const (
	PartInvalid TablePart = iota
	PartPrimaryKey
	PartConstraint
	PartWatermark
	PartDistribution
)

// String returns the part as written in SQL.
func (p TablePart) String() string {
	return spell(p, []string{"", "PRIMARY KEY", "CONSTRAINT", "WATERMARK", "DISTRIBUTION"})
}

// PartitionItem is one `column = value` of a PARTITION clause.
type PartitionItem struct {
	Span
	Column *Ident
	// Value is nil for a dynamic partition column.
	Value Expr
}

// PartitionSpec is PARTITION (...) with the options that may follow it in ALTER TABLE ADD.
type PartitionSpec struct {
	Span
	Items   []*PartitionItem
	Options []*Option
}

// AddPartitions is ADD [IF NOT EXISTS] PARTITION (...) [WITH (...)] ...
type AddPartitions struct {
	Span
	IfNotExists bool
	Partitions  []*PartitionSpec
}

// DropPartitions is DROP [IF EXISTS] PARTITION (...), ...
type DropPartitions struct {
	Span
	IfExists   bool
	Partitions []*PartitionSpec
}

// SetQuery is AS query of ALTER VIEW and ALTER MATERIALIZED TABLE.
type SetQuery struct {
	Span
	Query Query
}

// SetComment is COMMENT '...' of ALTER CATALOG.
type SetComment struct {
	Span
	Comment *StringLit
}

// SetFunction is AS 'class' of ALTER FUNCTION.
type SetFunction struct {
	Span
	Body *FunctionBody
}

// Suspend stops the refreshing of a materialized table.
type Suspend struct{ Span }

// Resume starts the refreshing of a materialized table again.
type Resume struct {
	Span
	Options []*Option
}

// Refresh refreshes a materialized table, or one partition of it, now.
type Refresh struct {
	Span
	// Partition is nil when the whole table is refreshed.
	Partition *PartitionSpec
}

// SetFreshness is SET FRESHNESS = interval.
type SetFreshness struct {
	Span
	Freshness Expr
}

// SetRefreshMode is SET REFRESH_MODE = mode.
type SetRefreshMode struct {
	Span
	Mode RefreshMode
}

func (*Alter) statement() {}

func (*RenameTo) alterAction()       {}
func (*RenameColumn) alterAction()   {}
func (*SetOptions) alterAction()     {}
func (*ResetOptions) alterAction()   {}
func (*ChangeSchema) alterAction()   {}
func (*DropColumns) alterAction()    {}
func (*DropPart) alterAction()       {}
func (*AddPartitions) alterAction()  {}
func (*DropPartitions) alterAction() {}
func (*SetQuery) alterAction()       {}
func (*SetComment) alterAction()     {}
func (*SetFunction) alterAction()    {}
func (*Suspend) alterAction()        {}
func (*Resume) alterAction()         {}
func (*Refresh) alterAction()        {}
func (*SetFreshness) alterAction()   {}
func (*SetRefreshMode) alterAction() {}
