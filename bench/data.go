package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/bench/tpch"
	"github.com/tidemill/tidemill/bench/tpch/gen"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

// DataDir is where generated data of a scale is kept for the next run.
func DataDir(scale float64) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a directory for generated data: %w", err)
	}
	return filepath.Join(cache, "tidemill", "tpch-"+formatScale(scale)), nil
}

func formatScale(scale float64) string { return strconv.FormatFloat(scale, 'g', -1, 64) }

// markName is the file that tells the scale of generated data, and whether it is
// unfinished.
const (
	markName   = "_tpch_scale"
	unfinished = " unfinished"
)

// generate makes data of o.Scale in a directory unless it is there. Data of another
// scale or origin is not written over.
func (o TPCHOptions) generate(ctx context.Context, uri string) error {
	options := gen.Options{Scale: o.Scale}
	if err := options.Check(); err != nil {
		return err
	}
	fsys, dir, err := o.FileSystems.Resolve(uri)
	if err != nil {
		return err
	}
	if whole, err := o.generated(ctx, fsys, dir); whole || err != nil {
		return err
	}
	mark, scale := fs.Join(dir, markName), formatScale(o.Scale)
	if err := fs.WriteFile(ctx, fsys, mark, []byte(scale+unfinished), fs.CreateOptions{}); err != nil {
		return err
	}
	if err := gen.Write(ctx, fsys, dir, options); err != nil {
		return fmt.Errorf("generate TPC-H data in %s: %w", uri, err)
	}
	return fs.WriteFile(ctx, fsys, mark, []byte(scale), fs.CreateOptions{})
}

// generated reports that the directory holds the wanted data; other data there is
// an error.
func (o TPCHOptions) generated(ctx context.Context, fsys fs.FileSystem, dir string) (bool, error) {
	there, err := fs.ReadFile(ctx, fsys, fs.Join(dir, markName), 64)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := fsys.Stat(ctx, fs.Join(dir, "lineitem.parquet")); err == nil {
			return false, failure.Errorf(failure.Conflict, "%s holds data that was not generated: leave out --scale, or name another directory", dir)
		}
		return false, nil
	}
	if err != nil {
		return false, err
	}
	scale, half := strings.CutSuffix(string(there), unfinished)
	if scale != formatScale(o.Scale) {
		return false, failure.Errorf(failure.Conflict, "%s holds data of scale %s: name another directory, or remove it", dir, scale)
	}
	return !half, nil
}

// copy brings the files of o.Local to o.Dir that are not there, or of another length.
func (o TPCHOptions) copy(ctx context.Context) error {
	from, source, err := o.FileSystems.Resolve(o.Local)
	if err != nil {
		return err
	}
	to, target, err := o.FileSystems.Resolve(o.Dir)
	if err != nil {
		return err
	}
	for _, t := range tpch.Tables() {
		name := t + ".parquet"
		if err := copyFile(ctx, from, fs.Join(source, name), to, fs.Join(target, name)); err != nil {
			return fmt.Errorf("copy table %s to %s: %w", t, o.Dir, err)
		}
	}
	return nil
}

func copyFile(ctx context.Context, from fs.FileSystem, source string, to fs.FileSystem, target string) (err error) {
	in, err := from.Open(ctx, source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if there, err := to.Stat(ctx, target); err == nil && there.Size == in.Size() {
		return nil
	}
	out, err := to.Create(ctx, target, fs.CreateOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Abort(context.WithoutCancel(ctx))) }()
	if _, err := io.CopyBuffer(out, io.NewSectionReader(in, 0, in.Size()), make([]byte, 4<<20)); err != nil {
		return err
	}
	return out.Commit(ctx)
}
