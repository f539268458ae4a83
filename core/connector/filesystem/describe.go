package filesystem

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/predicate"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/fs"
)

// maxFooters bounds the files that Describe opens for statistics; beyond, it
// extrapolates by size.
const maxFooters = 16

// Describe implements connector.Connector. A declared table whose directory does
// not exist yet has no rows; an undeclared one is an error.
func (c *Connector) Describe(ctx context.Context, t connector.Table, pred *predicate.Predicate) (connector.Description, error) {
	loc, err := c.locate(t)
	if err != nil {
		return connector.Description{}, err
	}
	d := connector.Description{Schema: t.Schema, Partitions: t.Partitions, Bounded: loc.every == 0, Rejects: rejects(loc.format)}
	files, err := loc.list(ctx)
	if err != nil {
		if len(t.Schema) > 0 && failure.Of(err) == failure.NotFound {
			return grows(d), nil
		}
		return d, err
	}
	if len(d.Schema) == 0 {
		if err := c.infer(ctx, loc, files, &d); err != nil {
			return d, err
		}
	}
	for _, p := range d.Partitions {
		if i := d.Schema.Index(p); i >= 0 && !partitionable(d.Schema[i].Type) {
			return d, failure.Errorf(failure.InvalidSQL, "table %s: a column of type %s cannot be a partition column: %s", t.Name, d.Schema[i].Type, p)
		}
	}
	kept, err := prune(files, d.Schema, d.Partitions, pred)
	if err != nil {
		return d, err
	}
	d.TotalPartitions, d.MatchPartitions = countPartitions(files), countPartitions(kept)
	if !d.Bounded {
		return grows(d), nil
	}
	d.Files = int64(len(kept))
	d.Version = version(kept)
	return d, c.measure(ctx, loc, kept, &d)
}

// rejects reports whether files of a format, nil for whatever they are, tell bad records from
// good ones.
func rejects(f formats.Format) bool {
	if f == nil {
		return true
	}
	r, ok := f.(formats.Rejecter)
	return ok && r.Rejects()
}

// grows is the description of a table to which files may come: what is there now says
// little.
func grows(d connector.Description) connector.Description {
	if !d.Bounded {
		d.Rows, d.Bytes, d.Files, d.TotalPartitions, d.MatchPartitions = -1, -1, -1, -1, -1
	}
	return d
}

func (c *Connector) infer(ctx context.Context, loc location, files []file, d *connector.Description) error {
	if len(files) == 0 {
		return failure.Errorf(failure.NotFound, "%s: no files to take a schema from", loc.uri)
	}
	format, err := c.formatFor(loc, files[0].info.Path)
	if err != nil {
		return err
	}
	in, f, err := loc.open(ctx, files[0].info)
	if err != nil {
		return err
	}
	defer f.Close()
	schema, err := format.Schema(ctx, in, loc.options)
	if err != nil {
		return err
	}
	d.Schema = slices.Clone(schema)
	for i, p := range files[0].partitions {
		texts := make([]fs.PartitionValue, 0, len(files))
		for _, f := range files {
			if len(f.partitions) <= i || f.partitions[i].Key != p.Key {
				return failure.Errorf(failure.BadData, "%s: has no partition directory %s=, but %s has", f.info.Path, p.Key, files[0].info.Path)
			}
			texts = append(texts, f.partitions[i])
		}
		if at := d.Schema.Index(p.Key); at >= 0 { // a column of the file as well: the directory wins
			d.Schema = slices.Delete(d.Schema, at, at+1)
		}
		d.Schema = append(d.Schema, datatype.Field{Name: p.Key, Type: inferType(texts)})
		d.Partitions = append(d.Partitions, p.Key)
	}
	return nil
}

// measure adds row and byte counts and, where all files were looked at, bounds.
func (c *Connector) measure(ctx context.Context, loc location, files []file, d *connector.Description) error {
	var seenBytes int64
	columns := map[string]predicate.Summary{}
	for i, f := range files {
		d.Bytes += f.info.Size
		if i >= maxFooters || d.Rows < 0 {
			continue
		}
		stats, err := c.statistics(ctx, loc, f.info)
		if err != nil {
			return err
		}
		if stats.Rows < 0 {
			d.Rows = -1
			continue
		}
		d.Rows += stats.Rows
		seenBytes += f.info.Size
		merge(columns, stats, i == 0)
	}
	switch {
	case d.Rows < 0:
	case len(files) > maxFooters:
		d.Rows = int64(float64(d.Rows) * float64(d.Bytes) / float64(max(seenBytes, 1)))
	default:
		d.Columns = columns
	}
	return nil
}

func (c *Connector) statistics(ctx context.Context, loc location, info fs.Info) (formats.Statistics, error) {
	format, err := c.formatFor(loc, info.Path)
	if err != nil {
		return formats.Statistics{}, err
	}
	in, f, err := loc.open(ctx, info)
	if err != nil {
		return formats.Statistics{}, err
	}
	defer f.Close()
	return format.Statistics(ctx, in)
}

// merge widens the bounds in all by those of one more file; a column that some
// file says nothing of has none.
func merge(all map[string]predicate.Summary, one formats.Statistics, first bool) {
	if first {
		for name, s := range one.Columns {
			all[name] = s
		}
		return
	}
	for name, a := range all {
		b, ok := one.Columns[name]
		if !ok {
			delete(all, name)
			continue
		}
		all[name] = predicate.Widen(a, b)
	}
}

func countPartitions(files []file) int64 {
	seen := map[string]struct{}{}
	for _, f := range files {
		if len(f.partitions) > 0 {
			seen[fs.PartitionPath(f.partitions)] = struct{}{}
		}
	}
	return int64(len(seen))
}

// version names the files by a hash of what tells one from another; no files have
// one, too.
func version(files []file) string {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%q %d %q %d\n", f.info.Path, f.info.Size, f.info.ETag, f.info.ModTime.UnixNano())
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// prune drops the files whose partition values exclude the predicate.
func prune(files []file, schema datatype.Schema, partitions []string, pred *predicate.Predicate) ([]file, error) {
	if pred == nil || len(partitions) == 0 {
		return files, nil
	}
	var kept []file
	for _, f := range files {
		values, err := f.values(schema, partitions)
		if err != nil {
			return nil, err
		}
		if !pred.Prune(func(column string) (predicate.Summary, bool) {
			v, ok := values[column]
			if v == nil {
				return predicate.Summary{Nulls: 1, Rows: 1}, ok
			}
			return predicate.Summary{Min: v, Max: v, Rows: 1}, ok
		}) {
			kept = append(kept, f)
		}
	}
	return kept, nil
}

// values returns the file's partition values in physical form by column; every
// partition column has one, nil for null.
func (f file) values(schema datatype.Schema, partitions []string) (map[string]any, error) {
	values := make(map[string]any, len(partitions))
	for _, name := range partitions {
		at, i := slices.IndexFunc(f.partitions, func(v fs.PartitionValue) bool { return v.Key == name }), schema.Index(name)
		if at < 0 {
			return nil, failure.Errorf(failure.BadData, "%s: lies in no directory %s=, which the table is partitioned by", f.info.Path, name)
		}
		if i < 0 {
			return nil, fmt.Errorf("partition column %s is not in the schema", name)
		}
		v, err := parseValue(f.partitions[at], schema[i].Type)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.info.Path, err)
		}
		values[name] = v
	}
	return values, nil
}
