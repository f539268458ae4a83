package kafka

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
)

// Limits of an enumerator.
const (
	lookAgain = time.Second // at what came back from a failed attempt
	// discoveryTries is how often in a row the topics may not be listed.
	discoveryTries = 20
	maxPartitions  = 1 << 16
)

// enumerator finds partitions and gives each to one subtask.
type enumerator struct {
	o           *options
	client      *kgo.Client
	admin       *kadm.Client
	parallelism int
	known       map[string][]int32 // partitions that have been seen, by topic
	pending     []connector.Split  // not handed out
	due         time.Time          // of the next look; zero: none
	failed      int                // looks in a row
}

// enumerated is an enumerator's snapshot.
type enumerated struct {
	Version int
	Known   map[string][]int32
	Pending []connector.Split
}

func newEnumerator(ctx context.Context, o *options, s connector.SourceSpec, restored []byte) (*enumerator, error) {
	client, err := o.props.connect()
	if err != nil {
		return nil, err
	}
	e := &enumerator{o: o, client: client, admin: kadm.NewClient(client), parallelism: max(s.Parallelism, 1), known: map[string][]int32{}}
	if restored == nil {
		err = e.discover(ctx, o.start)
	} else {
		err = e.restore(restored)
	}
	if err != nil {
		client.Close()
		return nil, err
	}
	e.schedule()
	return e, nil
}

func (e *enumerator) restore(data []byte) error {
	var saved enumerated
	if err := json.Unmarshal(data, &saved); err != nil || saved.Version != dataVersion {
		return failure.Errorf(failure.Fatal, "position of table %s of version %d: %w", e.o.table.Name, saved.Version, err)
	}
	e.pending = saved.Pending
	for topic, partitions := range saved.Known {
		e.known[topic] = partitions
	}
	return nil
}

func (e *enumerator) schedule() {
	e.due = time.Time{}
	if !e.o.bounded() && e.o.discovery > 0 {
		e.due = time.Now().Add(e.o.discovery)
	}
}

// Next implements connector.Enumerator.
func (e *enumerator) Next(ctx context.Context, subtask int) (connector.Split, bool, error) {
	if !e.due.IsZero() && !time.Now().Before(e.due) {
		// What appears later is read from its beginning.
		if err := e.discover(ctx, position{mode: modeEarliest}); err != nil {
			if e.failed++; e.failed >= discoveryTries || !failure.Of(err).Retryable() || ctx.Err() != nil {
				return connector.Split{}, false, err
			}
			e.due = time.Now().Add(lookAgain)
		} else {
			e.failed = 0
			e.schedule()
		}
	}
	for i, s := range e.pending {
		p, err := parsePiece(s)
		if err != nil {
			return connector.Split{}, false, err
		}
		if e.owner(p) == subtask {
			e.pending = slices.Delete(e.pending, i, i+1)
			return s, true, nil
		}
	}
	if e.due.IsZero() {
		return connector.Split{}, false, nil
	}
	return connector.Split{}, false, &connector.LaterError{After: max(min(time.Until(e.due), lookAgain), time.Millisecond)}
}

// owner is the subtask that reads a partition. A topic's partitions are spread evenly.
func (e *enumerator) owner(p piece) int {
	h := fnv.New32a()
	h.Write([]byte(p.Topic))
	return int((uint64(h.Sum32()) + uint64(p.Partition)) % uint64(e.parallelism))
}

// discover adds the partitions that have not been seen.
func (e *enumerator) discover(ctx context.Context, from position) error {
	ctx, stop := within(ctx)
	defer stop()
	topics, err := e.list(ctx)
	if err != nil {
		return err
	}
	fresh := map[string][]int32{}
	n := len(e.pending)
	for topic, partitions := range topics {
		for _, p := range partitions {
			if !slices.Contains(e.known[topic], p) {
				fresh[topic] = append(fresh[topic], p)
				n++
			}
		}
	}
	if n > maxPartitions {
		return failure.Errorf(failure.Usage, "table %s: %d partitions are more than %d", e.o.table.Name, n, maxPartitions)
	}
	if len(fresh) == 0 {
		return nil
	}
	splits, err := e.splits(ctx, fresh, from)
	if err != nil {
		return err
	}
	e.pending = append(e.pending, splits...)
	for topic, partitions := range fresh {
		e.known[topic] = append(e.known[topic], partitions...)
		slices.Sort(e.known[topic])
	}
	return nil
}

// list returns the partitions of the table's topics.
func (e *enumerator) list(ctx context.Context) (map[string][]int32, error) {
	doing := "list the topics of table " + e.o.table.Name
	found, err := e.admin.ListTopics(ctx, e.o.topics...)
	if err != nil {
		return nil, asked(doing, err)
	}
	out := map[string][]int32{}
	for name, topic := range found {
		if e.o.pattern != nil && !e.o.pattern.MatchString(name) {
			continue
		}
		if topic.Err != nil {
			if len(e.known[name]) > 0 {
				continue // readers will say that it is gone, if it is
			}
			return nil, asked(doing+": topic "+name, topic.Err)
		}
		out[name] = topic.Partitions.Numbers()
	}
	if len(out) == 0 && len(e.known) == 0 && e.o.discovery == 0 {
		return nil, failure.Errorf(failure.NotFound, "table %s: no topic is like %s", e.o.table.Name, e.o.pattern)
	}
	return out, nil
}

// splits resolves where reading begins and ends.
func (e *enumerator) splits(ctx context.Context, partitions map[string][]int32, from position) ([]connector.Split, error) {
	first, err := e.resolve(ctx, partitions, from)
	if err != nil {
		return nil, err
	}
	last := map[string]map[int32]int64{}
	if e.o.bounded() {
		if last, err = e.resolve(ctx, partitions, e.o.end); err != nil {
			return nil, err
		}
	}
	reset := e.o.props.reset
	if reset == "none" && from.mode == modeEarliest {
		reset = "earliest" // the earliest may be gone before anybody reads it
	}
	var out []connector.Split
	for topic, numbers := range partitions {
		for _, n := range numbers {
			p := piece{Topic: topic, Partition: n, Next: first[topic][n], End: noEnd, Reset: reset}
			if e.o.bounded() {
				p.End = last[topic][n]
			}
			s, err := p.split()
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b connector.Split) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// resolve turns a position into offsets.
func (e *enumerator) resolve(ctx context.Context, partitions map[string][]int32, at position) (map[string]map[int32]int64, error) {
	var topics []string
	out := map[string]map[int32]int64{}
	for topic := range partitions {
		topics, out[topic] = append(topics, topic), map[int32]int64{}
	}
	doing := fmt.Sprintf("find %s of table %s", at.mode, e.o.table.Name)
	var listed kadm.ListedOffsets
	var err error
	switch at.mode {
	case modeEarliest:
		listed, err = e.admin.ListStartOffsets(ctx, topics...)
	case modeLatest:
		listed, err = e.latest(ctx, topics)
	case modeTimestamp:
		listed, err = e.admin.ListOffsetsAfterMilli(ctx, at.millis, topics...)
	case modeGroup:
		return out, e.committed(ctx, partitions, out)
	default:
		return out, e.specific(ctx, partitions, at, out)
	}
	if err != nil {
		return nil, asked(doing, err)
	}
	for topic, numbers := range partitions {
		for _, n := range numbers {
			o, ok := listed.Lookup(topic, n)
			switch {
			case !ok:
				return nil, failure.Errorf(failure.Transient, "%s: no answer for partition %d of topic %s", doing, n, topic)
			case o.Err != nil:
				return nil, asked(fmt.Sprintf("%s: partition %d of topic %s", doing, n, topic), o.Err)
			}
			out[topic][n] = o.Offset
		}
	}
	return out, nil
}

// latest is where the topics end for a reader of the table.
func (e *enumerator) latest(ctx context.Context, topics []string) (kadm.ListedOffsets, error) {
	if e.o.props.dirty {
		return e.admin.ListEndOffsets(ctx, topics...)
	}
	return e.admin.ListCommittedOffsets(ctx, topics...)
}

// committed adds the offsets that the group has committed.
func (e *enumerator) committed(ctx context.Context, partitions map[string][]int32, out map[string]map[int32]int64) error {
	saved, err := e.admin.FetchOffsets(ctx, e.o.props.group)
	if err != nil {
		return asked("offsets of group "+e.o.props.group, err)
	}
	instead := map[string]map[int32]int64{}
	if mode := map[string]mode{"earliest": modeEarliest, "latest": modeLatest}[e.o.props.reset]; mode != invalidMode {
		if instead, err = e.resolve(ctx, partitions, position{mode: mode}); err != nil {
			return err
		}
	}
	for topic, numbers := range partitions {
		for _, n := range numbers {
			if o, ok := saved.Lookup(topic, n); ok && o.Err == nil && o.At >= 0 {
				out[topic][n] = o.At
			} else if at, ok := instead[topic][n]; ok {
				out[topic][n] = at
			} else {
				return failure.Errorf(failure.Usage, "table %s: group %s has no offset of partition %d of topic %s: set 'properties.auto.offset.reset', or another 'scan.startup.mode'",
					e.o.table.Name, e.o.props.group, n, topic)
			}
		}
	}
	return nil
}

// specific adds the offsets that the table's options name.
func (e *enumerator) specific(ctx context.Context, partitions map[string][]int32, at position, out map[string]map[int32]int64) error {
	instead, err := e.resolve(ctx, partitions, position{mode: at.others})
	if err != nil {
		return err
	}
	for topic, numbers := range partitions {
		for _, n := range numbers {
			if offset, named := at.offsets[n]; named {
				out[topic][n] = offset
			} else {
				out[topic][n] = instead[topic][n]
			}
		}
	}
	return nil
}

// Return implements connector.Enumerator.
func (e *enumerator) Return(splits []connector.Split) { e.pending = append(e.pending, splits...) }

// Total counts the partitions, for progress.
func (e *enumerator) Total() (splits uint64, bytes int64) {
	for _, partitions := range e.known {
		splits += uint64(len(partitions))
	}
	return splits, 0
}

// Snapshot implements connector.Enumerator.
func (e *enumerator) Snapshot() ([]byte, error) {
	return json.Marshal(enumerated{Version: dataVersion, Known: e.known, Pending: e.pending})
}

// Close implements connector.Enumerator.
func (e *enumerator) Close() error {
	e.client.Close()
	return nil
}
