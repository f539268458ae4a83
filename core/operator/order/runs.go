package order

import (
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tidemill/tidemill/core/rowsort"
	"github.com/tidemill/tidemill/core/spill"
)

const (
	// A batch of a run aims at maxRunBatch bytes, or less where memory is short.
	// Merging holds one of each run; mergeFactor is for what its output takes.
	minRunBatch = 4 << 10
	maxRunBatch = 128 << 10
	mergeFactor = 8
	minFan      = 2
	maxFan      = 128
	// maxRuns bounds the files that are open: more are merged on the way.
	maxRuns = 512
)

// writeRun writes sorted records that next returns, nil at the end, as a run.
func (s *Sort) writeRun(schema *arrow.Schema, next func() (arrow.RecordBatch, error)) (*spill.File, error) {
	w, err := s.ctx.Spill.Create("run", schema)
	if err != nil {
		return nil, err
	}
	for {
		r, err := next()
		if err == nil && r == nil {
			return w.Finish()
		}
		if err == nil {
			err = w.Append(r)
			r.Release()
		}
		if err != nil {
			w.Abort()
			return nil, err
		}
	}
}

// runBatch is how many bytes a batch of a run has.
func (s *Sort) runBatch() int64 {
	return min(max(s.share.Fair()/(8*mergeFactor), minRunBatch), maxRunBatch)
}

// fan is how many runs can be merged at a time.
func (s *Sort) fan() int {
	return int(min(max(s.share.Fair()/(s.runBatch()*mergeFactor), minFan), maxFan))
}

// reduce merges neighbours until there are at most n runs, which keeps equal rows
// in their order.
func (s *Sort) reduce(n int) error {
	for len(s.runs) > n {
		fan := s.fan()
		var merged []*spill.File
		for len(s.runs) > 0 {
			some := s.runs[:min(fan, len(s.runs))]
			one := some[0]
			if len(some) > 1 {
				var err error
				if one, err = s.mergeRuns(some); err != nil {
					s.runs = append(merged, s.runs...)
					return err
				}
			}
			merged, s.runs = append(merged, one), s.runs[len(some):]
		}
		s.runs = merged
	}
	return nil
}

// mergeRuns makes one run of several, which are gone then.
func (s *Sort) mergeRuns(runs []*spill.File) (*spill.File, error) {
	rows, bytes := int64(0), int64(0)
	for _, f := range runs {
		rows, bytes = rows+f.Rows(), bytes+f.Bytes()
	}
	m, inputs, err := s.merger(runs, s.runRows(rows, bytes))
	if err != nil {
		return nil, err
	}
	defer closeAll(inputs)
	defer m.Close()
	out, err := s.writeRun(s.schema, m.Next)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, f := range runs {
		errs = append(errs, f.Remove())
	}
	return out, errors.Join(errs...)
}

// emitMerged merges all runs into the output.
func (s *Sort) emitMerged() error {
	if err := s.reduce(s.fan()); err != nil {
		return err
	}
	m, inputs, err := s.merger(s.runs, s.ctx.BatchRows)
	if err != nil {
		return err
	}
	defer closeAll(inputs)
	defer m.Close()
	for {
		r, err := m.Next()
		if err != nil || r == nil {
			return err
		}
		if err := s.emit(r); err != nil {
			return err
		}
	}
}

func (s *Sort) merger(runs []*spill.File, rows int) (*rowsort.Merger, []rowsort.Input, error) {
	inputs := make([]rowsort.Input, len(runs))
	for i, f := range runs {
		r, err := f.Open(s.ctx.Alloc)
		if err != nil {
			closeAll(inputs[:i])
			return nil, nil, fmt.Errorf("open run %d: %w", i, err)
		}
		inputs[i] = runInput{r}
	}
	return rowsort.NewMerger(s.ctx.Alloc, inputs, s.keys, rows), inputs, nil
}

// runInput is a run as an input of a merge.
type runInput struct{ *spill.Reader }

// Next implements rowsort.Input.
func (r runInput) Next() (arrow.RecordBatch, error) {
	rec, err := r.Reader.Next()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return rec, err
}

func closeAll(inputs []rowsort.Input) {
	for _, in := range inputs {
		in.(runInput).Close()
	}
}

// runRows is how many rows a batch of a run has.
func (s *Sort) runRows(rows, bytes int64) int {
	return int(min(max(s.runBatch()*rows/max(bytes, 1), 16), 1<<16))
}
