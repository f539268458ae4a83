package checkpointing

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/checkpoint"
	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/raftmeta"
)

// bucket holds an entry for each complete checkpoint of the jobs that run, at
// <job>/<number>.
const bucket raftmeta.Bucket = "checkpoints"

// Files keeps manifests and what they name; core/checkpoint/storage implements it.
type Files interface {
	// Save writes a manifest and returns where it lies.
	Save(ctx context.Context, m *checkpoint.Manifest) (string, error)
	// Load reads the manifest at a place; its handles get whole paths.
	Load(ctx context.Context, name string) (*checkpoint.Manifest, error)
	// Verify reads what a manifest names and compares checksums.
	Verify(ctx context.Context, m *checkpoint.Manifest) error
	// DropJob removes everything of a job.
	DropJob(ctx context.Context, job id.Job) error
	// Locate returns a manifest that names files by URIs.
	Locate(m *checkpoint.Manifest) *checkpoint.Manifest
	// Drop removes a checkpoint's manifest.
	Drop(ctx context.Context, job id.Job, c id.Checkpoint) error
	// Checkpoints lists the numbers of a job's manifests, in any order.
	Checkpoints(ctx context.Context, job id.Job) ([]id.Checkpoint, error)
	// DropHomes removes what tasks of a job that is over kept of their state besides.
	DropHomes(ctx context.Context, job id.Job) error
	// Sweep removes the job's state files, up to the newest of the complete checkpoints
	// that are kept, that none of those names, and homes of state that none of them names.
	Sweep(ctx context.Context, job id.Job, keep []*checkpoint.Manifest) error
}

// Store makes checkpoints complete.
type Store struct {
	Files Files
	// FileSystem is where Files are; Find lists it.
	FileSystem fs.FileSystem
	Meta       raftmeta.Store
	Term       id.Term
}

// entry is what raftmeta keeps of a complete checkpoint.
type entry struct {
	Version   int
	Manifest  string // where it lies
	Triggered int64  // milliseconds since the epoch
}

const entryVersion = 1

func entryKey(job id.Job, c id.Checkpoint) string { return fmt.Sprintf("%v/%020d", job, c) }

// Save writes a manifest, then its entry: then the checkpoint is complete. It returns where
// the manifest lies.
func (s *Store) Save(ctx context.Context, m *checkpoint.Manifest) (string, error) {
	job, n := id.Job(m.GetJob()), id.Checkpoint(m.GetCheckpoint())
	place, err := s.Files.Save(ctx, m)
	if err != nil {
		return "", fmt.Errorf("save checkpoint %d of job %v: %w", n, job, err)
	}
	if err := failpoint.Hit(failpoint.CheckpointPublish); err != nil {
		return "", err
	}
	value, err := json.Marshal(entry{Version: entryVersion, Manifest: place, Triggered: m.GetTriggeredAt()})
	if err != nil {
		return "", failure.Errorf(failure.Internal, "encode the entry of checkpoint %d: %w", n, err)
	}
	txn := raftmeta.Txn{Term: s.Term}.Put(bucket, entryKey(job, n), value, raftmeta.Absent)
	if _, err := s.Meta.Apply(ctx, txn); err != nil {
		return "", fmt.Errorf("complete checkpoint %d of job %v: %w", n, job, err)
	}
	_ = failpoint.Hit(failpoint.CheckpointComplete) // it is complete: there is no error to return
	return place, nil
}

// Subsume forgets a complete checkpoint, then removes its files that no later one needs.
func (s *Store) Subsume(ctx context.Context, job id.Job, n id.Checkpoint) error {
	if err := s.Discard(ctx, job, n); err != nil {
		return err
	}
	return s.sweep(ctx, job)
}

// sweep removes state files that no complete checkpoint needs.
func (s *Store) sweep(ctx context.Context, job id.Job) error {
	all, _, err := s.Meta.List(ctx, bucket, job.String()+"/")
	if err != nil {
		return fmt.Errorf("find the checkpoints of job %v: %w", job, err)
	}
	var keep []*checkpoint.Manifest
	for _, e := range all {
		var known entry
		if err := json.Unmarshal(e.Value, &known); err != nil {
			return fmt.Errorf("entry of checkpoint %s: %w", e.Key, err)
		}
		m, err := s.Files.Load(ctx, known.Manifest)
		if err != nil {
			return fmt.Errorf("sweep state files: %w", err)
		}
		keep = append(keep, m)
	}
	return s.Files.Sweep(ctx, job, keep)
}

// Discard forgets a checkpoint and removes what it has beside state files, which the next ones
// may need. The entry goes first, also of one that was given up: who failed to save it may have
// saved it, and then who leads now may have started from it.
func (s *Store) Discard(ctx context.Context, job id.Job, n id.Checkpoint) error {
	txn := raftmeta.Txn{Term: s.Term}.Delete(bucket, entryKey(job, n), raftmeta.Any)
	if _, err := s.Meta.Apply(ctx, txn); err != nil {
		return fmt.Errorf("forget checkpoint %d of job %v: %w", n, job, err)
	}
	if err := s.Files.Drop(ctx, job, n); err != nil {
		return fmt.Errorf("remove checkpoint %d of job %v: %w", n, job, err)
	}
	return nil
}

// DropIncomplete removes the manifests of a job that have no entry, because whoever wrote
// them was deposed before: Find would take them for complete when what they name is gone.
func (s *Store) DropIncomplete(ctx context.Context, job id.Job) error {
	numbers, err := s.Files.Checkpoints(ctx, job)
	if err != nil {
		return err
	}
	all, _, err := s.Meta.List(ctx, bucket, job.String()+"/")
	if err != nil {
		return fmt.Errorf("find the checkpoints of job %v: %w", job, err)
	}
	for _, n := range numbers {
		if slices.ContainsFunc(all, func(e raftmeta.Entry) bool { return e.Key == entryKey(job, n) }) {
			continue
		}
		if err := s.Files.Drop(ctx, job, n); err != nil {
			return fmt.Errorf("remove incomplete checkpoint %d of job %v: %w", n, job, err)
		}
	}
	return nil
}

// Release forgets the entries of a job that is over. Its files stay, to be
// restored from; what its tasks kept besides goes.
func (s *Store) Release(ctx context.Context, job id.Job) error {
	all, _, err := s.Meta.List(ctx, bucket, job.String()+"/")
	txn := raftmeta.Txn{Term: s.Term}
	for _, e := range all {
		txn = txn.Delete(bucket, e.Key, raftmeta.Any)
	}
	if err == nil && len(txn.Ops) > 0 {
		_, err = s.Meta.Apply(ctx, txn)
	}
	if err != nil {
		return fmt.Errorf("forget checkpoints of job %v: %w", job, err)
	}
	if err := s.Files.DropHomes(ctx, job); err != nil {
		return fmt.Errorf("remove the homes of state of job %v: %w", job, err)
	}
	return nil
}

// Remove forgets a job that is over, entries first, and removes its files: what an earlier
// try has left is removed by the next one.
func (s *Store) Remove(ctx context.Context, job id.Job) error {
	if err := s.Release(ctx, job); err != nil {
		return err
	}
	if err := s.Files.DropJob(ctx, job); err != nil {
		return fmt.Errorf("remove the checkpoints of job %v: %w", job, err)
	}
	return nil
}

// Latest returns the newest complete checkpoint of a job that runs, or nil if there is
// none, and the numbers of all that are complete, the oldest first. Damaged ones are passed
// over and told to skipped, but not all of them may be; one that cannot be read now is an
// error, for what those before it had published would be published again.
func (s *Store) Latest(ctx context.Context, job id.Job, skipped func(manifest string, cause error)) (*checkpoint.Manifest, []id.Checkpoint, error) {
	all, _, err := s.Meta.List(ctx, bucket, job.String()+"/")
	if err != nil {
		return nil, nil, fmt.Errorf("find the checkpoints of job %v: %w", job, err)
	}
	complete := make([]id.Checkpoint, len(all))
	for i, e := range all {
		n, err := strconv.ParseUint(path.Base(e.Key), 10, 64)
		if err != nil {
			return nil, nil, failure.Errorf(failure.Internal, "entry of checkpoint %s: %w", e.Key, err)
		}
		complete[i] = id.Checkpoint(n)
	}
	var damage error
	for _, e := range slices.Backward(all) {
		var known entry
		err := json.Unmarshal(e.Value, &known)
		if err == nil && known.Version != entryVersion {
			err = fmt.Errorf("version %d of its entry is not known", known.Version)
		}
		var m *checkpoint.Manifest
		if err == nil {
			m, err = s.load(ctx, known.Manifest)
		}
		if err == nil || ctx.Err() != nil || failure.Of(err).Retryable() {
			return m, complete, err
		}
		damage = errors.Join(damage, err)
		skipped(known.Manifest, err)
	}
	if damage != nil {
		return nil, nil, failure.Wrap(failure.BadData, fmt.Errorf("no checkpoint of job %v is whole: %w", job, damage))
	}
	return nil, nil, nil
}

const (
	manifestName = "MANIFEST"
	chkPrefix    = "chk-"
	// maxCandidates bounds how many checkpoints Find looks at.
	maxCandidates = 10_000
)

// Find returns the newest checkpoint at or below a place: a manifest, the
// directory of a checkpoint, of a job, or of many jobs. Damaged ones are passed
// over and told to skipped; but one that is named itself must be whole.
func (s *Store) Find(ctx context.Context, place string, skipped func(manifest string, cause error)) (*checkpoint.Manifest, error) {
	_, inside := fs.SplitURI(place)
	candidates, err := s.candidates(ctx, inside)
	if err != nil {
		return nil, err
	}
	var damage error
	for _, c := range candidates {
		m, err := s.load(ctx, c.Path)
		if err == nil {
			return m, nil
		}
		if ctx.Err() != nil || failure.Of(err).Retryable() {
			return nil, err
		}
		damage = errors.Join(damage, err)
		skipped(c.Path, err)
	}
	if damage != nil {
		return nil, failure.Wrap(failure.BadData, fmt.Errorf("no checkpoint in %s is whole: %w", place, damage))
	}
	return nil, failure.Errorf(failure.NotFound, "there is no checkpoint in %s", place)
}

// candidates lists manifests, the newest first.
func (s *Store) candidates(ctx context.Context, place string) ([]fs.Info, error) {
	info, err := s.FileSystem.Stat(ctx, place)
	if err != nil {
		class := failure.Of(err)
		if errors.Is(err, fs.ErrNotExist) {
			class = failure.NotFound
		}
		return nil, failure.Wrap(class, fmt.Errorf("find a checkpoint: %w", err))
	}
	if !info.Dir {
		return []fs.Info{info}, nil
	}
	var all []fs.Info
	err = s.FileSystem.List(ctx, place, fs.ListOptions{Recursive: true}, func(i fs.Info) error {
		if i.Name() != manifestName {
			return nil
		}
		if len(all) == maxCandidates {
			return failure.Errorf(failure.Usage, "more than %d checkpoints: name the job's directory", maxCandidates)
		}
		all = append(all, i)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find a checkpoint in %s: %w", place, err)
	}
	newest := map[string]time.Time{} // by the job's directory
	for _, i := range all {
		if job := path.Dir(path.Dir(i.Path)); i.ModTime.After(newest[job]) {
			newest[job] = i.ModTime
		}
	}
	slices.SortFunc(all, func(a, b fs.Info) int {
		jobA, jobB := path.Dir(path.Dir(a.Path)), path.Dir(path.Dir(b.Path))
		if jobA == jobB {
			return cmp.Compare(number(b.Path), number(a.Path))
		}
		return cmp.Or(newest[jobB].Compare(newest[jobA]), cmp.Compare(jobA, jobB))
	})
	return all, nil
}

// number is that of the checkpoint whose manifest lies there.
func number(manifest string) (n uint64) {
	_, name := path.Split(path.Dir(manifest))
	digits, ok := strings.CutPrefix(name, chkPrefix)
	if !ok {
		return 0
	}
	for _, d := range []byte(digits) {
		if d < '0' || d > '9' {
			return 0
		}
		n = n*10 + uint64(d-'0')
	}
	return n
}

// mostVerified bounds the state whose checksums are compared before a job starts from it: it
// takes longer than the tasks take to find damage, but then another checkpoint can be taken.
const mostVerified = 256 << 20

// load reads a manifest and looks whether the files that it names are there, and unless they
// are large whether they are whole.
func (s *Store) load(ctx context.Context, name string) (*checkpoint.Manifest, error) {
	m, err := s.Files.Load(ctx, name)
	if err != nil {
		return nil, err
	}
	ends := map[string]int64{}
	checkpoint.EachHandle(m, func(h *checkpoint.Handle) {
		ends[h.GetPath()] = max(ends[h.GetPath()], h.GetOffset()+h.GetLength())
	})
	for file, end := range ends {
		info, err := s.FileSystem.Stat(ctx, file)
		if err != nil {
			return nil, fmt.Errorf("manifest %s: %w", name, err)
		}
		if info.Size < end {
			return nil, fmt.Errorf("manifest %s: %w: %s has %d bytes of %d", name, checkpoint.ErrCorrupt, file, info.Size, end)
		}
	}
	if checkpoint.Bytes(m) <= mostVerified {
		if err := s.Files.Verify(ctx, m); err != nil {
			return nil, fmt.Errorf("manifest %s: %w", name, err)
		}
	}
	return m, nil
}
