package kafka

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// mode is where reading starts or ends.
type mode uint8

const (
	invalidMode mode = iota
	modeUnbounded
	modeEarliest
	modeLatest
	modeGroup
	modeTimestamp
	modeSpecific
)

// String is the mode as options say it.
func (m mode) String() string {
	return [...]string{"invalid", "unbounded", "earliest-offset", "latest-offset", "group-offsets", "timestamp", "specific-offsets"}[m]
}

// position is where reading starts or ends in all partitions.
type position struct {
	mode    mode
	millis  int64           // modeTimestamp
	offsets map[int32]int64 // modeSpecific, by partition
	others  mode            // modeSpecific: of partitions that have no offset there
}

// startup is where reading begins: of upserts at the first one, for the rows of keys that
// nothing has come for since another would be missing.
func (p *parser) startup(upsert bool) position {
	if upsert {
		for _, key := range slices.Sorted(maps.Keys(p.Left())) {
			if strings.HasPrefix(key, "scan.startup.") {
				p.Fail("option '%s': connector %s reads a topic from its beginning, which is needed to know the rows of all keys", key, UpsertName)
				p.Take(key)
			}
		}
		return position{mode: modeEarliest}
	}
	return p.position("scan.startup.", modeGroup, modeEarliest, modeEarliest, modeLatest, modeGroup, modeTimestamp, modeSpecific)
}

func (p *parser) bounds() position {
	return p.position("scan.bounded.", modeUnbounded, modeLatest, modeUnbounded, modeLatest, modeGroup, modeTimestamp, modeSpecific)
}

func (p *parser) position(before string, def, others mode, from ...mode) position {
	var names []string
	for _, m := range from {
		names = append(names, m.String())
	}
	name := p.choice(before+"mode", def.String(), names...)
	out := position{mode: def, others: others}
	for _, m := range from {
		if m.String() == name {
			out.mode = m
		}
	}
	millis, hasMillis := p.Take(before + "timestamp-millis")
	specific, hasSpecific := p.Take(before + "specific-offsets")
	if hasMillis != (out.mode == modeTimestamp) || hasSpecific != (out.mode == modeSpecific) {
		p.Fail("option '%smode' = '%s': 'timestamp-millis' goes with 'timestamp', 'specific-offsets' with 'specific-offsets'", before, name)
	}
	if hasMillis {
		var err error
		if out.millis, err = strconv.ParseInt(millis, 10, 64); err != nil || out.millis < 0 {
			p.Fail("option '%stimestamp-millis': %q is not a time in milliseconds", before, millis)
		}
	}
	if hasSpecific {
		out.offsets = p.offsets(before+"specific-offsets", specific)
	}
	return out
}

// offsets reads partition:0,offset:42;partition:1,offset:300.
func (p *parser) offsets(key, text string) map[int32]int64 {
	out := map[int32]int64{}
	for one := range strings.SplitSeq(strings.TrimSuffix(text, ";"), ";") {
		head, tail, _ := strings.Cut(one, ",")
		n, ok := strings.CutPrefix(strings.TrimSpace(head), "partition:")
		at, too := strings.CutPrefix(strings.TrimSpace(tail), "offset:")
		partition, err := strconv.ParseInt(n, 10, 32)
		offset, err2 := strconv.ParseInt(at, 10, 64)
		if !ok || !too || err != nil || err2 != nil || partition < 0 || offset < 0 {
			p.Fail("option '%s': %q is not like partition:0,offset:42", key, one)
			return nil
		}
		out[int32(partition)] = offset
	}
	return out
}
