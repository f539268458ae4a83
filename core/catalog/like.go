package catalog

import (
	"maps"
	"slices"

	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// like copies the features of the table that a LIKE clause names into t. Without
// options everything is included and options are overwritten, as in Flink.
func (d *Definer) like(t *Table, l *ast.LikeClause) error {
	if l == nil {
		return nil
	}
	from, err := d.likeSource(l)
	if err != nil {
		return err
	}
	include := func(f ast.LikeFeature) bool { return included(l.Options, f) }
	for _, c := range from.Columns {
		if c.Kind == ast.ColumnComputed && !include(ast.FeatureGenerated) || c.Kind == ast.ColumnMetadata && !include(ast.FeatureMetadata) {
			continue
		}
		t.Columns = append(t.Columns, c)
	}
	if include(ast.FeatureOptions) {
		maps.Copy(t.Options, from.Options)
	}
	if include(ast.FeatureConstraints) {
		t.PrimaryKey = slices.Clone(from.PrimaryKey)
	}
	if include(ast.FeaturePartitions) {
		t.Partitions = slices.Clone(from.Partitions)
	}
	if include(ast.FeatureWatermarks) && from.Watermark != nil && t.column(from.Watermark.Column) != nil {
		t.Watermark = from.Watermark
	}
	return nil
}

func (d *Definer) likeSource(l *ast.LikeClause) (*Table, error) {
	if l.File != nil {
		columns, err := d.FileSchema(l.File)
		if err != nil {
			return nil, err
		}
		t := &Table{Options: FileTable(l.File.Value).Options}
		for _, f := range columns {
			t.Columns = append(t.Columns, Column{Name: f.Name, Kind: ast.ColumnPhysical, Type: f.Type})
		}
		return t, nil
	}
	o, err := d.Session.Resolve(l.Table)
	if err != nil {
		return nil, err
	}
	t, ok := o.(*Table)
	if !ok {
		return nil, sqlerr.New(sqlerr.BadClause, l.Table, "%s is a view; LIKE takes a table", l.Table)
	}
	return t, nil
}

// included reports whether LIKE copies a feature: the option that names it
// decides, else the one for ALL, else yes.
func included(options []*ast.LikeOption, f ast.LikeFeature) bool {
	result := true
	for _, o := range options {
		if o.Feature == ast.FeatureAll {
			result = o.Strategy != ast.MergeExcluding
		}
	}
	for _, o := range options {
		if o.Feature == f {
			result = o.Strategy != ast.MergeExcluding
		}
	}
	return result
}
