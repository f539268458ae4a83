package process

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/shuffle/partition"
)

// livesFile has the directories that lives of this role have had in remote tiers, as far as
// they are not known to be empty. The role's lock tells that those lives are over.
//
//	1 CRC32C           of the rest
//	LIFE DIRECTORY     one line each; the life's own directory is DIRECTORY/LIFE
const livesFile = "remote"

// lives is what livesFile has.
type lives struct {
	dir   *directory
	files *fs.Registry
	log   *slog.Logger

	mu  sync.Mutex
	all []oneLife
}

// oneLife is a process's time in a remote directory. Its name is random, so that nobody
// else has the same, and checked, so that nothing else is ever removed.
type oneLife struct{ name, dir string }

// readLives reads the file; one that is damaged is left aside, since what it says would be
// removed.
func readLives(d *directory, files *fs.Registry, log *slog.Logger) (*lives, error) {
	l := &lives{dir: d, files: files, log: log}
	text, err := d.root.ReadFile(livesFile)
	if errors.Is(err, os.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what earlier lives left in the remote tier: %w", err)
	}
	if l.all, err = parseLives(string(text)); err != nil {
		log.Warn("what earlier lives left in the remote tier is not known and not removed", "file", filepath.Join(d.path, livesFile), "error", err)
	}
	return l, nil
}

func sumOfLives(rest string) string {
	return fmt.Sprintf("1 %08x", crc32.Checksum([]byte(rest), crc32.MakeTable(crc32.Castagnoli)))
}

func parseLives(text string) (all []oneLife, err error) {
	head, rest, _ := strings.Cut(text, "\n")
	if head != sumOfLives(rest) {
		return nil, failure.Errorf(failure.BadData, "the checksum or version is wrong")
	}
	for line := range strings.Lines(rest) {
		name, dir, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if dir == "" || !regexp.MustCompile(`^[A-Z2-7]{26}$`).MatchString(name) {
			return nil, failure.Errorf(failure.BadData, "%q is no life", line)
		}
		all = append(all, oneLife{name, dir})
	}
	return all, nil
}

// write makes the file what is known; mu is held.
func (l *lives) write() error {
	if len(l.all) == 0 {
		if err := l.dir.root.Remove(livesFile); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	var rest strings.Builder
	for _, one := range l.all {
		fmt.Fprintf(&rest, "%s %s\n", one.name, one.dir)
	}
	const staged = livesFile + ".new"
	f, err := l.dir.root.OpenFile(staged, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(sumOfLives(rest.String()) + "\n" + rest.String())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return l.dir.root.Rename(staged, livesFile)
}

// add notes a life before anything of it is in the directory.
func (l *lives) add(one oneLife) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, one)
	if err := l.write(); err != nil {
		return fmt.Errorf("note the directory in the remote tier: %w", err)
	}
	return nil
}

// forget notes that nothing is left of a life.
func (l *lives) forget(one oneLife) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = slices.DeleteFunc(l.all, func(o oneLife) bool { return o == one })
	return l.write()
}

// Pauses between attempts to remove what earlier lives left.
const (
	firstSweepPause = time.Second
	mostSweepPause  = 5 * time.Minute
)

// sweep removes what lives have left until nothing is there, or ctx ends.
func (l *lives) sweep(ctx context.Context, left []oneLife) {
	for pause := firstSweepPause; ; pause = min(2*pause, mostSweepPause) {
		left = slices.DeleteFunc(left, func(one oneLife) bool {
			err := l.remove(ctx, one)
			if err == nil {
				err = l.forget(one)
			}
			if err != nil && ctx.Err() == nil {
				l.log.Warn("what an earlier life left in the remote tier is not removed", "directory", one.dir, "life", one.name, "error", err)
			}
			return err == nil
		})
		if len(left) == 0 {
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

func (l *lives) remove(ctx context.Context, one oneLife) error {
	files, path, err := l.files.Resolve(one.dir)
	if err != nil {
		return err
	}
	return files.RemoveAll(ctx, fs.Join(path, one.name))
}

// sweepEarlier removes in the background what earlier lives left, until the role is closed.
func (r *role) sweepEarlier(l *lives) {
	earlier := slices.Clone(l.all)
	if len(earlier) == 0 {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.sweep(ctx, earlier)
	}()
	r.closer(func() error {
		stop()
		<-ended
		return nil
	})
}

// remoteTier is the remote tier of a role as it is set, or nil, and how a tier with it is closed.
// Earlier lives' data is removed in the background.
func (r *role) remoteTier() (*partition.RemoteOptions, func(*partition.Tier) error, error) {
	l, err := readLives(r.dir, r.opts.FileSystems, r.opts.Log)
	if err != nil {
		return nil, nil, err
	}
	r.sweepEarlier(l)
	dir := config.RemoteDir.Get(r.opts.Config)
	if dir == "" {
		return nil, (*partition.Tier).Close, nil
	}
	if scheme, _ := fs.SplitURI(dir); scheme == "" {
		if dir, err = filepath.Abs(dir); err != nil {
			return nil, nil, failure.Wrap(failure.Usage, err)
		}
	}
	files, path, err := r.opts.FileSystems.Resolve(dir)
	if err == nil && strings.ContainsAny(dir, "\n\r") {
		err = errors.New("the name has several lines")
	}
	if err != nil {
		return nil, nil, failure.Errorf(failure.Usage, "setting %s: %w", config.RemoteDir.Key(), err)
	}
	one := oneLife{rand.Text(), dir}
	if err := l.add(one); err != nil {
		return nil, nil, err
	}
	remote := &partition.RemoteOptions{
		FS: files, Dir: fs.Join(path, one.name), Log: r.opts.Log,
		After: config.RemoteAfter.Get(r.opts.Config), SegmentBytes: max(config.RemoteSegment.Get(r.opts.Config), 1),
	}
	return remote, func(t *partition.Tier) error {
		if err := t.Close(); err != nil {
			return err // the next life removes it
		}
		return l.forget(one)
	}, nil
}
