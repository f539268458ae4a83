package ast

func (p *printer) statement(s Statement) {
	switch n := s.(type) {
	case *CreateTable:
		p.createTable(n)
	case *CreateView:
		p.createView(n)
	case *CreateMaterializedTable:
		p.createMaterializedTable(n)
	case *CreateCatalog:
		p.words("CREATE CATALOG", when(n.IfNotExists, "IF NOT EXISTS"), Format(n.Name))
		p.tableClauses(n.Comment, nil, nil, n.Options)
	case *CreateDatabase:
		p.words("CREATE DATABASE", when(n.IfNotExists, "IF NOT EXISTS"), Format(n.Name))
		p.tableClauses(n.Comment, nil, nil, n.Options)
	case *CreateFunction:
		p.words("CREATE", when(n.Temporary, "TEMPORARY"), when(n.System, "SYSTEM"), "FUNCTION", when(n.IfNotExists, "IF NOT EXISTS"), Format(n.Name))
		p.functionBody(n.Body)
	case *CreateModel:
		p.createModel(n)
	case *CreateConnection:
		p.words("CREATE", when(n.Temporary, "TEMPORARY"), when(n.System, "SYSTEM"), "CONNECTION", when(n.IfNotExists, "IF NOT EXISTS"), Format(n.Name))
		p.tableClauses(n.Comment, nil, nil, n.Options)
	case *Drop:
		p.words("DROP", when(n.Temporary, "TEMPORARY"), when(n.System, "SYSTEM"), n.Kind.String(), when(n.IfExists, "IF EXISTS"), Format(n.Name),
			when(n.Behavior != DropDefault, n.Behavior.String()))
	case *Alter:
		p.words("ALTER", when(n.Temporary, "TEMPORARY"), when(n.System, "SYSTEM"), n.Kind.String(), when(n.IfExists, "IF EXISTS"), Format(n.Name))
		p.blank()
		p.alterAction(n.Action)
	default:
		p.manipulation(s)
	}
}

func (p *printer) createTable(n *CreateTable) {
	p.words(when(n.Create, "CREATE"), when(n.Create && n.Replace, "OR"), when(n.Replace, "REPLACE"), when(n.Temporary, "TEMPORARY"), "TABLE",
		when(n.IfNotExists, "IF NOT EXISTS"), Format(n.Name))
	p.schema(n.Columns, n.Watermark, n.Constraints)
	p.tableClauses(n.Comment, n.Distribution, n.PartitionedBy, n.Options)
	if n.Like != nil {
		p.blank()
		p.likeClause(n.Like)
	}
	p.asQuery(n.Query)
}

// schema writes (columns, watermark, constraints), or nothing if there are none.
func (p *printer) schema(columns []*ColumnDef, watermark *Watermark, constraints []*Constraint) {
	var elements []Node
	for _, c := range columns {
		elements = append(elements, c)
	}
	if watermark != nil {
		elements = append(elements, watermark)
	}
	for _, c := range constraints {
		elements = append(elements, c)
	}
	if len(elements) > 0 {
		p.blank()
		parens(p, elements, p.definitionPart)
	}
}

// tableClauses writes the clauses between columns and query.
func (p *printer) tableClauses(comment *StringLit, distribution *Distribution, partitioned []*Ident, options []*Option) {
	p.literal("COMMENT", comment)
	if distribution != nil {
		p.words("DISTRIBUTED")
		p.distribution(distribution)
	}
	if len(partitioned) > 0 {
		p.words("PARTITIONED BY ")
		p.idents(partitioned)
	}
	p.with(options)
}

func (p *printer) asQuery(q Query) {
	if q != nil {
		p.words("AS ")
		p.query(q)
	}
}

// definitionPart writes the parts of definitions.
func (p *printer) definitionPart(node Node) {
	switch n := node.(type) {
	case *ColumnDef:
		p.columnDef(n)
	case *ColumnPlace:
		p.place(n)
	case *Constraint:
		p.constraint(n)
	case *Watermark:
		p.WriteString("WATERMARK FOR ")
		p.name(n.Column)
		p.WriteString(" AS ")
		p.expr(n.Expr)
	case *Distribution:
		p.WriteString("DISTRIBUTED")
		p.distribution(n)
	case *LikeClause:
		p.likeClause(n)
	case *LikeOption:
		p.WriteString(n.Strategy.String() + " " + n.Feature.String())
	case *ViewColumn:
		p.ident(n.Name)
		p.literal("COMMENT", n.Comment)
	case *FunctionBody:
		p.functionBody(n)
	case *Resource:
		p.WriteString(n.Kind + " ")
		p.str(n.URI.Value)
	case *PartitionSpec:
		p.partition(n)
	case *PartitionItem:
		p.ident(n.Column)
		p.clause(" = ", n.Value)
	case *Assignment:
		p.name(n.Column)
		p.clause(" = ", n.Value)
	}
}

func (p *printer) columnDef(c *ColumnDef) {
	p.ident(c.Name)
	if c.Type != nil {
		p.WriteByte(' ')
		p.typeName(c.Type)
	}
	switch c.Kind {
	case ColumnComputed:
		p.WriteString(" AS ")
		p.expr(c.Expr)
	case ColumnMetadata:
		p.words("METADATA")
		p.literal("FROM", c.MetadataKey)
		p.words(when(c.Virtual, "VIRTUAL"))
	}
	if c.Constraint != nil {
		p.WriteByte(' ')
		p.constraint(c.Constraint)
	}
	p.literal("COMMENT", c.Comment)
	if c.Place != nil {
		p.WriteByte(' ')
		p.place(c.Place)
	}
}

func (p *printer) place(c *ColumnPlace) {
	if c.After == nil {
		p.WriteString("FIRST")
		return
	}
	p.WriteString("AFTER ")
	p.ident(c.After)
}

func (p *printer) constraint(c *Constraint) {
	if c.Name != nil {
		p.WriteString("CONSTRAINT ")
		p.ident(c.Name)
		p.WriteByte(' ')
	}
	p.WriteString(when(c.Primary, "PRIMARY KEY") + when(!c.Primary, "UNIQUE"))
	if len(c.Columns) > 0 {
		p.WriteByte(' ')
		p.idents(c.Columns)
	}
	p.words(when(c.Enforced != EnforcementUnset, c.Enforced.String()))
}

// distribution writes what follows DISTRIBUTED or DISTRIBUTION.
func (p *printer) distribution(d *Distribution) {
	if len(d.Columns) > 0 {
		p.words("BY", when(d.Kind != DistributionDefault, d.Kind.String()))
		p.WriteString(when(d.Kind == DistributionDefault, " "))
		p.idents(d.Columns)
	}
	if d.Buckets != nil {
		p.words("INTO", d.Buckets.Text, "BUCKETS")
	}
}

func (p *printer) likeClause(l *LikeClause) {
	p.WriteString("LIKE ")
	if l.File != nil {
		p.str(l.File.Value)
	} else {
		p.name(l.Table)
	}
	if len(l.Options) > 0 {
		p.WriteString(" (")
		for _, o := range l.Options {
			p.words(o.Strategy.String(), o.Feature.String())
		}
		p.WriteByte(')')
	}
}

func (p *printer) createView(n *CreateView) {
	p.words("CREATE", when(n.OrReplace, "OR REPLACE"), when(n.Temporary, "TEMPORARY"), "VIEW", when(n.IfNotExists, "IF NOT EXISTS"), Format(n.Name))
	if len(n.Columns) > 0 {
		p.WriteByte(' ')
		parens(p, n.Columns, func(c *ViewColumn) { p.definitionPart(c) })
	}
	p.literal("COMMENT", n.Comment)
	p.asQuery(n.Query)
}

func (p *printer) createMaterializedTable(n *CreateMaterializedTable) {
	p.words("CREATE", when(n.OrAlter, "OR ALTER"), "MATERIALIZED TABLE", when(n.IfNotExists, "IF NOT EXISTS"), Format(n.Name))
	p.schema(n.Columns, n.Watermark, n.Constraints)
	p.tableClauses(n.Comment, n.Distribution, n.PartitionedBy, n.Options)
	p.clause(" FRESHNESS = ", n.Freshness)
	if n.RefreshMode != RefreshUnset {
		p.words("REFRESH_MODE =", n.RefreshMode.String())
	}
	p.asQuery(n.Query)
}

func (p *printer) createModel(n *CreateModel) {
	p.words("CREATE", when(n.Temporary, "TEMPORARY"), "MODEL", when(n.IfNotExists, "IF NOT EXISTS"), Format(n.Name))
	if len(n.Input) > 0 {
		p.words("INPUT")
		p.schema(n.Input, nil, nil)
	}
	if len(n.Output) > 0 {
		p.words("OUTPUT")
		p.schema(n.Output, nil, nil)
	}
	p.tableClauses(n.Comment, nil, nil, n.Options)
	p.asQuery(n.Query)
}

func (p *printer) functionBody(b *FunctionBody) {
	p.literal("AS", b.Class)
	if b.Language != "" {
		p.words("LANGUAGE", b.Language)
	}
	if len(b.Resources) > 0 {
		p.words("USING ")
		commas(p, b.Resources, func(r *Resource) { p.definitionPart(r) })
	}
	p.with(b.Options)
}

func (p *printer) partition(s *PartitionSpec) {
	p.WriteString("PARTITION ")
	parens(p, s.Items, func(i *PartitionItem) { p.definitionPart(i) })
	p.with(s.Options)
}

func (p *printer) alterAction(a AlterAction) {
	switch n := a.(type) {
	case *RenameTo:
		p.words("RENAME TO", Format(n.Name))
	case *RenameColumn:
		p.words("RENAME", Format(n.From), "TO", Format(n.To))
	case *SetOptions:
		p.words("SET ")
		p.options(n.Options)
	case *ResetOptions:
		p.words("RESET ")
		parens(p, n.Keys, func(k *StringLit) { p.str(k.Value) })
	case *ChangeSchema:
		p.changeSchema(n)
	case *DropColumns:
		p.words("DROP ")
		parens(p, n.Columns, p.name)
	case *DropPart:
		p.words("DROP", n.Part.String())
		if n.Name != nil {
			p.words(Format(n.Name))
		}
	case *AddPartitions:
		p.words("ADD", when(n.IfNotExists, "IF NOT EXISTS"))
		for _, s := range n.Partitions {
			p.blank()
			p.partition(s)
		}
	case *DropPartitions:
		p.words("DROP", when(n.IfExists, "IF EXISTS"))
		p.blank()
		commas(p, n.Partitions, p.partition)
	case *SetQuery:
		p.asQuery(n.Query)
	case *SetComment:
		p.literal("COMMENT", n.Comment)
	case *SetFunction:
		p.functionBody(n.Body)
	default:
		p.refreshAction(a)
	}
}

func (p *printer) refreshAction(a AlterAction) {
	switch n := a.(type) {
	case *Suspend:
		p.words("SUSPEND")
	case *Resume:
		p.words("RESUME")
		p.with(n.Options)
	case *Refresh:
		p.words("REFRESH")
		if n.Partition != nil {
			p.blank()
			p.partition(n.Partition)
		}
	case *SetFreshness:
		p.words("SET FRESHNESS = ")
		p.expr(n.Freshness)
	case *SetRefreshMode:
		p.words("SET REFRESH_MODE =", n.Mode.String())
	}
}

func (p *printer) changeSchema(n *ChangeSchema) {
	p.words(when(n.Modify, "MODIFY"), when(!n.Modify, "ADD"))
	if n.Distribution != nil {
		p.words("DISTRIBUTION")
		p.distribution(n.Distribution)
		return
	}
	p.schema(n.Columns, n.Watermark, n.Constraints)
}
