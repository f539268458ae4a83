package formats

// Memo keeps what a format learned of one version of a file (a parsed footer) for
// those who open it again. All methods may be called concurrently.
type Memo interface {
	// Load returns what Store was given last, or nil.
	Load() any
	// Store keeps a value, which nobody changes from then on and which takes about
	// that many bytes of memory. It may be forgotten at any time.
	Store(value any, bytes int64)
}
