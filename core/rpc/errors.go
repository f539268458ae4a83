package rpc

import (
	"errors"

	"github.com/tidemill/tidemill/core/failure"
)

// Errors that survive the wire.
var (
	// ErrFenced says that a newer master speaks for the job: the caller stops.
	ErrFenced = errors.New("fenced by a newer master")
	// ErrGone says that the job, attempt or coordinator task is not there.
	ErrGone = errors.New("not running here")
	// ErrUnreachable says that nobody answers there.
	ErrUnreachable = errors.New("unreachable")
	// ErrNotLeader says that this master does not lead, or not yet: another is asked.
	ErrNotLeader = errors.New("this master does not lead")
	// ErrBusy says that too many ask at a time: the same one is asked again, after a pause.
	ErrBusy = errors.New("too busy now")
)

// sentinels are known by their places on the wire: new ones come at the end.
var sentinels = [...]error{ErrFenced, ErrGone, ErrUnreachable, ErrNotLeader, ErrBusy}

// NotLeader is ErrNotLeader, Transient, with the address of the master that leads;
// empty: it is not known.
func NotLeader(leader string) error {
	text := ErrNotLeader.Error()
	if leader != "" {
		text += ": " + leader + " does"
	}
	return failure.Wrap(failure.Transient, &remote{text: text, is: ErrNotLeader, leader: leader})
}

// LeaderOf is the address that an error from NotLeader has, on both sides of the
// wire; empty: it has none.
func LeaderOf(err error) string {
	var e *remote
	if errors.As(err, &e) {
		return e.leader
	}
	return ""
}

// remote is an error that came over the wire: the sender's text, and the sentinel
// that it was, if it was one.
type remote struct {
	text   string
	is     error
	leader string
}

func (e *remote) Error() string        { return e.text }
func (e *remote) Is(target error) bool { return e.is != nil && target == e.is }

// ToFailure encodes an error; nil stays nil.
func ToFailure(err error) *Failure {
	if err == nil {
		return nil
	}
	f := &Failure{Class: uint32(failure.Of(err)), Text: err.Error(), Leader: LeaderOf(err)}
	for i, s := range sentinels {
		if errors.Is(err, s) {
			f.Sentinel = uint32(i + 1)
		}
	}
	return f
}

// Err decodes what ToFailure encoded.
func (f *Failure) Err() error {
	if f == nil {
		return nil
	}
	e := &remote{text: f.GetText(), leader: f.GetLeader()}
	if n := int(f.GetSentinel()); n > 0 && n <= len(sentinels) {
		e.is = sentinels[n-1]
	}
	return failure.Wrap(failure.Class(f.GetClass()), e)
}
