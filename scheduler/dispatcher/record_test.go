package dispatcher

// Records are read by masters of later releases, and may be damaged: whatever is in one,
// reading it is an error or a job.

import (
	"reflect"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/raftmeta"
)

func TestRecordsSurvive(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000).UTC()
	for _, r := range []record{
		{Version: recordVersion, Name: "waits", Submitted: at, Graph: &kept{Inline: []byte("g")}},
		{
			Version: recordVersion, Name: "publishes", Submitted: at, Started: at, Runs: 3, Cancelled: true, Result: true,
			Graph: &kept{Blob: "b"}, Decided: &kept{Inline: []byte{0, 255}},
		},
		{
			Version: recordVersion, Name: "ends", Submitted: at, Started: at, Runs: 1, Graph: &kept{Blob: "b"}, Ending: "FAILED", Cause: "disk full",
			Class: uint8(failure.Transient), Savepoint: "/s",
		},
		{
			Version: recordVersion, Name: "over", Submitted: at, Ended: at, State: "FAILED", Cause: "disk full",
			Class: uint8(failure.Transient), Final: &kept{Blob: "f"},
		},
	} {
		value, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		j, err := decode(raftmeta.Entry{Bucket: bucket, Key: id.NewJob().String(), Value: value})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(j.rec, r) || (j.phase == over) != (r.State != "") {
			t.Errorf("%+v\nbecame\n%+v", r, j.rec)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(id.NewJob().String(), []byte(`{"Version":2,"Name":"etl","Graph":{"Inline":"Zw=="}}`))
	f.Add(id.NewJob().String(), []byte(`{"Version":2,"State":"FAILED","Class":200,"Cause":"x"}`))
	f.Add("etl", []byte(`{`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		j, err := decode(raftmeta.Entry{Bucket: bucket, Key: key, Value: value})
		if err != nil {
			if failure.Of(err) != failure.Fatal {
				t.Fatal(err)
			}
			return
		}
		brief(j.id, j.rec)
	})
}
