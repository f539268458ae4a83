package endpoint

import (
	"errors"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/operator"
	"github.com/tidemill/tidemill/core/stream"
)

// A reader that can read a part of its file again holds what it has of it on loan:
// refused more, it gives all of it back, waits for as much as it wants, holding
// nothing that others could wait for, and goes on behind the last batch. So it does
// when its task waits for credit while others wait for memory.

// needGrowth is the part by which a reader wants more when what it was promised did
// not bring it to its next batch.
const needGrowth = 16

// borrow makes the source's account a loan where its reader can yield.
func (s *Source) borrow() {
	if r, ok := s.reader.(connector.YieldingReader); ok && r.Yields() && s.ctx.Borrow != nil {
		s.loan = s.ctx.Borrow()
	}
}

// yielding is the reader where what it holds is on loan, else nil.
func (s *Source) yielding() connector.YieldingReader {
	r, ok := s.reader.(connector.YieldingReader)
	if !ok || s.loan == nil {
		return nil
	}
	if !r.Yields() {
		s.loan.End()
		s.loan = nil
		return nil
	}
	return r
}

// poll is the reader's Poll, as often as it takes to find the memory.
func (s *Source) poll() (b *stream.Batch, wait connector.Wait, err error) {
	for need := int64(0); ; {
		b, wait, err = s.reader.Poll(s.inner)
		s.loan.Settle()
		r := s.yielding()
		refused, exhausted := errors.AsType[*memory.ExhaustedError](err)
		if r == nil || !exhausted || refused.Cancelled != nil {
			return b, wait, err
		}
		held := s.loan.Used()
		r.Yield()
		need = max(held-s.loan.Used()+refused.Wanted, need+need/needGrowth)
		if waiting := s.loan.Prepay(need); waiting != nil {
			return nil, wait, errors.Join(err, waiting)
		}
	}
}

// Yield implements operator.Yielder.
func (s *Source) Yield() {
	if s.loan.Wanted() {
		if r := s.yielding(); r != nil {
			r.Yield()
		}
	}
}

var _ operator.Yielder = (*Source)(nil)
