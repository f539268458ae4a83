package kafka

import (
	"encoding/json"
	"fmt"

	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/failure"
)

// dataVersion is the version of the JSON in splits, positions and committables.
const dataVersion = 1

// noEnd is the end of a partition that is read for ever.
const noEnd = -1

// piece is what a split's Data says: a partition from an offset to another one.
type piece struct {
	Version   int
	Topic     string
	Partition int32
	Next      int64 // the offset to go on from
	End       int64 // the first one that is not read, or noEnd
	// Reset is where to go on if Next is not there any more: earliest, latest or none.
	Reset string
}

func (p piece) id() string { return fmt.Sprintf("%s-%d", p.Topic, p.Partition) }

func (p piece) split() (connector.Split, error) {
	p.Version = dataVersion
	data, err := json.Marshal(p)
	if err != nil {
		return connector.Split{}, fmt.Errorf("encode split %s: %w", p.id(), err)
	}
	return connector.Split{ID: p.id(), Data: data}, nil
}

func parsePiece(s connector.Split) (piece, error) {
	var p piece
	if err := json.Unmarshal(s.Data, &p); err != nil {
		return p, failure.Errorf(failure.Fatal, "decode split %s: %w", s.ID, err)
	}
	if p.Version != dataVersion {
		return p, failure.Errorf(failure.Fatal, "split %s has version %d, this program reads %d", s.ID, p.Version, dataVersion)
	}
	return p, nil
}
