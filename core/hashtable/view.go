package hashtable

// View returns a reader of the keys for another goroutine: it is asked to Find and
// released, no more, and gives nothing back that t has charged. From the first view
// on t must not change; it outlives its views. Several may be used at once, and made
// of one another.
func (t *Table) View() *Table {
	l := &ledger{}
	return &Table{keys: t.keys.view(l), directory: t.directory.view(l), ledger: l, single: t.single, null: t.null}
}

// view shares the entries. An empty directory grows to one of its own.
func (d *directory) view(l *ledger) directory {
	return directory{entries: d.entries, mask: d.mask, used: d.used, ledger: l}
}

func (w *words[T]) viewOf(l *ledger) words[T] { return words[T]{ledger: l, keys: w.keys} }

func (s *chars) view(l *ledger) store {
	return &chars{words: s.words.viewOf(l), typ: s.typ, isLong: s.isLong, starts: s.starts, arena: s.arena}
}

// viewOf shares the layout and the keys of the interned parts.
func (p *packing) viewOf() *packing {
	v := &packing{parts: make([]part, len(p.parts)), width: p.width}
	for i, c := range p.parts {
		if c.interned != nil {
			c.interned = c.interned.View()
		}
		v.parts[i] = c
	}
	return v
}

func (s *oneWord) view(l *ledger) store {
	return &oneWord{words: s.words.viewOf(l), packing: s.packing.viewOf()}
}

func (s *fewWords[T]) view(l *ledger) store {
	return &fewWords[T]{words: s.words.viewOf(l), packing: s.packing.viewOf()}
}

func (s *manyWords) view(l *ledger) store {
	return &manyWords{strides: strides{ledger: l, width: s.strides.width, n: s.n, keys: s.strides.keys}, packing: s.packing.viewOf()}
}
