package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/checkpoint/storage"
	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/scheduler/checkpointing"
)

// stored is a checkpoint as a directory has it.
type stored struct {
	Job        string         `json:"job"`
	Checkpoint uint64         `json:"checkpoint"`
	Kind       string         `json:"kind"`
	Triggered  time.Time      `json:"triggered"`
	KeyGroups  uint32         `json:"key_groups"`
	Bytes      uint64         `json:"bytes"`
	Files      int            `json:"files"`
	Vertices   []storedVertex `json:"vertices"`
}

// storedVertex is the state of a vertex.
type storedVertex struct {
	UID         string   `json:"uid"`
	Name        string   `json:"name"`
	Operators   []string `json:"operators,omitempty"`
	Parallelism uint32   `json:"parallelism"`
	Finished    int      `json:"finished" doc:"subtasks"`
	Rows        uint64   `json:"rows" doc:"of keyed state, stale ones included"`
	Bytes       uint64   `json:"bytes"`
}

// inspect shows what lies in a directory.
func inspect(ctx context.Context, o *operating, dir string, given []string) (err error) {
	settings, err := readSettings("", given)
	if err != nil {
		return err
	}
	registry, err := tidemill.Builtins(settings)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, registry.Close()) }()
	if dir, err = wholePath(dir); err != nil {
		return err
	}
	c, err := config.FromMap(map[string]string{config.RestorePath.Key(): dir}, "--path")
	if err != nil {
		return err
	}
	files, fsys, err := storage.Open(registry.FileSystems, c, memory.DefaultAllocator)
	if err != nil {
		return err
	}
	store := &checkpointing.Store{Files: files, FileSystem: fsys}
	m, err := store.Find(ctx, dir, func(name string, cause error) {
		fmt.Fprintf(os.Stderr, "damaged: %s: %v\n", name, cause)
	})
	if err != nil {
		return err
	}
	s := storedOf(m)
	return o.show(s, func(w io.Writer) {
		fmt.Fprintf(w, "job\t%s\ncheckpoint\t%d\nkind\t%s\ntaken\t%s\nkey groups\t%d\nbytes\t%d\nfiles\t%d\n", s.Job, s.Checkpoint, s.Kind, clock(&s.Triggered), s.KeyGroups, s.Bytes, s.Files)
		fmt.Fprintln(w, "\nUID\tPARALLELISM\tFINISHED\tROWS\tBYTES\tNAME\tOPERATORS")
		for _, v := range s.Vertices {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\t%s\n", v.UID, v.Parallelism, v.Finished, v.Rows, v.Bytes, oneLine(v.Name), oneLine(strings.Join(v.Operators, " -> ")))
		}
	})
}

func storedOf(m *checkpoint.Manifest) stored {
	s := stored{
		Job: hex.EncodeToString(m.GetJob()), Checkpoint: m.GetCheckpoint(), Kind: stream.BarrierKind(m.GetKind()).String(),
		Triggered: time.UnixMilli(m.GetTriggeredAt()).UTC(), KeyGroups: m.GetKeyGroups(), Bytes: checkpoint.Bytes(m), Vertices: []storedVertex{},
	}
	names := map[string]bool{}
	checkpoint.EachHandle(m, func(h *checkpoint.Handle) { names[h.GetPath()] = true })
	s.Files = len(names)
	plan, operators := &jobgraph.Graph{}, map[string][]string{}
	if proto.Unmarshal(m.GetPlan(), plan) == nil { // it is there to be shown: without it there is less to show
		for _, v := range plan.GetVertices() {
			for _, op := range v.GetChain() {
				operators[v.GetUid()] = append(operators[v.GetUid()], op.GetName())
			}
		}
	}
	for _, v := range m.GetVertices() {
		one := storedVertex{UID: v.GetUid(), Name: v.GetName(), Operators: operators[v.GetUid()], Parallelism: v.GetParallelism()}
		alone := &checkpoint.Manifest{Vertices: []*checkpoint.VertexState{v}}
		one.Bytes = checkpoint.Bytes(alone)
		checkpoint.EachHandle(alone, func(h *checkpoint.Handle) { one.Rows += h.GetRows() })
		for _, t := range v.GetSubtasks() {
			if t.GetFinished() {
				one.Finished++
			}
		}
		s.Vertices = append(s.Vertices, one)
	}
	return s
}
