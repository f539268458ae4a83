package ast

func (p *printer) manipulation(s Statement) {
	switch n := s.(type) {
	case *Insert:
		p.insert(n)
	case *Update:
		p.words("UPDATE ")
		p.target(n.Table, n.Alias)
		p.words("SET ")
		commas(p, n.Sets, func(a *Assignment) { p.definitionPart(a) })
		p.clause(" WHERE ", n.Where)
	case *Delete:
		p.words("DELETE FROM ")
		p.target(n.Table, n.Alias)
		p.clause(" WHERE ", n.Where)
	case *Truncate:
		p.words("TRUNCATE TABLE", Format(n.Table))
	case *StatementSet:
		p.words("BEGIN STATEMENT SET;")
		p.members(n)
	case *Execute:
		p.words("EXECUTE ")
		p.run(n.Statement)
	case *ExecutePlan:
		p.literal("EXECUTE PLAN", n.Path)
	case *CompilePlan:
		p.words("COMPILE", when(n.Execute, "AND EXECUTE"))
		p.literal("PLAN", n.Path)
		p.words(when(n.IfNotExists, "IF NOT EXISTS"), "FOR ")
		p.run(n.Statement)
	default:
		p.command(s)
	}
}

// target writes the table of UPDATE and DELETE.
func (p *printer) target(t *TableRef, alias *Ident) {
	p.table(t)
	if alias != nil {
		p.words("AS", Format(alias))
	}
}

func (p *printer) insert(n *Insert) {
	p.words("INSERT", when(n.Overwrite, "OVERWRITE "), when(!n.Overwrite, "INTO "))
	p.table(n.Table)
	if n.Partition != nil {
		p.blank()
		p.partition(n.Partition)
	}
	if len(n.Columns) > 0 {
		p.blank()
		parens(p, n.Columns, p.name)
	}
	p.blank()
	p.query(n.Query)
}

// run writes a statement after EXECUTE, EXPLAIN or COMPILE, where a statement set is spelled in one piece.
func (p *printer) run(s Statement) {
	if set, ok := s.(*StatementSet); ok {
		p.words("STATEMENT SET BEGIN")
		p.members(set)
		return
	}
	p.node(s)
}

func (p *printer) members(s *StatementSet) {
	for _, i := range s.Inserts {
		p.blank()
		p.statement(i)
		p.WriteByte(';')
	}
	p.words("END")
}

func (p *printer) command(s Statement) {
	switch n := s.(type) {
	case *Show:
		p.show(n)
	case *ShowCreate:
		p.words("SHOW CREATE", n.Kind.String(), Format(n.Name))
	case *Describe:
		p.describe(n)
	case *Explain:
		p.words("EXPLAIN ")
		commas(p, n.Details, func(d ExplainDetail) { p.WriteString(d.String()) })
		p.blank()
		p.run(n.Statement)
	case *Set:
		p.words("SET")
		if n.Key != nil {
			p.literal("", n.Key)
			p.literal("=", n.Value)
		}
	case *Reset:
		p.words("RESET")
		p.literal("", n.Key)
	case *Use:
		p.words("USE", when(n.Catalog, "CATALOG"), Format(n.Name))
	case *UseModules:
		p.words("USE MODULES ")
		commas(p, n.Names, p.ident)
	case *LoadModule:
		p.words("LOAD MODULE", Format(n.Name))
		p.with(n.Options)
	case *UnloadModule:
		p.words("UNLOAD MODULE", Format(n.Name))
	case *Jar:
		p.literal(when(n.Remove, "REMOVE JAR")+when(!n.Remove, "ADD JAR"), n.Path)
	case *AnalyzeTable:
		p.analyze(n)
	case *CallProcedure:
		p.words("CALL", Format(n.Call))
	case *StopJob:
		p.literal("STOP JOB", n.Job)
		p.words(when(n.Savepoint, "WITH SAVEPOINT"), when(n.Drain, "WITH DRAIN"))
	}
}

func (p *printer) show(n *Show) {
	p.words("SHOW", n.Kind.String())
	if n.From != nil {
		p.words(when(n.Kind != ShowPartitions, "FROM"), Format(n.From))
	}
	if n.Partition != nil {
		p.blank()
		p.partition(n.Partition)
	}
	if n.Like != nil {
		p.words(when(n.Not, "NOT"))
		p.literal(when(n.CaseInsensitive, "ILIKE")+when(!n.CaseInsensitive, "LIKE"), n.Like)
	}
}

func (p *printer) describe(n *Describe) {
	p.words("DESCRIBE", when(n.Kind != ObjectTable, n.Kind.String()), when(n.Extended, "EXTENDED"))
	switch {
	case n.Name != nil:
		p.words(Format(n.Name))
	case n.File != nil:
		p.literal("", n.File)
	case n.Job != nil:
		p.literal("", n.Job)
	default:
		p.blank()
		p.query(n.Query)
	}
}

func (p *printer) analyze(n *AnalyzeTable) {
	p.words("ANALYZE TABLE", Format(n.Table))
	if n.Partition != nil {
		p.blank()
		p.partition(n.Partition)
	}
	p.words("COMPUTE STATISTICS", when(n.AllColumns, "FOR ALL COLUMNS"))
	if len(n.Columns) > 0 {
		p.words("FOR COLUMNS ")
		commas(p, n.Columns, p.ident)
	}
}
