package fs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// ErrUnknownScheme says that no file system is registered for a URI's scheme.
var ErrUnknownScheme = errors.New("unknown file system scheme")

// Registry maps URI schemes to file systems. It is filled where a program is
// assembled and passed on; it may be used concurrently.
type Registry struct {
	mu      sync.RWMutex
	schemes map[string]FileSystem
}

// NewRegistry returns a registry without any scheme.
func NewRegistry() *Registry { return &Registry{schemes: map[string]FileSystem{}} }

// Register adds a file system under a scheme; a scheme that is taken or not a
// valid URI scheme is an error.
func (r *Registry) Register(scheme string, fsys FileSystem) error {
	if !validScheme(scheme) {
		return fmt.Errorf("register file system: %q is not a URI scheme", scheme)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	scheme = strings.ToLower(scheme)
	if _, taken := r.schemes[scheme]; taken {
		return fmt.Errorf("register file system %s: %w", scheme, ErrExist)
	}
	r.schemes[scheme] = fsys
	return nil
}

// Resolve returns the file system for a URI or bare path, and the path to hand
// to it. Its error is ErrUnknownScheme and lists the schemes that exist.
func (r *Registry) Resolve(uri string) (FileSystem, string, error) {
	scheme, p := SplitURI(uri)
	if scheme == "" {
		scheme = DefaultScheme
	}
	r.mu.RLock()
	fsys, ok := r.schemes[scheme]
	r.mu.RUnlock()
	if !ok {
		return nil, "", fmt.Errorf("%s: %w %q (known: %s)", uri, ErrUnknownScheme, scheme, strings.Join(r.Schemes(), ", "))
	}
	return fsys, p, nil
}

// Schemes lists the registered schemes in order.
func (r *Registry) Schemes() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	names := make([]string, 0, len(r.schemes))
	for s := range r.schemes {
		names = append(names, s)
	}
	slices.Sort(names)
	return names
}
