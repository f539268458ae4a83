package filesystem

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/fs"
)

// splitVersion is the version of the JSON in connector.Split.Data.
const splitVersion = 1

// piece is what a split's Data says: a span of a file and how many of its rows
// have been read.
type piece struct {
	Version    int
	Path       string
	ETag       string `json:",omitempty"`
	Size       int64  `json:",omitempty"` // of the file, with ModTime what ETag goes with
	ModTime    time.Time
	Span       formats.Span
	Skip       int64               `json:",omitempty"`
	Partitions []fs.PartitionValue `json:",omitempty"`
	Bytes      int64               `json:",omitempty"`
	Rows       int64               `json:",omitempty"` // 0: unknown
}

func (p piece) split() (connector.Split, error) {
	p.Version = splitVersion
	data, err := json.Marshal(p)
	if err != nil {
		return connector.Split{}, fmt.Errorf("encode split of %s: %w", p.Path, err)
	}
	id := fmt.Sprintf("%s[%d,%d)", p.Path, p.Span.First, p.Span.End)
	return connector.Split{ID: id, Data: data, Bytes: p.Bytes}, nil
}

func parsePiece(s connector.Split) (piece, error) {
	var p piece
	if err := json.Unmarshal(s.Data, &p); err != nil {
		return p, failure.Errorf(failure.Fatal, "decode split %s: %w", s.ID, err)
	}
	if p.Version != splitVersion {
		return p, failure.Errorf(failure.Fatal, "split %s has version %d, this program reads %d", s.ID, p.Version, splitVersion)
	}
	return p, nil
}

// enumerator hands out spans of the table's files in the order of their paths.
type enumerator struct {
	c      *Connector
	loc    location
	spec   connector.SourceSpec
	target int64
	files  []file            // not yet cut
	ready  []connector.Split // cut, not yet handed out
	given  int               // handed out since the start or restore
	ledger *ledger           // of a table that grows
}

// position is the enumerator's snapshot.
type position struct {
	Version int
	Files   []pending `json:",omitempty"`
	Ready   []connector.Split
	Seen    []byte `json:",omitempty"` // the ledger's
}

type pending struct {
	Path string
	Size int64
	ETag string
}

func newEnumerator(ctx context.Context, c *Connector, loc location, s connector.SourceSpec, restored []byte) (*enumerator, error) {
	e := &enumerator{c: c, loc: loc, spec: s, ledger: newLedger(loc.every)}
	if restored != nil {
		return e, e.restore(restored)
	}
	if err := e.look(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

// aim chooses the size of splits: eight a subtask, within limits, so that
// subtasks end together.
func (e *enumerator) aim() {
	var total int64
	for _, f := range e.files {
		total += f.info.Size
	}
	e.target = min(max(total/int64(8*max(e.spec.Parallelism, 1)), minSpanBytes), maxSpanBytes)
}

// Next implements connector.Enumerator.
func (e *enumerator) Next(ctx context.Context, _ int) (connector.Split, bool, error) {
	for len(e.ready) == 0 {
		if len(e.files) == 0 && e.ledger == nil {
			return connector.Split{}, false, nil
		}
		if len(e.files) == 0 {
			if wait := e.ledger.wait(); wait > 0 {
				return connector.Split{}, false, &connector.LaterError{After: wait}
			}
			if err := e.look(ctx); err != nil {
				return connector.Split{}, false, err
			}
			continue
		}
		f := e.files[0]
		if err := e.cut(ctx, f); err != nil {
			return connector.Split{}, false, err
		}
		e.files = e.files[1:]
	}
	s := e.ready[0]
	e.ready = e.ready[1:]
	e.given++
	return s, true, nil
}

func (e *enumerator) cut(ctx context.Context, f file) error {
	format, err := e.c.formatFor(e.loc, f.info.Path)
	if err != nil {
		return err
	}
	in, opened, err := e.loc.open(ctx, f.info)
	if err != nil {
		return err
	}
	defer opened.Close()
	spans, err := format.Spans(ctx, in, formats.SpanOptions{
		TargetBytes: e.target, Predicate: e.spec.Predicate, Columns: e.spec.Columns, Options: e.loc.options,
	})
	if err != nil {
		return err
	}
	for _, span := range spans {
		s, err := piece{
			Path: f.info.Path, ETag: f.info.ETag, Size: f.info.Size, ModTime: f.info.ModTime, Span: span.Span, Partitions: f.partitions, Bytes: span.Bytes, Rows: max(span.Rows, 0),
		}.split()
		if err != nil {
			return err
		}
		e.ready = append(e.ready, s)
	}
	return nil
}

// Return implements connector.Enumerator.
func (e *enumerator) Return(splits []connector.Split) {
	e.ready = slices.Concat(splits, e.ready)
	e.given -= min(e.given, len(splits))
}

// Total counts the splits, for progress: a file that is not yet cut counts as one,
// so the number grows while large files are cut. Their bytes are not counted.
func (e *enumerator) Total() (splits uint64, bytes int64) {
	return uint64(e.given + len(e.ready) + len(e.files)), 0
}

// Snapshot implements connector.Enumerator.
func (e *enumerator) Snapshot() ([]byte, error) {
	p := position{Version: splitVersion, Ready: e.ready, Seen: e.ledger.snapshot()}
	for _, f := range e.files {
		p.Files = append(p.Files, pending{Path: f.info.Path, Size: f.info.Size, ETag: f.info.ETag})
	}
	return json.Marshal(p)
}

func (e *enumerator) restore(data []byte) error {
	var p position
	if err := json.Unmarshal(data, &p); err != nil || p.Version != splitVersion {
		return failure.Errorf(failure.Fatal, "restore splits of %s: position of version %d: %w", e.loc.uri, p.Version, err)
	}
	e.ready = p.Ready
	if e.ledger != nil {
		e.ledger.restore(p.Seen)
	}
	for _, f := range p.Files {
		e.files = append(e.files, file{
			info:       fs.Info{Path: f.Path, Size: f.Size, ETag: f.ETag},
			partitions: fs.ParsePartitions(f.Path),
		})
	}
	e.aim()
	return nil
}

// Close implements connector.Enumerator.
func (e *enumerator) Close() error { return nil }
