package tidemill_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
)

// Rows of a far future, of an unbounded table, do not take event time with them: windows go on
// to close one after the other, and no row of the present is late.
func TestFarFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t, map[string]string{"parallelism.default": "2"})
		r := e.startStream(`
			CREATE TABLE ticks (n BIGINT, ts AS CAST(TO_TIMESTAMP_LTZ(946684800000 + CASE WHEN MOD(n, 50) = 7 THEN 4000000000000 ELSE n * 100 END, 3) AS TIMESTAMP(3)),
				WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) WITH ('connector' = 'datagen', 'rows-per-second' = '10', 'fields.n.kind' = 'sequence');
			SELECT CAST(window_start AS STRING), COUNT(*) FROM TABLE(TUMBLE(TABLE ticks, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end`)
		defer func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}()
		var got, want []string
		for len(got) < 10 {
			b, err := r.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for i := range b.Len() {
				got = append(got, b.Column(0).ValueStr(i)+" "+b.Column(1).ValueStr(i))
			}
			b.Release()
		}
		for i := range 10 { // of 50 rows one is of the future
			want = append(want, fmt.Sprintf("2000-01-01 00:00:%02d.000 49", i*5))
		}
		if !slices.Equal(got[:10], want) {
			t.Errorf("got %q\nwant %q", got, want)
		}
	})
}
