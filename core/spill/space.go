package spill

import (
	"errors"
	"fmt"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/metric"
)

// Counters are what a space adds to; fields may be nil.
type Counters struct {
	Bytes *metric.Counter // written
	Files *metric.Counter // created
}

// Space is where one operator spills.
type Space struct {
	dir      *Directory
	operator string
	counters Counters

	mu     sync.Mutex
	files  map[string]*File // also those still being written
	bytes  int64
	closed bool
}

// Space opens a space for an operator, which errors name.
func (d *Directory) Space(operator string, c Counters) *Space {
	return &Space{dir: d, operator: operator, counters: c, files: map[string]*File{}}
}

// Written is how many bytes have been written in all.
func (s *Space) Written() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// Create begins a file of rows of schema; name says what they are and becomes part
// of the file's name. Columns of types that have no place in a file are an error.
func (s *Space) Create(name string, schema *arrow.Schema) (*Writer, error) {
	for _, f := range schema.Fields() {
		if err := supported(f.Type); err != nil {
			return nil, failure.Errorf(failure.Fatal, "%s: spill column %s: %w", s.operator, f.Name, err)
		}
	}
	f := &File{space: s, schema: schema, name: fmt.Sprintf("%s-%d.spill", clean(name), s.dir.names.Add(1))}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, failure.Errorf(failure.Internal, "%s: spill after close", s.operator)
	}
	var err error
	if f.file, err = s.dir.layer.create(f.name); err != nil {
		return nil, f.failed("create", err)
	}
	s.files[f.name] = f
	if c := s.counters.Files; c != nil {
		c.Inc()
	}
	return newWriter(f), nil
}

// Close removes all files; nothing can be created afterwards.
func (s *Space) Close() error {
	s.mu.Lock()
	s.closed = true
	files := s.files
	s.files = nil
	s.mu.Unlock()
	var errs []error
	for _, f := range files {
		errs = append(errs, f.Remove())
	}
	return errors.Join(errs...)
}

func (s *Space) wrote(n int64) {
	s.mu.Lock()
	s.bytes += n
	s.mu.Unlock()
	if c := s.counters.Bytes; c != nil {
		c.Add(uint64(n))
	}
}

// clean keeps of a name what a file name may have.
func clean(name string) string {
	out := []byte(name[:min(len(name), 40)])
	for i, c := range out {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			out[i] = '_'
		}
	}
	return string(out)
}

// File is a finished file of rows. It is gone after Remove and after its space's
// Close.
type File struct {
	space  *Space
	name   string
	schema *arrow.Schema
	file   file
	rows   int64
	bytes  int64
	once   sync.Once
}

// Rows is the number of rows in the file.
func (f *File) Rows() int64 { return f.rows }

// Bytes is the size of the file.
func (f *File) Bytes() int64 { return f.bytes }

// Remove removes the file; the second time it does nothing. Readers fail from then
// on.
func (f *File) Remove() (err error) {
	f.once.Do(func() {
		f.space.mu.Lock()
		delete(f.space.files, f.name)
		f.space.mu.Unlock()
		f.space.dir.used.Add(-f.bytes)
		if err = errors.Join(f.file.Close(), f.space.dir.layer.remove(f.name)); err != nil {
			err = f.failed("remove", err)
		}
	})
	return err
}

func (f *File) failed(doing string, err error) error {
	if failure.Of(err) == failure.Fatal {
		return fmt.Errorf("%s: %s spill file %s: %w", f.space.operator, doing, f.name, err)
	}
	return failure.Errorf(failure.Transient, "%s: %s spill file %s: %w", f.space.operator, doing, f.name, err)
}
