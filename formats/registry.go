package formats

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/failure"
)

// Registry finds formats by name and by file extension. It does not change
// after it was made and may be used concurrently.
type Registry struct {
	byName      map[string]Format
	byExtension map[string]Format
}

// NewRegistry returns a registry of the given formats, or an error if two of
// them claim the same name or extension.
func NewRegistry(all ...Format) (*Registry, error) {
	r := &Registry{byName: map[string]Format{}, byExtension: map[string]Format{}}
	for _, f := range all {
		if _, taken := r.byName[f.Name()]; taken {
			return nil, fmt.Errorf("two formats are called %s", f.Name())
		}
		r.byName[f.Name()] = f
		for _, ext := range f.Extensions() {
			if other, taken := r.byExtension[ext]; taken {
				return nil, fmt.Errorf("formats %s and %s both claim %s", other.Name(), f.Name(), ext)
			}
			r.byExtension[ext] = f
		}
	}
	return r, nil
}

// Lookup returns the format of that name, or an error that lists the known ones.
func (r *Registry) Lookup(name string) (Format, error) {
	if f, ok := r.byName[strings.ToLower(name)]; ok {
		return f, nil
	}
	return nil, failure.Errorf(failure.Usage, "unknown format %q: known are %s", name, strings.Join(r.Names(), ", "))
}

// ForPath returns the format that the file's extension means, and false if it
// means none.
func (r *Registry) ForPath(file string) (Format, bool) {
	f, ok := r.byExtension[strings.ToLower(path.Ext(file))]
	return f, ok
}

// Names returns the names of all formats, sorted.
func (r *Registry) Names() []string {
	names := make([]string, 0, len(r.byName))
	for name := range r.byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
