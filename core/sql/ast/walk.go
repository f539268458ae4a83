package ast

// Walk calls visit for node and then, if visit returned true, for every node below it in the order of the text as Format writes
// it. A nil node is not visited.
func Walk(node Node, visit func(Node) bool) {
	if node == nil || !visit(node) {
		return
	}
	w := walker{visit}
	switch n := node.(type) {
	case Query:
		w.query(n)
	case Expr:
		w.expr(n)
	case TableExpr:
		w.table(n)
	case TypeName:
		w.typeName(n)
	case Statement:
		w.statement(n)
	case AlterAction:
		w.alterAction(n)
	case PatternExpr:
		w.pattern(n)
	default:
		w.part(n)
	}
}

type walker struct {
	visit func(Node) bool
}

// one walks a node that may be nil.
func one[T interface {
	comparable
	Node
}](w walker, n T) {
	var none T
	if n != none {
		Walk(n, w.visit)
	}
}

// all walks the nodes of a list.
func all[T interface {
	comparable
	Node
}](w walker, list []T) {
	for _, n := range list {
		one(w, n)
	}
}

func (w walker) query(q Query) {
	switch n := q.(type) {
	case *Select:
		all(w, n.Hints)
		all(w, n.Items)
		one(w, n.From)
		one(w, n.Where)
		one(w, n.GroupBy)
		one(w, n.Having)
		all(w, n.Windows)
		one(w, n.Qualify)
	case *SetOp:
		one(w, n.Left)
		one(w, n.Right)
	case *Values:
		all(w, n.Rows)
	case *TableQuery:
		one(w, n.Table)
	case *OrderedQuery:
		one(w, n.Body)
		all(w, n.OrderBy)
		one(w, n.Limit)
		one(w, n.Offset)
	case *WithQuery:
		all(w, n.CTEs)
		one(w, n.Body)
	}
}

func (w walker) expr(e Expr) {
	switch n := e.(type) {
	case *ColumnRef:
		all(w, n.Parts)
	case *Star:
		one(w, n.Table)
	case *Unary:
		one(w, n.X)
	case *Binary:
		one(w, n.L)
		one(w, n.R)
	case *Between:
		one(w, n.X)
		one(w, n.Lo)
		one(w, n.Hi)
	case *In:
		one(w, n.X)
		all(w, n.List)
		one(w, n.Query)
	case *Quantified:
		one(w, n.X)
		all(w, n.List)
		one(w, n.Query)
	case *Exists:
		one(w, n.Query)
	case *Subquery:
		one(w, n.Query)
	case *Like:
		one(w, n.X)
		one(w, n.Pattern)
		one(w, n.Escape)
	case *Is:
		one(w, n.X)
	case *Case:
		one(w, n.Operand)
		all(w, n.Whens)
		one(w, n.Else)
	case *Cast:
		one(w, n.X)
		one(w, n.Type)
	case *MatchScope:
		one(w, n.X)
	case *GroupingSet:
		all(w, n.Items)
	default:
		w.operand(e)
	}
}

// operand walks calls, constructors and arguments. Literals have nothing below them.
func (w walker) operand(e Expr) {
	switch n := e.(type) {
	case *Call:
		one(w, n.Func)
		all(w, n.Args)
		all(w, n.OrderBy)
		one(w, n.JSON)
		all(w, n.WithinGroup)
		one(w, n.Filter)
		one(w, n.Over)
	case *NamedArg:
		one(w, n.Name)
		one(w, n.Value)
	case *Descriptor:
		all(w, n.Columns)
	case *TableArg:
		one(w, n.Table)
		all(w, n.PartitionBy)
		all(w, n.OrderBy)
	case *ModelArg:
		one(w, n.Model)
	case *Array:
		all(w, n.Elems)
		one(w, n.Query)
	case *Map:
		all(w, n.Entries)
		one(w, n.Query)
	case *Multiset:
		all(w, n.Elems)
		one(w, n.Query)
	case *Row:
		all(w, n.Elems)
	case *Index:
		one(w, n.X)
		one(w, n.Index)
	case *Field:
		one(w, n.X)
		one(w, n.Name)
	}
}

func (w walker) table(t TableExpr) {
	switch n := t.(type) {
	case *TableRef:
		one(w, n.Name)
		all(w, n.Hints)
	case *FileTable:
		one(w, n.Path)
		all(w, n.Hints)
	case *DerivedTable:
		one(w, n.Query)
	case *TableFunc:
		one(w, n.Call)
	case *Unnest:
		all(w, n.Exprs)
	case *Aliased:
		one(w, n.Table)
		one(w, n.Alias)
		all(w, n.Columns)
	case *Snapshot:
		one(w, n.Table)
		one(w, n.Time)
	case *Sample:
		one(w, n.Table)
		one(w, n.Percent)
		one(w, n.Seed)
	case *Join:
		one(w, n.Left)
		one(w, n.Right)
		one(w, n.On)
		all(w, n.Using)
	case *MatchRecognize:
		one(w, n.Table)
		all(w, n.PartitionBy)
		all(w, n.OrderBy)
		all(w, n.Measures)
		one(w, n.After)
		one(w, n.Pattern)
		one(w, n.Within)
		all(w, n.Subsets)
		all(w, n.Defines)
	}
}

func (w walker) pattern(p PatternExpr) {
	switch n := p.(type) {
	case *PatternVar:
		one(w, n.Name)
	case *PatternSeq:
		all(w, n.Items)
	case *PatternAlt:
		all(w, n.Items)
	case *PatternRepeat:
		one(w, n.X)
	case *PatternExclude:
		one(w, n.X)
	case *PatternPermute:
		all(w, n.Items)
	}
}

func (w walker) typeName(t TypeName) {
	switch n := t.(type) {
	case *ArrayType:
		one(w, n.Elem)
	case *MultisetType:
		one(w, n.Elem)
	case *MapType:
		one(w, n.Key)
		one(w, n.Value)
	case *RowType:
		all(w, n.Fields)
	case *StructuredType:
		one(w, n.Class)
		all(w, n.Fields)
	case *RawType:
		one(w, n.Class)
		one(w, n.Serializer)
	case *NamedType:
		one(w, n.Name)
	}
}

// part walks the nodes that belong to no family.
func (w walker) part(node Node) {
	switch n := node.(type) {
	case *Name:
		all(w, n.Parts)
	case *Option:
		one(w, n.Key)
		one(w, n.Value)
	case *Hint:
		one(w, n.Name)
		all(w, n.Args)
	case *HintArg:
		one(w, n.Key)
		one(w, n.Value)
	case *When:
		all(w, n.Conds)
		one(w, n.Then)
	case *JSONClauses:
		one(w, n.Returning)
		one(w, n.OnEmpty)
		one(w, n.OnError)
	case *JSONBehavior:
		one(w, n.Default)
	case *DescriptorColumn:
		one(w, n.Name)
		one(w, n.Type)
	case *RowField:
		one(w, n.Name)
		one(w, n.Type)
		one(w, n.Comment)
	default:
		w.queryPart(node)
	}
}

// queryPart walks the nodes of queries that belong to no family.
func (w walker) queryPart(node Node) {
	switch n := node.(type) {
	case *SelectItem:
		one(w, n.Expr)
		one(w, n.Alias)
	case *GroupBy:
		all(w, n.Items)
	case *NamedWindow:
		one(w, n.Name)
		one(w, n.Spec)
	case *WindowSpec:
		one(w, n.Base)
		all(w, n.PartitionBy)
		all(w, n.OrderBy)
		one(w, n.Frame)
	case *Frame:
		one(w, &n.From)
		if n.To.Kind != BoundNone {
			one(w, &n.To)
		}
	case *FrameBound:
		one(w, n.Offset)
	case *OrderItem:
		one(w, n.Expr)
	case *CTE:
		one(w, n.Name)
		all(w, n.Columns)
		one(w, n.Query)
	case *Measure:
		one(w, n.Expr)
		one(w, n.Alias)
	case *AfterMatch:
		one(w, n.Var)
	case *Subset:
		one(w, n.Name)
		all(w, n.Vars)
	case *PatternDef:
		one(w, n.Var)
		one(w, n.Cond)
	default:
		w.definitionPart(node)
	}
}
