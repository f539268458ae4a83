package tidemill_test

import (
	"testing"

	"github.com/tidemill/tidemill/core/client"
)

// Windows of event time where every barrier overtakes what is in flight, killed and gone
// on with from its directory: each window has its rows, once.
func TestStreamWhereBarriersOvertake(t *testing.T) {
	const settings = `SET 'execution.checkpointing.aligned-checkpoint-timeout' = '0';
		SET 'exchange.partition-budget' = '4 kb'; SET 'execution.batch-rows' = '64';
		SET 'parallelism.default' = '2';`
	first := open(t, nil)
	r := first.startStream(first.stream(5_000, settings)) // six seconds; rows in flight want the same plan again, and so the same rate
	await(t, r, func(p client.Progress) bool { return p.Checkpoints >= 5 })
	job, _ := r.Job()
	first.expect("STOP JOB '" + job.String() + "'")
	if _, err := read(t.Context(), r); err == nil {
		t.Fatal("the job was cancelled")
	}

	second := open(t, nil)
	second.dir = first.dir
	if _, err := second.execute(second.stream(5_000, settings+"SET 'execution.state-recovery.path' = '${dir}/checkpoints';")); err != nil {
		t.Fatal(err)
	}
	second.expect(checkStream, streamCounts)
}
