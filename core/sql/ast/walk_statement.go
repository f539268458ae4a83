package ast

func (w walker) statement(s Statement) {
	switch n := s.(type) {
	case *CreateTable:
		one(w, n.Name)
		w.schema(n.Columns, n.Watermark, n.Constraints)
		w.clauses(n.Comment, n.Distribution, n.PartitionedBy, n.Options)
		one(w, n.Like)
		one(w, n.Query)
	case *CreateMaterializedTable:
		one(w, n.Name)
		w.schema(n.Columns, n.Watermark, n.Constraints)
		w.clauses(n.Comment, n.Distribution, n.PartitionedBy, n.Options)
		one(w, n.Freshness)
		one(w, n.Query)
	case *CreateView:
		one(w, n.Name)
		all(w, n.Columns)
		one(w, n.Comment)
		one(w, n.Query)
	case *CreateCatalog:
		one(w, n.Name)
		w.clauses(n.Comment, nil, nil, n.Options)
	case *CreateDatabase:
		one(w, n.Name)
		w.clauses(n.Comment, nil, nil, n.Options)
	case *CreateFunction:
		one(w, n.Name)
		one(w, n.Body)
	case *CreateModel:
		one(w, n.Name)
		all(w, n.Input)
		all(w, n.Output)
		w.clauses(n.Comment, nil, nil, n.Options)
		one(w, n.Query)
	case *CreateConnection:
		one(w, n.Name)
		w.clauses(n.Comment, nil, nil, n.Options)
	case *Drop:
		one(w, n.Name)
	case *Alter:
		one(w, n.Name)
		one(w, n.Action)
	default:
		w.manipulation(s)
	}
}

func (w walker) schema(columns []*ColumnDef, watermark *Watermark, constraints []*Constraint) {
	all(w, columns)
	one(w, watermark)
	all(w, constraints)
}

func (w walker) clauses(comment *StringLit, distribution *Distribution, partitioned []*Ident, options []*Option) {
	one(w, comment)
	one(w, distribution)
	all(w, partitioned)
	all(w, options)
}

func (w walker) manipulation(s Statement) {
	switch n := s.(type) {
	case *Insert:
		one(w, n.Table)
		one(w, n.Partition)
		all(w, n.Columns)
		one(w, n.Query)
	case *Update:
		one(w, n.Table)
		one(w, n.Alias)
		all(w, n.Sets)
		one(w, n.Where)
	case *Delete:
		one(w, n.Table)
		one(w, n.Alias)
		one(w, n.Where)
	case *Truncate:
		one(w, n.Table)
	case *StatementSet:
		all(w, n.Inserts)
	case *Execute:
		one(w, n.Statement)
	case *ExecutePlan:
		one(w, n.Path)
	case *CompilePlan:
		one(w, n.Path)
		one(w, n.Statement)
	default:
		w.command(s)
	}
}

func (w walker) command(s Statement) {
	switch n := s.(type) {
	case *Show:
		one(w, n.From)
		one(w, n.Partition)
		one(w, n.Like)
	case *ShowCreate:
		one(w, n.Name)
	case *Describe:
		one(w, n.Name)
		one(w, n.File)
		one(w, n.Query)
		one(w, n.Job)
	case *Explain:
		one(w, n.Statement)
	case *Set:
		one(w, n.Key)
		one(w, n.Value)
	case *Reset:
		one(w, n.Key)
	case *Use:
		one(w, n.Name)
	case *UseModules:
		all(w, n.Names)
	case *LoadModule:
		one(w, n.Name)
		all(w, n.Options)
	case *UnloadModule:
		one(w, n.Name)
	case *Jar:
		one(w, n.Path)
	case *AnalyzeTable:
		one(w, n.Table)
		one(w, n.Partition)
		all(w, n.Columns)
	case *CallProcedure:
		one(w, n.Call)
	case *StopJob:
		one(w, n.Job)
	}
}

func (w walker) alterAction(a AlterAction) {
	switch n := a.(type) {
	case *RenameTo:
		one(w, n.Name)
	case *RenameColumn:
		one(w, n.From)
		one(w, n.To)
	case *SetOptions:
		all(w, n.Options)
	case *ResetOptions:
		all(w, n.Keys)
	case *ChangeSchema:
		w.schema(n.Columns, n.Watermark, n.Constraints)
		one(w, n.Distribution)
	case *DropColumns:
		all(w, n.Columns)
	case *DropPart:
		one(w, n.Name)
	case *AddPartitions:
		all(w, n.Partitions)
	case *DropPartitions:
		all(w, n.Partitions)
	case *SetQuery:
		one(w, n.Query)
	case *SetComment:
		one(w, n.Comment)
	case *SetFunction:
		one(w, n.Body)
	case *Resume:
		all(w, n.Options)
	case *Refresh:
		one(w, n.Partition)
	case *SetFreshness:
		one(w, n.Freshness)
	}
}

// definitionPart walks the nodes of definitions that belong to no family.
func (w walker) definitionPart(node Node) {
	switch n := node.(type) {
	case *ColumnDef:
		one(w, n.Name)
		one(w, n.Type)
		one(w, n.Expr)
		one(w, n.MetadataKey)
		one(w, n.Constraint)
		one(w, n.Comment)
		one(w, n.Place)
	case *ColumnPlace:
		one(w, n.After)
	case *Constraint:
		one(w, n.Name)
		all(w, n.Columns)
	case *Watermark:
		one(w, n.Column)
		one(w, n.Expr)
	case *Distribution:
		all(w, n.Columns)
		one(w, n.Buckets)
	case *LikeClause:
		one(w, n.Table)
		one(w, n.File)
		all(w, n.Options)
	case *ViewColumn:
		one(w, n.Name)
		one(w, n.Comment)
	case *FunctionBody:
		one(w, n.Class)
		all(w, n.Resources)
		all(w, n.Options)
	case *Resource:
		one(w, n.URI)
	case *PartitionItem:
		one(w, n.Column)
		one(w, n.Value)
	case *PartitionSpec:
		all(w, n.Items)
		all(w, n.Options)
	case *Assignment:
		one(w, n.Column)
		one(w, n.Value)
	}
}
