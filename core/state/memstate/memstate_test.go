package memstate_test

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tidemill/tidemill/core/keygroup"
	"github.com/tidemill/tidemill/core/state"
	"github.com/tidemill/tidemill/core/state/memstate"
	"github.com/tidemill/tidemill/core/state/statetest"
	"github.com/tidemill/tidemill/core/stream"
)

func TestConformance(t *testing.T) {
	statetest.Run(t, func(owned keygroup.Range, alloc memory.Allocator, account stream.Account) (state.Backend, error) {
		return memstate.New(statetest.Groups, owned, alloc, account), nil
	})
}
