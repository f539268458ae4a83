package tidemill_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// A table that does not end is read in the order of its event time, rows of one time in that
// of other columns: rows are told once the watermark has passed them.
func TestOrderByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t, map[string]string{"parallelism.default": "2"})
		r := e.startStream(`
			CREATE TABLE ticks (n BIGINT, at AS n - MOD(n, 10) + MOD(n * 7, 10), ts AS CAST(TO_TIMESTAMP_LTZ((n - MOD(n, 10) + MOD(n * 7, 10)) / 2 * 1000, 3) AS TIMESTAMP(3)),
				WATERMARK FOR ts AS ts - INTERVAL '10' SECOND) WITH ('connector' = 'datagen', 'rows-per-second' = '10', 'fields.n.kind' = 'sequence');
			SELECT at FROM ticks ORDER BY ts, at DESC`)
		defer func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}()
		var got, want []string
		for len(got) < 200 {
			b, err := r.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for i := range b.Len() {
				got = append(got, b.Column(0).ValueStr(i))
			}
			b.Release()
		}
		for i := range len(got) / 2 { // of each second two rows, the later first
			want = append(want, fmt.Sprint(2*i+1), fmt.Sprint(2*i))
		}
		if got = got[:len(want)]; strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("got %q\nwant %q", got, want)
		}
	})
}
