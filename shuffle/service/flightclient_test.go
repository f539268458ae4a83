package service_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	gen "github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/flight"
	"github.com/tidemill/tidemill/shuffle/local"
	"github.com/tidemill/tidemill/shuffle/service"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// Arrow's own client, of another language and another code base, reads what we wrote:
// make test-flight. It needs pyarrow in the Python that TIDEMILL_PYARROW names.

// python runs testdata/flight.py, or returns nil without TIDEMILL_PYARROW.
func python(t *testing.T, input []byte, args ...string) []byte {
	t.Helper()
	binary := os.Getenv("TIDEMILL_PYARROW")
	if binary == "" {
		t.Log("TIDEMILL_PYARROW is not set: run make test-flight")
		return nil
	}
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"testdata/flight.py"}, args...)...)
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("pyarrow: %v\n%s", err, errs.String())
	}
	return out
}

// manyTypes has a column of each layout.
func manyTypes(t *testing.T) datatype.Schema {
	t.Helper()
	var s datatype.Schema
	for i, name := range []string{
		"BIGINT NOT NULL", "BOOLEAN", "INT", "DOUBLE", "DECIMAL(10, 2)", "DECIMAL(38, 4)", "STRING", "BYTES", "DATE",
		"TIME(3)", "TIMESTAMP(6)", "TIMESTAMP_LTZ(3)", "ARRAY<INT>", "MAP<STRING, BIGINT>", "ROW<a INT, b ARRAY<STRING>>",
	} {
		of, err := datatype.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		s = append(s, datatype.Field{Name: fmt.Sprintf("c%d", i), Type: of})
	}
	return s
}

// manyRows has rows of manyTypes from a number on, cut out of a larger batch; the texts
// of every other batch are a dictionary.
func manyRows(t *testing.T, alloc memory.Allocator, schema datatype.Schema, from, n int) *stream.Batch {
	t.Helper()
	var rows []string
	for i := from - 3; i < from+n; i++ {
		if i%4 == 3 {
			rows = append(rows, fmt.Sprintf(`{"c0":%d}`, i))
			continue
		}
		rows = append(rows, fmt.Sprintf(`{"c0":%d,"c1":%t,"c2":%d,"c3":%d.5,"c4":"%d.25","c5":"%d.0625","c6":"text %d","c7":"AQID",
"c8":"2024-02-29","c9":"12:34:56","c10":"2024-02-29T12:34:56","c11":"2024-02-29T12:34:56Z","c12":[%d,null],"c13":[{"key":"k","value":%d}],
"c14":{"a":%d,"b":["x","y"]}}`, i, i%2 == 0, i, i, i, i, i%5, i, i, i))
	}
	whole, _, err := array.RecordFromJSON(alloc, schema.Arrow(), strings.NewReader("["+strings.Join(rows, ",")+"]"))
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Release()
	return stream.NewBatch(whole.NewSlice(3, int64(3+n)))
}

func TestFlightClientReadsAnExchange(t *testing.T) {
	key := security.NewKey()
	s := start(t, service.Options{TicketKey: func() []byte { return key }}, local.Options{})
	defer s.stop()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp := grpc.NewServer(s.ServerOptions()...)
	s.Register(tcp)
	served := make(chan error, 1)
	go func() { served <- tcp.Serve(l) }()
	defer func() {
		tcp.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	schema := manyTypes(t)
	given := s.store3(t, schema, key)
	for _, r := range given {
		defer r.Release()
	}
	out := python(t, nil, "read", l.Addr().String(), job.String(), "1")
	if out == nil {
		return
	}
	got, err := ipc.NewReader(bytes.NewReader(out), ipc.WithAllocator(s.alloc))
	if err != nil {
		t.Fatal(err)
	}
	defer got.Release()
	if !got.Schema().Equal(schema.Arrow()) {
		t.Errorf("schema %v", got.Schema())
	}
	i := 0
	for ; got.Next(); i++ {
		if i < len(given) && !array.RecordEqual(got.RecordBatch(), given[i]) {
			t.Errorf("batch %d is %v, want %v", i, got.RecordBatch(), given[i])
		}
	}
	if i != len(given) || got.Err() != nil {
		t.Errorf("%d batches of %d, %v", i, len(given), got.Err())
	}
}

// store3 stores an exchange of three lanes, of which the last two come from another
// process, and two partitions. It returns its batches in the order in which they are read.
func (s *server) store3(t *testing.T, schema datatype.Schema, key []byte) []arrow.RecordBatch {
	t.Helper()
	sp := spec(3, 2, shuffle.RetainJob, 0)
	sp.Schema = schema
	sp.Placement.Ticket = security.Ticket{
		Rights: security.Write, Job: job, Exchange: 1, Term: 1, Expiry: time.Now().Add(time.Hour),
	}.Sign(key)
	ctx := t.Context()
	own, other := flight.New(flight.Options{Self: shuffle.Server{ID: "a-1"}, Local: s.store, Alloc: s.alloc}), s.producer()
	if err := errors.Join(own.Open(ctx, sp), other.Open(ctx, sp)); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(own.Close(), other.Close()); err != nil {
			t.Error(err)
		}
	}()
	var byPartition [2][]arrow.RecordBatch
	for lane := range 3 {
		process := other
		if lane == 0 {
			process = own
		}
		w, err := process.Writer(ctx, job, 1, uint32(lane), 0)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			b := manyRows(t, s.alloc, schema, 1000*lane+100*i+3, 50+i)
			b.Record.Retain()
			byPartition[i%2] = append(byPartition[i%2], b.Record)
			if err := w.Send(ctx, uint32(i%2), b); err != nil {
				t.Fatal(err)
			}
		}
		_, err = w.Finish(ctx)
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return slices.Concat(byPartition[0], byPartition[1])
}

// The messages that we write by hand are Arrow's, to the checks of its own reader.
func TestFlightClientReadsOurMessages(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	schema := manyTypes(t)
	for _, rows := range []int{0, 1, 50} {
		b := manyRows(t, alloc, schema, 7, rows)
		want := b.Record
		want.Retain()
		m, err := wire.Encode(alloc, schema.Arrow(), wire.Header{}, b)
		if err != nil {
			t.Fatal(err)
		}
		var sent gen.FlightData
		if err := proto.Unmarshal(whole(m), &sent); err != nil {
			t.Fatal(err)
		}
		var in bytes.Buffer
		if err := ipc.NewWriter(&in, ipc.WithSchema(schema.Arrow())).Close(); err != nil {
			t.Fatal(err)
		}
		in.Truncate(in.Len() - 8) // the end of the stream
		in.Write(binary.LittleEndian.AppendUint32([]byte{255, 255, 255, 255}, uint32(len(sent.DataHeader))))
		in.Write(sent.DataHeader)
		in.Write(sent.DataBody)
		if out := python(t, in.Bytes(), "message"); out != nil {
			got, err := ipc.NewReader(bytes.NewReader(out), ipc.WithAllocator(alloc))
			if err != nil {
				t.Fatal(err)
			}
			if !got.Next() || !array.RecordEqual(got.RecordBatch(), want) {
				t.Errorf("%d rows came back as %v, %v", rows, got.RecordBatch(), got.Err())
			}
			got.Release()
		}
		want.Release()
	}
}
