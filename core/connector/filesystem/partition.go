package filesystem

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

// A table partition of a stream is complete at some time, and then gets a success file:
//
//	writer     partitions written to, until their success file is there     } with each
//	           and the watermark                                            } checkpoint
//	committer  files published; then the success files of partitions of which the time has
//	           come by the least watermark of all writers
//
// Writers keep what is pending in their snapshots and the committer keeps nothing, so
// after a crash it is told again; a success file that is written twice is the same.

// The options of partitions that become complete, by Flink's names.
const (
	optCommitTrigger  = "sink.partition-commit.trigger"
	optCommitDelay    = "sink.partition-commit.delay"
	optCommitPolicy   = "sink.partition-commit.policy.kind"
	optCommitZone     = "sink.partition-commit.watermark-time-zone"
	optSuccessName    = "sink.partition-commit.success-file.name"
	optTimeExtractor  = "partition.time-extractor.kind"
	optTimePattern    = "partition.time-extractor.timestamp-pattern"
	optTimeFormatter  = "partition.time-extractor.timestamp-formatter"
	optRollInterval   = "sink.rolling-policy.rollover-interval"
	optRollInactivity = "sink.rolling-policy.inactivity-interval"
	optRollCheck      = "sink.rolling-policy.check-interval"
)

var commitOptions = []string{
	optCommitTrigger, optCommitDelay, optCommitPolicy, optCommitZone, optSuccessName,
	optTimeExtractor, optTimePattern, optTimeFormatter, optRollInterval, optRollInactivity, optRollCheck,
}

// completion says when a table partition is complete, and how that is shown.
type completion struct {
	byEventTime bool
	delay       time.Duration
	name        string // of the success file
	pattern     string // of a partition's time: $column stands for its value; empty: the first column's
	layout      string // Go's
	zone        *time.Location
}

// parseCompletion reads the options; nil where the table asks for no success files.
func parseCompletion(t connector.Table) (*completion, error) {
	fail := func(option, format string, args ...any) (*completion, error) {
		return nil, failure.Errorf(failure.InvalidSQL, "table %s: option '%s': %w", t.Name, option, fmt.Errorf(format, args...))
	}
	c := &completion{name: successFile, layout: time.DateTime, zone: time.UTC, pattern: t.Options[optTimePattern]}
	switch v := strings.ToLower(t.Options[optCommitTrigger]); v {
	case "", "process-time":
	case "partition-time":
		c.byEventTime = true
	default:
		return fail(optCommitTrigger, "%q is not process-time or partition-time", v)
	}
	for option, into := range map[string]*time.Duration{optCommitDelay: &c.delay, optRollInterval: nil, optRollInactivity: nil, optRollCheck: nil} {
		v := t.Options[option]
		if v == "" {
			continue
		}
		d, err := config.ParseDuration(v)
		if err != nil || d < 0 {
			return fail(option, "%q is not a time such as 1 min", v)
		}
		if into != nil { // the others are less than an interval of checkpoints, at which all files end
			*into = d
		}
	}
	if v := t.Options[optTimeExtractor]; v != "" && v != "default" {
		return fail(optTimeExtractor, "%q is not supported: want default", v)
	}
	if v := t.Options[optTimeFormatter]; v != "" {
		layout, ok := goLayout(v)
		if !ok {
			return fail(optTimeFormatter, "%q has more than yyyy, MM, dd, HH, mm, ss and what stands between them", v)
		}
		c.layout = layout
	}
	if v := t.Options[optCommitZone]; v != "" {
		zone, err := time.LoadLocation(v)
		if err != nil {
			return fail(optCommitZone, "%w", err)
		}
		c.zone = zone
	}
	if v := t.Options[optSuccessName]; v != "" {
		if strings.Contains(v, "/") || fs.Readable(v) {
			return fail(optSuccessName, "%q is not the name of a hidden file: it begins with _ or a dot", v)
		}
		c.name = v
	}
	policy := t.Options[optCommitPolicy]
	if policy == "" {
		return nil, nil
	}
	for kind := range strings.SplitSeq(policy, ",") {
		if strings.TrimSpace(kind) != "success-file" {
			return fail(optCommitPolicy, "%q is not supported: want success-file", kind)
		}
	}
	if len(t.Partitions) == 0 {
		return fail(optCommitPolicy, "the table has no partitions")
	}
	return c, nil
}

// goLayout turns a pattern of Java's DateTimeFormatter into Go's.
func goLayout(pattern string) (string, bool) {
	layout := strings.NewReplacer("yyyy", "2006", "MM", "01", "dd", "02", "HH", "15", "mm", "04", "ss", "05", "'", "").Replace(pattern)
	return layout, !strings.ContainsAny(layout, "abcdefghijklmnopqrsuvwxyzABCDEFGHIJKLMNOPQRSUVWXYZ")
}

// time is that of a partition's beginning.
func (c *completion) time(dir string) (time.Time, error) {
	values := fs.ParsePartitions(dir + "/x")
	text := c.pattern
	if text == "" && len(values) > 0 {
		text = "$" + values[0].Key
	}
	slices.SortFunc(values, func(a, b fs.PartitionValue) int { return len(b.Key) - len(a.Key) }) // $day is not $da and a y
	for _, v := range values {
		text = strings.ReplaceAll(text, "$"+v.Key, v.Value)
	}
	at, err := time.ParseInLocation(c.layout, text, c.zone)
	if err != nil && c.layout == time.DateTime {
		at, err = time.ParseInLocation(time.DateOnly, text, c.zone)
	}
	if err != nil {
		return at, failure.Errorf(failure.BadData, "partition %s: %q is no time of the form %s", dir, text, c.layout)
	}
	return at, nil
}

// marks is what a writer tells of partitions with a checkpoint.
type marks struct {
	Watermark int64            // Unix milliseconds
	Pending   map[string]int64 // directories, and when they were first written to
}

// pendingPartitions is what a writer knows of partitions that have no success file yet.
type pendingPartitions struct {
	completion *completion
	now        func() time.Time
	marks
}

func newPending(c *completion, restored [][]byte) (*pendingPartitions, error) {
	p := &pendingPartitions{completion: c, now: time.Now, marks: marks{Watermark: math.MinInt64, Pending: map[string]int64{}}}
	for _, data := range restored {
		var m marks
		if err := json.Unmarshal(data, &m); err != nil {
			return nil, failure.Errorf(failure.Fatal, "restore the partitions that were written to: %w", err)
		}
		for dir, since := range m.Pending {
			if have, known := p.Pending[dir]; !known || since < have {
				p.Pending[dir] = since
			}
		}
	}
	return p, nil
}

// wrote notes that a file of a partition is to be published.
func (p *pendingPartitions) wrote(dir string) error {
	if _, known := p.Pending[dir]; known {
		return nil
	}
	if len(p.Pending) == maxFiles {
		return failure.Errorf(failure.Fatal, "more than %d partitions wait for their success files", maxFiles)
	}
	p.Pending[dir] = p.now().UnixMilli()
	return nil
}

// prepared forgets the partitions whose success files are there, and returns what is told
// of the others.
func (p *pendingPartitions) prepared(ctx context.Context, loc location, fresh map[string]bool) (connector.Committable, error) {
	for dir, since := range p.Pending {
		due, err := p.completion.due(dir, since, p.Watermark, p.now())
		if err != nil {
			return connector.Committable{}, err
		}
		if !due || fresh[dir] {
			continue
		}
		_, err = loc.fsys.Stat(ctx, fs.Join(loc.path, dir, p.completion.name))
		if err == nil {
			delete(p.Pending, dir)
		} else if err = ignoreMissing(err); err != nil {
			return connector.Committable{}, err
		}
	}
	data, err := json.Marshal(staged{Version: splitVersion, Marks: &p.marks})
	return connector.Committable{Data: data}, err
}

// due says whether a partition is complete.
func (c *completion) due(dir string, since, watermark int64, now time.Time) (bool, error) {
	if !c.byEventTime {
		return now.UnixMilli() >= since+c.delay.Milliseconds(), nil
	}
	at, err := c.time(dir)
	return err == nil && watermark >= at.Add(c.delay).UnixMilli(), err
}

// complete writes the success files of partitions that are complete, once their files are
// published: of all at the end of all input.
func (c *committer) complete(ctx context.Context, told []marks) error {
	if c.loc.completion == nil || len(told) == 0 {
		return nil
	}
	least, pending := int64(math.MaxInt64), map[string]int64{}
	for _, m := range told {
		least = min(least, m.Watermark)
		for dir, since := range m.Pending {
			if have, known := pending[dir]; !known || since < have {
				pending[dir] = since
			}
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(pending)) {
		due, err := c.loc.completion.due(dir, pending[dir], least, time.Now())
		if err != nil {
			return err
		}
		if !due && least != math.MaxInt64 {
			continue
		}
		path := fs.Join(c.loc.path, dir, c.loc.completion.name)
		if err := fs.WriteFile(ctx, c.loc.fsys, path, nil, fs.CreateOptions{}); err != nil {
			return fmt.Errorf("table %s: partition %s is complete: %w", c.spec.Table.Name, dir, err)
		}
	}
	return nil
}
