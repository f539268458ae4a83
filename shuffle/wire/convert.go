package wire

import (
	"errors"
	"fmt"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/shuffle"
)

// Code names a sentinel of package shuffle on the wire.
type Code uint32

// The codes. Their numbers travel and must not be reordered.
const (
	Other Code = iota // the class and text say it all
	Fenced
	LostRace
	Released
	DataLoss
)

var sentinels = [...]error{nil, shuffle.ErrFenced, shuffle.ErrLostRace, shuffle.ErrReleased, shuffle.ErrDataLoss}

// String is the code's sentinel.
func (c Code) String() string {
	if c > Other && int(c) < len(sentinels) {
		return sentinels[c].Error()
	}
	return fmt.Sprintf("code %d", uint32(c))
}

// FromError is err as it travels: class, text and sentinel survive.
func FromError(err error) *Error {
	e := &Error{Class: uint32(failure.Of(err)), Text: err.Error()}
	for code, sentinel := range sentinels {
		if sentinel != nil && errors.Is(err, sentinel) {
			e.Code = uint32(code)
		}
	}
	return e
}

// Err is the error that another process reported.
func (x *Error) Err() error {
	err := &remoteError{text: x.GetText()}
	if c := Code(x.GetCode()); c > Other && int(c) < len(sentinels) {
		err.sentinel = sentinels[c]
	}
	class := failure.Class(x.GetClass())
	if errors.Is(err.sentinel, shuffle.ErrDataLoss) {
		class = failure.LostPartition
	}
	return failure.Wrap(class, err)
}

type remoteError struct {
	text     string
	sentinel error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.sentinel }

// FromSpec is what the server of that ID needs to know of an exchange.
func FromSpec(s shuffle.Spec, server string) *Exchange {
	x := &Exchange{
		Job: s.Job[:], Exchange: uint32(s.Exchange), Term: uint64(s.Term), Version: s.Placement.Version,
		Schema: datatype.RowOf(s.Schema...).String(), Lanes: uint32(s.Lanes), Partitions: uint32(s.Partitions),
		Retention: uint32(s.Retention), Paired: s.Paired, Everywhere: s.Everywhere, Budget: s.BudgetBytes,
	}
	if s.Retention != shuffle.RetainJob {
		x.Here = Bitmap(len(s.Placement.At), func(i int) bool { return s.Placement.Servers[s.Placement.At[i]].ID == server })
	}
	return x
}

// Limits of an exchange.
const (
	maxParts       = 1 << 20
	maxSchemaBytes = 1 << 20
)

// Spec is the exchange as the server of that ID opens it: what is not placed there is
// placed at a server without a name.
func (x *Exchange) Spec(server string) (shuffle.Spec, error) {
	refuse := func(format string, args ...any) (shuffle.Spec, error) {
		return shuffle.Spec{}, fmt.Errorf("%w: exchange %d: %w", ErrMalformed, x.GetExchange(), fmt.Errorf(format, args...))
	}
	if len(x.GetJob()) != len(id.Job{}) {
		return refuse("job of %d bytes", len(x.GetJob()))
	}
	if x.GetLanes() > maxParts || x.GetPartitions() > maxParts || len(x.GetSchema()) > maxSchemaBytes {
		return refuse("%d lanes, %d partitions, schema of %d bytes", x.GetLanes(), x.GetPartitions(), len(x.GetSchema()))
	}
	row, err := datatype.Parse(x.GetSchema())
	if err != nil {
		return refuse("%w", err)
	}
	if row.Kind != datatype.Row || x.GetRetention() > uint32(shuffle.RetainJob) {
		return refuse("schema %v, retention %d", row, x.GetRetention())
	}
	s := shuffle.Spec{
		Job: id.Job(x.GetJob()), Exchange: id.Exchange(x.GetExchange()), Schema: datatype.Schema(row.Fields),
		Lanes: int(x.GetLanes()), Partitions: int(x.GetPartitions()), Retention: shuffle.Retention(x.GetRetention()),
		Paired: x.GetPaired(), Everywhere: x.GetEverywhere(), BudgetBytes: max(x.GetBudget(), 0), Term: id.Term(x.GetTerm()),
	}
	s.Placement = shuffle.Placement{Version: x.GetVersion(), Servers: []shuffle.Server{{ID: server}, {}}}
	if s.Retention == shuffle.RetainJob { // it reads what it is asked for
		s.Placement.At = make([]uint32, s.Lanes)
		return s, nil
	}
	s.Placement.At = make([]uint32, s.Partitions)
	for i := range s.Placement.At {
		if !InBitmap(x.GetHere(), i) {
			s.Placement.At[i] = 1
		}
	}
	return s, nil
}

// Bitmap has a bit for each of n numbers.
func Bitmap(n int, in func(int) bool) []byte {
	bits := make([]byte, (n+7)/8)
	for i := range n {
		if in(i) {
			bits[i/8] |= 1 << (i % 8)
		}
	}
	return bits
}

// InBitmap reports whether a number's bit is set; beyond the end it is not.
func InBitmap(bits []byte, i int) bool { return i/8 < len(bits) && bits[i/8]&(1<<(i%8)) != 0 }

// FromManifest is a manifest as it travels.
func FromManifest(m shuffle.Manifest) *Manifest {
	out := &Manifest{Lane: m.Lane, Attempt: m.Attempt}
	for _, p := range m.Partitions {
		out.Partitions = append(out.Partitions, FromTotals(p))
	}
	return out
}

// Shuffle is the manifest that travelled.
func (x *Manifest) Shuffle() shuffle.Manifest {
	out := shuffle.Manifest{Lane: x.GetLane(), Attempt: x.GetAttempt()}
	for _, p := range x.GetPartitions() {
		out.Partitions = append(out.Partitions, p.Shuffle())
	}
	return out
}

// FromTotals are totals as they travel.
func FromTotals(t shuffle.PartitionTotals) *Totals {
	return &Totals{Rows: t.Rows, Bytes: t.Bytes, Digest: t.Digest}
}

// Shuffle is the totals that travelled.
func (x *Totals) Shuffle() shuffle.PartitionTotals {
	return shuffle.PartitionTotals{Rows: x.GetRows(), Bytes: x.GetBytes(), Digest: x.GetDigest()}
}

// Summary says for errors and logs which stream it is.
func (x *Open) Summary() string {
	what := "lane"
	if x.GetRead() {
		what = "partition"
	}
	e := x.GetExchange()
	return fmt.Sprintf("exchange %d of job %x, %s %d, attempt %d", e.GetExchange(), e.GetJob(), what, x.GetIndex(), x.GetAttempt())
}
