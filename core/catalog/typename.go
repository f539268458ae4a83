package catalog

import (
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// TypeOf returns the type that a written type name means.
func TypeOf(n ast.TypeName) (datatype.Type, error) {
	t, err := typeOf(n)
	if err != nil {
		return datatype.Type{}, err
	}
	return t.WithNull(!n.IsNotNull()), nil
}

func typeOf(n ast.TypeName) (datatype.Type, error) {
	switch n := n.(type) {
	case *ast.BasicType:
		return basicType(n)
	case *ast.IntervalType:
		return datatype.Of(intervalKind(n.Qualifier.From)), nil
	case *ast.ArrayType:
		elem, err := TypeOf(n.Elem)
		return datatype.ArrayOf(elem), err
	case *ast.MultisetType:
		elem, err := TypeOf(n.Elem)
		return datatype.Type{Kind: datatype.Multiset, Nullable: true, Elem: &elem}, err
	case *ast.MapType:
		key, err := TypeOf(n.Key)
		if err != nil {
			return datatype.Type{}, err
		}
		value, err := TypeOf(n.Value)
		return datatype.MapOf(key, value), err
	case *ast.RowType:
		return rowType(n)
	case *ast.NamedType:
		return datatype.Type{}, sqlerr.New(sqlerr.BadType, n, "unknown type %s", n.Name).DidYouMean(n.Name.String(), typeNames())
	}
	return datatype.Type{}, sqlerr.New(sqlerr.Unsupported, n, "this type is not supported yet")
}

func typeNames() []string {
	return []string{
		"BOOLEAN", "TINYINT", "SMALLINT", "INT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL", "CHAR", "VARCHAR", "STRING",
		"BINARY", "VARBINARY", "BYTES", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP_LTZ", "ARRAY", "MAP", "MULTISET", "ROW",
	}
}

func rowType(n *ast.RowType) (datatype.Type, error) {
	row := datatype.RowOf()
	seen := map[string]bool{}
	for _, f := range n.Fields {
		t, err := TypeOf(f.Type)
		if err != nil {
			return datatype.Type{}, err
		}
		if seen[f.Name.Name] {
			return datatype.Type{}, sqlerr.New(sqlerr.DuplicateName, f.Name, "field %s is given twice", f.Name.Name)
		}
		seen[f.Name.Name] = true
		row.Fields = append(row.Fields, datatype.Field{Name: f.Name.Name, Type: t})
	}
	return row, nil
}

func intervalKind(from ast.TimeUnit) datatype.Kind {
	switch from {
	case ast.UnitYear, ast.UnitQuarter, ast.UnitMonth:
		return datatype.IntervalMonth
	}
	return datatype.IntervalSecond
}

func basicType(n *ast.BasicType) (datatype.Type, error) {
	kinds := map[ast.BasicKind]datatype.Kind{
		ast.TypeChar: datatype.Char, ast.TypeVarchar: datatype.Varchar, ast.TypeString: datatype.Varchar, ast.TypeBoolean: datatype.Boolean,
		ast.TypeBinary: datatype.Binary, ast.TypeVarbinary: datatype.Varbinary, ast.TypeBytes: datatype.Varbinary,
		ast.TypeDecimal: datatype.Decimal, ast.TypeTinyint: datatype.TinyInt, ast.TypeSmallint: datatype.SmallInt,
		ast.TypeInt: datatype.Int, ast.TypeBigint: datatype.BigInt, ast.TypeFloat: datatype.Float, ast.TypeDouble: datatype.Double,
		ast.TypeDate: datatype.Date, ast.TypeTime: datatype.Time, ast.TypeTimestamp: datatype.Timestamp,
		ast.TypeTimestampLTZ: datatype.TimestampLTZ, ast.TypeNull: datatype.Null,
	}
	kind, ok := kinds[n.Kind]
	if !ok {
		return datatype.Type{}, sqlerr.New(sqlerr.Unsupported, n, "type %s is not supported yet", n.Kind)
	}
	t := datatype.Of(kind)
	if n.Precision >= 0 {
		t.Precision = n.Precision
	}
	if n.Scale >= 0 {
		t.Scale = n.Scale
	}
	return t, checkParameters(n, t)
}

func checkParameters(n ast.Node, t datatype.Type) error {
	switch t.Kind {
	case datatype.Decimal:
		if t.Precision < 1 || t.Precision > datatype.MaxDecimalPrecision || t.Scale > t.Precision {
			return sqlerr.New(sqlerr.BadType, n, "DECIMAL(%d, %d) is not a type", t.Precision, t.Scale).
				Suggest("the precision is 1 to %d digits, the scale at most the precision", datatype.MaxDecimalPrecision)
		}
	case datatype.Time, datatype.Timestamp, datatype.TimestampLTZ:
		if t.Precision > datatype.MaxTimePrecision {
			return sqlerr.New(sqlerr.BadType, n, "%s has %d digits of seconds, %d are the most", t.Kind, t.Precision, datatype.MaxTimePrecision)
		}
	case datatype.Char, datatype.Varchar, datatype.Binary, datatype.Varbinary:
		if t.Precision < 1 {
			return sqlerr.New(sqlerr.BadType, n, "the length of %s is at least 1", t.Kind)
		}
	}
	return nil
}
