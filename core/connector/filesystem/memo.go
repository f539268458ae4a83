package filesystem

import (
	"container/list"
	"sync"
	"time"

	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/fs"
)

const (
	// maxMemoBytes is the most memory for what formats know of files, in the whole
	// process; what was not asked for longest is forgotten.
	maxMemoBytes = 32 << 20
	// settled is how old a file must be for its ETag to name its content: some
	// stores tell two writes apart only by a clock that ticks.
	settled = 2 * time.Second
)

// memos are what formats know of files. A file that is replaced has another ETag
// and so another memo; the old one is forgotten in its turn.
type memos struct {
	mu    sync.Mutex
	known map[memoKey]*list.Element
	order list.List // of *memo, the one asked for last in front
	bytes int64
}

type memoKey struct {
	scheme, path, etag string
	size               int64
}

// memo is what is known of one version of a file. It enters memos with Store.
type memo struct {
	all   *memos
	key   memoKey
	value any   // guarded by all.mu, as the next
	bytes int64 // as Store was told
}

var _ formats.Memo = (*memo)(nil)

func newMemos() *memos { return &memos{known: map[memoKey]*list.Element{}} }

// of returns the memo of a file, or nil when nothing says which version it is.
func (m *memos) of(scheme string, info fs.Info) formats.Memo {
	if info.ETag == "" || time.Since(info.ModTime) < settled {
		return nil
	}
	return &memo{all: m, key: memoKey{scheme: scheme, path: info.Path, etag: info.ETag, size: info.Size}}
}

// Load implements formats.Memo.
func (k *memo) Load() any {
	m := k.all
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.known[k.key]
	if !ok {
		return nil
	}
	m.order.MoveToFront(e)
	return e.Value.(*memo).value
}

// Store implements formats.Memo.
func (k *memo) Store(value any, bytes int64) {
	m := k.all
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.known[k.key]; ok {
		m.forget(e)
	}
	kept := &memo{all: m, key: k.key, value: value, bytes: bytes}
	m.known[k.key] = m.order.PushFront(kept)
	for m.bytes += bytes; m.bytes > maxMemoBytes; {
		m.forget(m.order.Back())
	}
}

// forget drops a memo; the caller holds mu.
func (m *memos) forget(e *list.Element) {
	k := m.order.Remove(e).(*memo)
	delete(m.known, k.key)
	m.bytes -= k.bytes
}
