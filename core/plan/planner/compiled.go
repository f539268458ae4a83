package planner

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/catalog"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/plan"
	"github.com/tidemill/tidemill/core/plan/planfile"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/parser"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
	"github.com/tidemill/tidemill/fs"
)

// compile carries out COMPILE PLAN, and COMPILE AND EXECUTE PLAN. The file is written by
// the result's Store, before its job begins.
func (r *run) compile(c *ast.CompilePlan) (*Result, error) {
	files, path, err := r.planFile(c.Path)
	if err != nil {
		return nil, err
	}
	_, err = files.Stat(r.ctx, path)
	force := config.ForceRecompile.Get(r.settings)
	switch {
	case err == nil && c.IfNotExists && c.Execute:
		return r.executePlan(c.Path)
	case err == nil && c.IfNotExists:
		return &Result{Kind: Done}, nil
	case err == nil && !force:
		return nil, sqlerr.New(sqlerr.AlreadyExists, c.Path, "file %s exists already", c.Path.Value).
			Suggest("write IF NOT EXISTS to leave it as it is, or SET '%s' = 'true' to replace it", config.ForceRecompile.Key())
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, place(err, sqlerr.CommandRejected, c.Path)
	}
	planned, err := r.compiled(c.Statement)
	if err != nil {
		return nil, err
	}
	p, err := r.stored(planned)
	if err != nil {
		return nil, err
	}
	data, err := planfile.Encode(p, r.version)
	if err != nil {
		return nil, place(err, sqlerr.CommandRejected, c.Path)
	}
	result := &Result{Kind: Done}
	if c.Execute { // what was written, as EXECUTE PLAN has it
		r.later = false
		if result, err = r.publishing(r.planned(c.Path, data)); err != nil {
			return nil, err
		}
	}
	result.Store = func(ctx context.Context) error {
		err := fs.WriteFile(ctx, files, path, data, fs.CreateOptions{IfNotExists: !force})
		return place(err, sqlerr.CommandRejected, c.Path)
	}
	return result, nil
}

// compiled plans a statement for any parallelism: that is of the session that executes it.
func (r *run) compiled(s ast.Statement) (*Result, error) {
	if err := r.refuseBatch(s); err != nil {
		return nil, err
	}
	r.later = true
	planned, err := r.statement(s)
	if err == nil && planned.Graph.GetMode() != jobgraph.Mode_MODE_STREAMING {
		err = sqlerr.New(sqlerr.Unsupported, s, "a plan is compiled in streaming mode only, and all tables of the statement end").
			Suggest("SET 'execution.runtime-mode' = 'streaming'")
	}
	return planned, err
}

func (r *run) refuseBatch(at ast.Node) error {
	if config.RuntimeMode.Get(r.settings) == "batch" {
		return sqlerr.New(sqlerr.Unsupported, at, "plans are compiled and executed in streaming mode only").
			Suggest("SET 'execution.runtime-mode' = 'streaming'")
	}
	return nil
}

// planFile is where a plan is.
func (r *run) planFile(at *ast.StringLit) (fs.FileSystem, string, error) {
	if r.files == nil {
		return nil, "", sqlerr.New(sqlerr.Unsupported, at, "this session has no files to keep plans in")
	}
	if at.Value == "" {
		return nil, "", sqlerr.New(sqlerr.CommandRejected, at, "the path of the plan is empty")
	}
	files, path, err := r.files.Resolve(at.Value)
	return files, path, place(err, sqlerr.CommandRejected, at)
}

// executePlan is the job of a plan in a file.
func (r *run) executePlan(at *ast.StringLit) (*Result, error) {
	files, path, err := r.planFile(at)
	if err != nil {
		return nil, err
	}
	data, err := fs.ReadFile(r.ctx, files, path, planfile.MaxBytes)
	if err != nil {
		return nil, place(err, sqlerr.CommandRejected, at)
	}
	return r.planned(at, data)
}

// planned is the job of a plan, with the options of the tables and of the session as they are
// now.
func (r *run) planned(at *ast.StringLit, data []byte) (*Result, error) {
	if err := r.refuseBatch(at); err != nil {
		return nil, err
	}
	if r.analyze {
		return nil, sqlerr.New(sqlerr.Unsupported, at, "EXPLAIN ANALYZE of a compiled plan is not supported yet")
	}
	p, err := planfile.Decode(data)
	if err != nil {
		return nil, sqlerr.New(sqlerr.PlanMismatch, at, "plan %s cannot be read: %v", at.Value, err)
	}
	result := &Result{Kind: Insert, Graph: p.Graph}
	options := map[string]map[string]string{}
	for _, t := range p.Tables {
		now, spec, err := r.tableNow(t)
		if err == nil {
			if d := t.Difference(now); d != "" {
				err = fmt.Errorf("table %s has changed since: %s", t.Name, d)
			}
		}
		if err := r.stopped(); err != nil {
			return nil, err
		}
		if err != nil {
			return nil, sqlerr.New(sqlerr.PlanMismatch, at, "plan %s cannot be executed: %v", at.Value, err)
		}
		options[t.Name] = spec.Options
		result.Unbounded = result.Unbounded || t.Read && !t.Ends
		if t.Written {
			result.written = append(result.written, written{spec, at})
		}
	}
	for table, to := range optionsOf(p.Graph) {
		given, known := options[table]
		if !known {
			return nil, sqlerr.New(sqlerr.PlanMismatch, at, "plan %s cannot be read: it does not say what table %s is", at.Value, table)
		}
		*to = maps.Clone(given)
	}
	p.Graph.Options = r.settings.Map()
	if name := config.JobName.Get(r.settings); name != "" {
		p.Graph.Name = name
	}
	return result, nil
}

// stored is a plan without what belongs to the session and the catalog.
func (r *run) stored(planned *Result) (planfile.Plan, error) {
	out := planfile.Plan{Graph: planned.Graph}
	tables := map[string]planfile.Table{}
	uses := tableUses(planned.Plans)
	if planned.late != nil {
		uses = append(uses, tableUse{planned.late.Sink.At(), planned.late.Sink.Table, false})
	}
	for _, u := range uses {
		t := tables[u.table.Name]
		t.Name, t.File = u.table.Name, u.table.Options["path"] == u.table.Name
		t.Read, t.Written = t.Read || u.read, t.Written || !u.read
		tables[t.Name] = t
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		now, spec, err := r.tableNow(tables[name])
		for _, u := range uses {
			switch {
			case u.table.Name != name:
			case err != nil:
				return out, place(err, sqlerr.PlanMismatch, u.at)
			case !maps.Equal(u.table.Options, spec.Options):
				return out, sqlerr.New(sqlerr.Unsupported, u.at, "table %s has options by a hint: a plan keeps none, for they may be secret", name).
					Suggest("give the options to a table of its own: CREATE TEMPORARY TABLE ... WITH (...) LIKE ...")
			}
		}
		out.Tables = append(out.Tables, now)
	}
	for _, options := range optionsOf(out.Graph) {
		*options = nil
	}
	for _, v := range out.Graph.GetVertices() {
		for _, op := range v.GetChain() {
			op.Position = 0
		}
	}
	out.Graph.Options = nil
	return out, nil
}

// tableUse is a table that a plan reads or writes.
type tableUse struct {
	at    ast.Span
	table connector.Table
	read  bool
}

func tableUses(roots []plan.Node) (uses []tableUse) {
	scan := func(at ast.Span, s *plan.Scan) {
		uses = append(uses, tableUse{at, s.Table, true})
		if s.Rejects != nil {
			uses = append(uses, tableUse{at, s.Rejects.Sink.Table, false})
		}
	}
	for _, root := range roots {
		plan.Walk(root, func(n plan.Node) {
			switch n := n.(type) {
			case *plan.Scan:
				scan(n.At(), n)
			case *plan.LookupJoin:
				scan(n.At(), n.Table)
			case *plan.Sink:
				uses = append(uses, tableUse{n.At(), n.Table, false})
			}
		})
	}
	return uses
}

// optionsOf are the names of the tables of a graph, with the options of each use.
func optionsOf(g *jobgraph.Graph) iter.Seq2[string, *map[string]string] {
	return func(yield func(string, *map[string]string) bool) {
		for _, v := range g.GetVertices() {
			for _, op := range v.GetChain() {
				source, goOn := op.GetSource(), true
				if join := op.GetLookupJoin(); join != nil {
					source = join.GetTable()
				}
				if source != nil {
					goOn = yield(source.Table, &source.Options)
				} else if sink := op.GetSink(); sink != nil {
					goOn = yield(sink.Table, &sink.Options)
				}
				if !goOn {
					return
				}
			}
		}
	}
}

// tableNow is the table of a name as it is, and what its connector gets of it. Of t it takes
// the name, and whether it is a file, read, written.
func (r *run) tableNow(t planfile.Table) (planfile.Table, connector.Table, error) {
	now := planfile.Table{Name: t.Name, File: t.File, Read: t.Read, Written: t.Written}
	spec := catalog.FileTable(t.Name)
	if !t.File {
		table, err := r.tableCalled(t.Name)
		if err != nil {
			return now, spec, err
		}
		spec = table.Spec()
		for _, c := range table.Columns {
			column := planfile.Column{Name: c.Name, Type: c.Type.String(), Metadata: c.MetadataKey}
			if c.Expr != nil {
				column.As = ast.Format(c.Expr)
			}
			now.Columns = append(now.Columns, column)
		}
		if w := table.Watermark; w != nil {
			now.Watermark = w.Column + " AS " + ast.Format(w.Expr)
		}
	}
	now.Connector, now.PrimaryKey, now.Partitions = spec.Options[catalog.OptionConnector], spec.PrimaryKey, spec.Partitions
	now.Options = shaping(spec)
	if !t.Read && (t.File || len(now.Columns) > 0) {
		return now, spec, nil
	}
	known, err := r.describe(spec, nil)
	if err != nil {
		return now, spec, fmt.Errorf("table %s: %w", t.Name, err)
	}
	now.Ends = t.Read && known.Bounded
	if len(now.Columns) == 0 {
		now.Partitions = known.Partitions
		for _, f := range known.Schema {
			now.Columns = append(now.Columns, planfile.Column{Name: f.Name, Type: f.Type.String()})
		}
	}
	return now, spec, nil
}

// shaping are the options of a table that its plan was made by.
func shaping(t connector.Table) map[string]string {
	out := map[string]string{}
	for k, v := range t.Options {
		if strings.HasPrefix(k, "lookup.") || strings.HasPrefix(k, "scan.watermark.") || strings.HasSuffix(k, ".ignore-parse-errors") {
			out[k] = v
		}
	}
	maps.Copy(out, t.Rejects)
	return out
}

// tableCalled is the table of a full name, as catalog.Path prints it.
func (r *run) tableCalled(name string) (*catalog.Table, error) {
	e, err := parser.ParseExpr(name)
	if column, ok := e.(*ast.ColumnRef); ok && err == nil && len(column.Parts) == 3 {
		path := catalog.Path{Catalog: column.Parts[0].Name, Database: column.Parts[1].Name, Object: column.Parts[2].Name}
		if o, ok := r.session.Lookup(path); ok {
			if table, ok := o.(*catalog.Table); ok {
				return table, nil
			}
			return nil, failure.Errorf(failure.InvalidSQL, "%s is a view now", name)
		}
	}
	return nil, failure.Errorf(failure.NotFound, "there is no table %s", name)
}
