package planfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/jobgraph"
)

// Versions of the file's form. A reader accepts what it knows.
const (
	// Version1 is the first form.
	Version1 = 1
	// Version is what is written.
	Version = Version1
)

// MaxBytes is the size of the largest file that is read or written.
const MaxBytes = 64 << 20

// Plan is what a file holds.
type Plan struct {
	// Tables are those that the graph names, each once.
	Tables []Table
	// Graph has no options, of the job or of its tables, and no positions in a text.
	Graph *jobgraph.Graph
}

// file is the form on disk.
type file struct {
	Format   int             `json:"format"`
	Tidemill string          `json:"tidemill,omitempty"`
	Checksum string          `json:"checksum"`
	Plan     json.RawMessage `json:"plan"`
}

// content is the part that the checksum is of.
type content struct {
	Tables []Table         `json:"tables"`
	Graph  json.RawMessage `json:"graph"`
}

// Encode returns the bytes of a file. by is the version of the program, which may be empty.
// Equal plans have equal bytes.
func Encode(p Plan, by string) ([]byte, error) {
	graph, err := protojson.Marshal(p.Graph)
	if err != nil {
		return nil, fmt.Errorf("encode the plan's graph: %w", err)
	}
	plan, err := text(content{Tables: p.Tables, Graph: graph})
	if err != nil {
		return nil, err
	}
	whole, err := text(file{Format: Version, Tidemill: by, Checksum: checksum(plan), Plan: plan})
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, whole, "", " "); err != nil {
		return nil, fmt.Errorf("encode a plan: %w", err)
	}
	if out.Len() > MaxBytes {
		return nil, failure.Errorf(failure.Usage, "the plan takes %d bytes, at most %d can be kept", out.Len(), MaxBytes)
	}
	return out.Bytes(), nil
}

// text is v as JSON without white space, which people can read: < stays what it is.
func text(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode a plan: %w", err)
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

// checksum is of JSON without white space.
func checksum(plan []byte) string {
	sum := sha256.Sum256(plan)
	return hex.EncodeToString(sum[:])
}

// Decode reads a file. What it returns is a valid graph of a streaming job. Errors have class
// BadData and say what is wrong: no plan at all, one of a newer version, one that was changed.
func Decode(data []byte) (Plan, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return Plan{}, failure.Errorf(failure.BadData, "it is damaged, or no plan: %w", err)
	}
	switch {
	case f.Format == 0 || len(f.Plan) == 0:
		return Plan{}, failure.Errorf(failure.BadData, "it is no compiled plan")
	case f.Format < 0 || f.Format > Version:
		return Plan{}, failure.Errorf(failure.BadData, "it has format %d, of %s; this version reads formats up to %d", f.Format, f.writer(), Version)
	}
	var plain bytes.Buffer
	if err := json.Compact(&plain, f.Plan); err != nil {
		return Plan{}, failure.Errorf(failure.BadData, "it is damaged: %w", err)
	}
	if checksum(plain.Bytes()) != f.Checksum {
		return Plan{}, failure.Errorf(failure.BadData, "it was damaged or edited: the checksum is of another plan")
	}
	var c content
	d := json.NewDecoder(&plain)
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return Plan{}, f.foreign(err)
	}
	p := Plan{Tables: c.Tables, Graph: &jobgraph.Graph{}}
	if err := protojson.Unmarshal(c.Graph, p.Graph); err != nil {
		return Plan{}, f.foreign(err)
	}
	if err := jobgraph.Validate(p.Graph); err != nil {
		return Plan{}, f.foreign(err)
	}
	if p.Graph.GetMode() != jobgraph.Mode_MODE_STREAMING {
		return Plan{}, failure.Errorf(failure.BadData, "it is of a batch job")
	}
	return p, nil
}

// foreign is why a plan that is as it was written cannot be read.
func (f file) foreign(err error) error {
	// protojson writes some spaces as others, so that nobody compares its errors.
	return failure.Errorf(failure.BadData, "this version does not understand what %s wrote: %s", f.writer(), strings.ReplaceAll(err.Error(), "\u00a0", " "))
}

// writer is the program that wrote the file.
func (f file) writer() string {
	if f.Tidemill == "" {
		return "another version"
	}
	return fmt.Sprintf("tidemill %q", f.Tidemill)
}
