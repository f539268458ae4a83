package planner

import (
	"maps"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/sql/ast"
	"github.com/tidemill/tidemill/core/sql/sqlerr"
)

// createFunction gives a built-in function another name, for the session: by its own name,
// or by the class that does the same elsewhere. Code of others cannot be run.
func (r *run) createFunction(c *ast.CreateFunction) error {
	name, err := r.functionName(c.Name)
	if err != nil {
		return err
	}
	if len(c.Body.Resources) > 0 {
		return sqlerr.New(sqlerr.Unsupported, c.Body.Resources[0], "functions from files are not supported yet")
	}
	of, ok := r.functions.Class(c.Body.Class.Value)
	if !ok {
		return sqlerr.New(sqlerr.Unsupported, c.Body.Class, "no built-in function does what class %s does", c.Body.Class.Value).
			Suggest("name a built-in function; of classes there are %s", strings.Join(function.Classes(), ", "))
	}
	if _, builtin := r.Planner.functions.Exists(name); builtin && name != of {
		return sqlerr.New(sqlerr.DuplicateName, c.Name, "there is a built-in function %s", name)
	}
	known, err := r.session.NameFunction(name, of)
	if err != nil {
		return sqlerr.New(sqlerr.BadClause, c.Name, "%v", err)
	}
	if known && !c.IfNotExists {
		return sqlerr.New(sqlerr.DuplicateName, c.Name, "there is a function %s", name)
	}
	return nil
}

func (r *run) dropFunction(d *ast.Drop) error {
	name, err := r.functionName(d.Name)
	if err != nil {
		return err
	}
	known, err := r.session.NameFunction(name, "")
	if err == nil && !known && !d.IfExists {
		return sqlerr.New(sqlerr.UnknownFunction, d.Name, "unknown function %s", d.Name).DidYouMean(name, slices.Sorted(maps.Keys(r.session.Functions())))
	}
	return err
}

// functionName is the name of a function in upper case: those of a database are as good.
func (r *run) functionName(n *ast.Name) (string, error) {
	if _, err := r.session.Path(n); err != nil {
		return "", err
	}
	return strings.ToUpper(n.Parts[len(n.Parts)-1].Name), nil
}
