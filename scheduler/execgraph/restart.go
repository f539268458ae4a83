package execgraph

import (
	"fmt"
	"slices"
	"time"
)

// RestartKind names a restart strategy.
type RestartKind uint8

// The restart strategies, by Flink's names.
const (
	RestartInvalid RestartKind = iota
	// RestartNone fails the job at its first failure.
	RestartNone
	// RestartFixedDelay waits Delay before each of at most Attempts restarts.
	RestartFixedDelay
	// RestartFailureRate waits Delay before each restart, as long as no more than
	// Attempts failures come within Interval.
	RestartFailureRate
	// RestartExponentialDelay waits Delay at first and Multiplier times longer
	// each time, up to MaxDelay; after ResetAfter without a failure it begins
	// anew.
	RestartExponentialDelay
)

func (k RestartKind) String() string {
	switch k {
	case RestartNone:
		return "none"
	case RestartFixedDelay:
		return "fixed-delay"
	case RestartFailureRate:
		return "failure-rate"
	case RestartExponentialDelay:
		return "exponential-delay"
	}
	return "invalid"
}

// RestartStrategy says whether and when a job is restarted after a failure. Its
// methods are pure.
type RestartStrategy struct {
	Kind RestartKind
	// Attempts is the number of restarts allowed: in all for fixed delay, within
	// Interval for failure rate, since the last reset for exponential delay. It is at
	// least one.
	Attempts int
	// Delay is the (first) delay.
	Delay    time.Duration
	Interval time.Duration
	// MaxDelay, Multiplier and ResetAfter belong to exponential delay.
	MaxDelay   time.Duration
	Multiplier float64
	ResetAfter time.Duration
}

// searching is the strategy after failures that say nothing of the job: nobody answered
// where its attempts were to be. It does not use up the job's own restarts, and it ends:
// after about five minutes in which no minute went without such a failure.
var searching = RestartStrategy{
	Kind: RestartExponentialDelay, Attempts: 36, Delay: 100 * time.Millisecond, MaxDelay: 10 * time.Second, Multiplier: 2, ResetAfter: time.Minute,
}

func (s RestartStrategy) String() string {
	if s.Kind == RestartNone {
		return s.Kind.String()
	}
	return fmt.Sprintf("%v, limit %d", s.Kind, s.Attempts)
}

func (s RestartStrategy) check() error {
	bad := func(what string) error { return fmt.Errorf("restart strategy %v: %s", s.Kind, what) }
	switch {
	case s.Kind == RestartNone:
		return nil
	case s.Kind != RestartFixedDelay && s.Kind != RestartFailureRate && s.Kind != RestartExponentialDelay:
		return bad("unknown")
	case s.Attempts < 1:
		return bad("the number of restarts is not positive")
	case s.Delay < 0:
		return bad("the delay is negative")
	case s.Kind == RestartFailureRate && (s.Interval <= 0 || s.Attempts > mostRate):
		return bad(fmt.Sprintf("needs an interval, and at most %d failures in it", mostRate))
	case s.Kind == RestartExponentialDelay && (s.Multiplier < 1 || s.MaxDelay < s.Delay || s.Delay == 0 || s.ResetAfter <= 0):
		return bad("needs a positive delay, a larger maximum, a multiplier of at least 1 and a time to reset")
	}
	return nil
}

// mostRate bounds what is remembered of failures.
const mostRate = 10_000

// restarts is what a strategy remembers.
type restarts struct {
	count int
	last  time.Duration   // when the last failure came
	times []time.Duration // of failure rate: of the failures within the interval
}

// next decides about a failure at a time since the job began: the delay before
// the restart, or false when the strategy gives up.
func (s RestartStrategy) next(r restarts, at time.Duration) (restarts, time.Duration, bool) {
	if s.Kind == RestartNone {
		return r, 0, false
	}
	if s.Kind == RestartExponentialDelay && r.count > 0 && at-r.last >= s.ResetAfter {
		r.count = 0
	}
	if s.Kind == RestartFailureRate {
		r.times = append(slices.DeleteFunc(slices.Clone(r.times), func(t time.Duration) bool { return at-t >= s.Interval }), at)
		r.count = len(r.times) - 1
	}
	if r.count >= s.Attempts {
		return r, 0, false
	}
	delay := s.Delay
	if s.Kind == RestartExponentialDelay {
		for range r.count {
			if delay = time.Duration(float64(delay) * s.Multiplier); delay >= s.MaxDelay {
				delay = s.MaxDelay
				break
			}
		}
	}
	return restarts{count: r.count + 1, last: at, times: r.times}, delay, true
}
