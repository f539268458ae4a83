package keyfilter

import (
	"sync"

	"github.com/tidemill/tidemill/core/failure"
)

// Account is what the bytes of filters are charged to; core/memory implements it.
type Account interface {
	// Grow charges n bytes or returns an error and charges nothing.
	Grow(n int64) error
	// Shrink gives n charged bytes back.
	Shrink(n int64)
}

// Set is the filters of one job in one process. All methods may be called by any
// goroutine; a nil Set has no filters and takes none.
type Set struct {
	account Account

	mu      sync.Mutex
	closed  bool
	share   func(Part) // nil: nobody else wants parts
	charged int64
	filters map[uint32]*filter
}

// filter is what is known of one filter.
type filter struct {
	parts map[int]*Keys // by subtask of the join, until all are there
	keys  *Keys         // nil: not complete
	given bool          // complete, or given up
}

// NewSet returns a set whose filters are charged to account.
func NewSet(account Account) *Set {
	return &Set{account: account, filters: map[uint32]*filter{}}
}

// Share has the parts that are put here from now on handed to f, which passes them to
// the job's other processes and does not wait. Nil f ends that.
func (s *Set) Share(f func(Part)) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.share = f
}

// Put hands over one of so many parts of a filter. Nil keys give the filter up, and so
// does want of memory: a filter is only ever an advantage.
func (s *Set) Put(id uint32, part, parts int, keys *Keys) {
	if s == nil {
		return
	}
	share := s.put(id, part, parts, keys)
	if share == nil || keys == nil || parts == 1 {
		return
	}
	if data := keys.encode(); data != nil {
		share(Part{ID: id, Index: part, Of: parts, EncodedKeys: data})
	}
}

// Take is Put of a part that another process has shared. A damaged one is an error, and
// changes nothing.
func (s *Set) Take(p Part) error {
	if s == nil {
		return nil
	}
	keys, err := decode(p.EncodedKeys)
	if err == nil && (p.Index < 0 || p.Index >= p.Of) {
		err = failure.Errorf(failure.Internal, "part %d of %d of a filter", p.Index, p.Of)
	}
	if err != nil {
		return err
	}
	s.put(p.ID, p.Index, p.Of, keys)
	return nil
}

// put does the work of Put, and returns whom parts are shared with.
func (s *Set) put(id uint32, part, parts int, keys *Keys) func(Part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.add(id, part, parts, keys)
	return s.share
}

// add adds a part to its filter; it holds the lock.
func (s *Set) add(id uint32, part, parts int, keys *Keys) {
	f := s.filters[id]
	if f == nil {
		f = &filter{parts: map[int]*Keys{}}
		s.filters[id] = f
	}
	if f.given {
		return
	}
	if old := f.parts[part]; old != nil {
		s.refund(old)
		delete(f.parts, part)
	}
	if keys == nil || !s.charge(keys.Bytes()) {
		s.settle(f, nil)
		return
	}
	if f.parts[part] = keys; len(f.parts) == parts {
		s.settle(f, s.merge(f.parts))
	}
}

// merge makes a filter of its parts and charges it; nil: it would be too large.
func (s *Set) merge(parts map[int]*Keys) *Keys {
	all := make([]*Keys, 0, len(parts))
	rows := 0
	for _, p := range parts {
		all = append(all, p)
		rows += p.rows
	}
	// Before it is made, what it may take at most is charged.
	most := max(Bound(rows), bloomBytes(rows))
	if rows > 0 && !s.charge(most) {
		return nil
	}
	keys := union(all)
	if rows > 0 {
		s.shrink(most)
	}
	if keys == nil || !s.charge(keys.Bytes()) {
		return nil
	}
	return keys
}

// settle ends a filter's making with its keys, or none, and gives back what its parts
// took.
func (s *Set) settle(f *filter, keys *Keys) {
	for _, p := range f.parts {
		s.refund(p)
	}
	f.given, f.keys, f.parts = true, keys, nil
}

func (s *Set) charge(n int64) bool {
	if s.account.Grow(n) != nil {
		return false
	}
	s.charged += n
	return true
}

func (s *Set) refund(k *Keys) { s.shrink(k.Bytes()) }

func (s *Set) shrink(n int64) {
	s.account.Shrink(n)
	s.charged -= n
}

// Get returns a filter that is complete, and whether there is one or none will ever
// come.
func (s *Set) Get(id uint32) (keys *Keys, settled bool) {
	if s == nil {
		return nil, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.filters[id]
	if f == nil {
		return nil, s.closed
	}
	return f.keys, f.given || s.closed
}

// Close gives the memory back, with the job's end.
func (s *Set) Close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.filters = true, nil
	s.account.Shrink(s.charged)
	s.charged = 0
}
