package filesystem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failpoint"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/fs"
)

// Names of the committer's own files in a table's directory. Readers skip both.
const (
	journalPrefix = "_tidemill-"
	journalSuffix = ".json"
	overwriteName = "overwrite"
	successFile   = "_SUCCESS"
	replacedMark  = fs.StagedPrefix + "replaced-"
	maxJournal    = 64 << 20
)

// journal is what a publication does: enough to go on with it or to undo it.
type journal struct {
	Version  int
	Job      string
	Replaced []replaced `json:",omitempty"`
	New      []staged
}

// replaced is a file that OVERWRITE hides first and removes at the end.
type replaced struct{ Path, Hidden string }

// manifest is the content of _SUCCESS.
type manifest struct {
	Job   string
	Files []manifestFile
	Rows  int64
	Bytes int64
}

type manifestFile struct {
	Path        string
	Rows, Bytes int64
}

var (
	_ connector.Committer = (*committer)(nil)
	_ connector.Sweeper   = (*committer)(nil)
)

// filePrefix begins the names of a job's files.
func filePrefix(job id.Job) string { return "part-" + job.String()[:8] + "-" }

// committer publishes staged files; see the package comment for the steps.
type committer struct {
	loc     location
	spec    connector.SinkSpec
	recover fs.Recoverer
}

func newCommitter(ctx context.Context, loc location, s connector.SinkSpec) (*committer, error) {
	recover, ok := fs.RecovererOf(loc.fsys)
	if !ok {
		return nil, failure.Errorf(failure.InvalidSQL, "table %s: %s cannot be written to: its file system has no recoverable writer", s.Table.Name, loc.uri)
	}
	c := &committer{loc: loc, spec: s, recover: recover}
	return c, c.resume(ctx)
}

// journalPath is where this job's journal is. Jobs that replace what others have
// written must do so one after the other: the one that has their common journal may.
func (c *committer) journalPath() string {
	name := c.spec.Job.String()
	if c.spec.Overwrite {
		name = overwriteName
	}
	return fs.Join(c.loc.path, journalPrefix+name+journalSuffix)
}

// own returns the journal of this job; false: there is none.
func (c *committer) own(ctx context.Context) (j journal, found bool, err error) {
	err = ignoreMissing(c.read(ctx, c.journalPath(), &j))
	return j, err == nil && j.Job == c.spec.Job.String(), err
}

// resume finishes publications of other jobs that were interrupted: their
// decision had been taken when the journal was written. Every step may be done
// twice, so it does no harm if the other job is alive after all.
func (c *committer) resume(ctx context.Context) error {
	var interrupted []string
	err := c.loc.fsys.List(ctx, c.loc.path, fs.ListOptions{}, func(i fs.Info) error {
		name := i.Name()
		if strings.HasPrefix(name, journalPrefix) && strings.HasSuffix(name, journalSuffix) {
			interrupted = append(interrupted, i.Path)
		}
		return nil
	})
	if err != nil {
		return ignoreMissing(err)
	}
	for _, path := range interrupted {
		var j journal
		err := c.read(ctx, path, &j)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the other job was alive, and is done
		}
		if err == nil && j.Job == c.spec.Job.String() {
			continue
		}
		if err == nil {
			err = c.exchange(ctx, j)
		}
		if err == nil {
			err = c.finish(ctx, j, path)
		}
		if err != nil {
			return failure.Errorf(failure.Conflict, "table %s: a publication by another job was interrupted and cannot be finished; its journal is %s: %w",
				c.spec.Table.Name, path, err)
		}
	}
	return nil
}

// Commit implements connector.Committer.
func (c *committer) Commit(ctx context.Context, _ id.Checkpoint, committables []connector.Committable, final bool) error {
	files, told, err := apart(committables)
	if err != nil {
		return err
	}
	j, err := c.plan(ctx, files)
	if err != nil {
		return err
	}
	final = final && c.spec.Bounded
	if len(j.New)+len(j.Replaced) > 0 {
		err = c.publish(ctx, j, final)
	} else if final {
		err = c.succeed(ctx, j)
	}
	if err != nil {
		return err
	}
	return c.complete(ctx, told)
}

// apart takes the files and what is told of partitions apart.
func apart(committables []connector.Committable) (files []staged, told []marks, err error) {
	for _, one := range committables {
		s, err := parseStaged(one)
		switch {
		case err != nil:
			return nil, nil, err
		case s.Marks != nil:
			told = append(told, *s.Marks)
		default:
			files = append(files, s)
		}
	}
	return files, told, nil
}

// mostClaims is how often a job finishes what another one publishes before it publishes
// itself.
const mostClaims = 100

// plan returns the journal of an interrupted publication of this job, or writes
// a new one.
func (c *committer) plan(ctx context.Context, files []staged) (journal, error) {
	for try := 1; ; try++ {
		j, found, err := c.own(ctx)
		if found || err != nil {
			return j, err
		}
		j, done, err := c.draw(ctx, files)
		if err != nil || done || len(j.New)+len(j.Replaced) == 0 {
			return j, err
		}
		err = c.create(ctx, c.journalPath(), j, fs.CreateOptions{IfNotExists: c.spec.Overwrite})
		switch {
		case err == nil && c.spec.Overwrite:
			return c.redraw(ctx, j)
		case !errors.Is(err, fs.ErrExist):
			return j, err
		case try == mostClaims:
			return j, failure.Errorf(failure.Transient, "table %s: other jobs overwrite it all the time: %w", c.spec.Table.Name, err)
		}
		// What another job has begun is finished, and then replaced.
		if err := c.resume(ctx); err != nil {
			return j, err
		}
	}
}

// redraw looks again at what is replaced, now that no other job can overwrite: one may
// have done so, from beginning to end, after this one had looked.
func (c *committer) redraw(ctx context.Context, j journal) (journal, error) {
	before := len(j.Replaced)
	j.Replaced = nil
	if err := c.planReplaced(ctx, &j); err != nil || len(j.Replaced) == before {
		return j, err
	}
	return j, c.create(ctx, c.journalPath(), j, fs.CreateOptions{})
}

// draw makes the journal of what is about to be published; done: it was, before.
func (c *committer) draw(ctx context.Context, files []staged) (j journal, done bool, err error) {
	j = journal{Version: splitVersion, Job: c.spec.Job.String(), New: files}
	if !c.spec.Overwrite {
		return j, false, nil
	}
	if done, err = c.published(ctx, j); done || err != nil {
		return j, done, err
	}
	return j, false, c.planReplaced(ctx, &j)
}

// published says that an earlier try has overwritten the table with these files: its
// journal is gone, and what other jobs have published since stays. No other job makes
// files of these names.
func (c *committer) published(ctx context.Context, j journal) (bool, error) {
	for _, s := range j.New {
		_, err := c.loc.fsys.Stat(ctx, s.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return len(j.New) > 0, nil
}

// planReplaced lists what OVERWRITE replaces: a whole unpartitioned table, the
// static partition, or the dynamic partitions that got rows.
func (c *committer) planReplaced(ctx context.Context, j *journal) error {
	dirs := []string{""}
	if len(c.spec.Table.Partitions) > len(c.spec.StaticPartition) {
		dirs = dirs[:0]
		for _, s := range j.New {
			if !slices.Contains(dirs, s.Partition) {
				dirs = append(dirs, s.Partition)
			}
		}
	} else if len(c.spec.StaticPartition) > 0 {
		dirs[0] = fs.PartitionPath(staticValues(c.spec))
	}
	for _, dir := range dirs {
		base := fs.Join(c.loc.path, dir)
		err := c.loc.fsys.List(ctx, base, fs.ListOptions{Recursive: true}, func(i fs.Info) error {
			if !readable(strings.TrimPrefix(i.Path, base)) || slices.ContainsFunc(j.New, func(s staged) bool { return s.Path == i.Path }) {
				return nil
			}
			if len(j.Replaced) == maxFiles {
				return fmt.Errorf("more than %d files to replace", maxFiles)
			}
			parent, name := fs.Split(i.Path)
			j.Replaced = append(j.Replaced, replaced{Path: i.Path, Hidden: fs.Join(parent, replacedMark+j.Job[:8]+"-"+name)})
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func staticValues(s connector.SinkSpec) []fs.PartitionValue {
	var values []fs.PartitionValue
	for _, name := range s.Table.Partitions {
		if v, ok := s.StaticPartition[name]; ok {
			values = append(values, fs.PartitionValue{Key: name, Value: v})
		}
	}
	return values
}

// publish does what the journal says and, where the job is complete with it, writes the
// manifest.
func (c *committer) publish(ctx context.Context, j journal, final bool) error {
	err := c.exchange(ctx, j)
	if err == nil && final {
		if err := c.succeed(ctx, j); err != nil {
			return err
		}
	}
	if err == nil {
		return c.finish(ctx, j, c.journalPath())
	}
	err = fmt.Errorf("table %s: publish: %w", c.spec.Table.Name, err)
	if errors.Is(err, fs.ErrNotExist) {
		err = failure.Wrap(failure.Conflict, fmt.Errorf("%w: another job has overwritten what this one was writing", err))
	}
	if len(j.New) == 0 { // nothing that Abort could name
		err = errors.Join(err, c.undo(context.WithoutCancel(ctx), j))
	}
	return err
}

// exchange hides the old files and publishes the new ones. Both may have been
// done already by an earlier try.
func (c *committer) exchange(ctx context.Context, j journal) error {
	if err := failpoint.Hit(failpoint.PublishBegin); err != nil {
		return err
	}
	err := together(len(j.Replaced), func(i int) error {
		return ignoreMissing(c.loc.fsys.Rename(ctx, j.Replaced[i].Path, j.Replaced[i].Hidden))
	})
	if err != nil {
		return err
	}
	err = together(len(j.New), func(i int) error {
		if err := failpoint.Hit(failpoint.PublishStep); err != nil {
			return err
		}
		return c.recover.Publish(ctx, j.New[i].Token)
	})
	if err != nil {
		return err
	}
	return failpoint.Hit(failpoint.PublishEnd)
}

// undo removes the new files, staged or published, and shows the old ones again.
func (c *committer) undo(ctx context.Context, j journal) error {
	var errs []error
	for _, s := range j.New {
		errs = append(errs, c.recover.Discard(ctx, s.Token), ignoreMissing(c.loc.fsys.Remove(ctx, s.Path)))
	}
	for _, r := range j.Replaced {
		errs = append(errs, ignoreMissing(c.loc.fsys.Rename(ctx, r.Hidden, r.Path)))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("table %s is left half published, its journal is %s: %w", c.spec.Table.Name, c.journalPath(), err)
	}
	return c.close(ctx, j, c.journalPath())
}

// close removes a job's journal, and not the one of another job that has come after it.
func (c *committer) close(ctx context.Context, j journal, path string) error {
	var now journal
	if err := c.read(ctx, path, &now); err != nil || now.Job != j.Job {
		return ignoreMissing(err)
	}
	return ignoreMissing(c.loc.fsys.Remove(ctx, path))
}

// finish removes what is hidden, then the journal. What cannot be removed stays
// hidden and keeps the journal, so that a later try removes it.
func (c *committer) finish(ctx context.Context, j journal, path string) error {
	err := together(len(j.Replaced), func(i int) error {
		return ignoreMissing(c.loc.fsys.Remove(ctx, j.Replaced[i].Hidden))
	})
	if err != nil {
		return err
	}
	return c.close(ctx, j, path)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (c *committer) succeed(ctx context.Context, j journal) error {
	m := manifest{Job: j.Job}
	for _, s := range j.New {
		m.Files = append(m.Files, manifestFile{Path: strings.TrimPrefix(strings.TrimPrefix(s.Path, c.loc.path), "/"), Rows: s.Rows, Bytes: s.Bytes})
		m.Rows += s.Rows
		m.Bytes += s.Bytes
	}
	return c.create(ctx, fs.Join(c.loc.path, successFile), m, fs.CreateOptions{})
}

// Abort implements connector.Committer: it undoes a publication of the committables
// that has failed, and discards them.
func (c *committer) Abort(ctx context.Context, committables []connector.Committable) error {
	j, _, err := c.own(ctx)
	errs := []error{err}
	undo := false
	for _, one := range committables {
		s, err := parseStaged(one)
		if err == nil && s.Marks == nil {
			undo = undo || slices.ContainsFunc(j.New, func(n staged) bool { return n.Path == s.Path })
			err = c.recover.Discard(ctx, s.Token)
		}
		errs = append(errs, err)
	}
	if undo {
		errs = append(errs, c.undo(ctx, j))
	}
	return errors.Join(errs...)
}

// Sweep implements connector.Sweeper. Besides the job's files and journal it removes what
// was staged of the common journal and of manifests, which any job may have left; one that
// lives writes them again.
func (c *committer) Sweep(ctx context.Context) error {
	var errs []error
	for _, prefix := range []string{filePrefix(c.spec.Job), journalPrefix + c.spec.Job.String(), journalPrefix + overwriteName, successFile} {
		errs = append(errs, fs.Sweep(ctx, c.loc.fsys, c.loc.path, prefix))
	}
	return errors.Join(errs...)
}

// Close implements connector.Committer.
func (c *committer) Close() error { return nil }

// mostWrites is how often a file is written that another job may have swept meanwhile:
// hundreds may end in one table at a time, each with a sweep.
const mostWrites = 50

// create writes a file whole.
func (c *committer) create(ctx context.Context, path string, v any, o fs.CreateOptions) error {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	for try := 1; ; try++ {
		err := fs.WriteFile(ctx, c.loc.fsys, path, data, o)
		if !errors.Is(err, fs.ErrNotExist) || try == mostWrites {
			return err
		}
	}
}

func (c *committer) read(ctx context.Context, path string, v any) error {
	data, err := fs.ReadFile(ctx, c.loc.fsys, path, maxJournal)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return failure.Errorf(failure.BadData, "%s: %w", path, err)
	}
	return nil
}
