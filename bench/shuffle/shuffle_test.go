package shuffle

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Every path moves all rows, over several streams, and the report has a line for each;
// an odd number of rows makes slices that begin in the middle of a byte of a bitmap.
func TestEveryPathMovesAllRows(t *testing.T) {
	var out bytes.Buffer
	o := Options{Bytes: 1 << 20, Rows: []int{501}, Streams: []int{3}, Compression: []string{"lz4", "zstd"}, Runs: 1, Open: 5, Pings: 10, JSON: true, Out: &out}
	if err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	var r struct {
		Tables  []Table
		Open    []Open
		Latency []Latency
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Tables) != 1 || len(r.Tables[0].Lines) != len(paths(codecs())) {
		t.Fatalf("got %s", out.String())
	}
	if len(r.Open) != len(openers()) || len(r.Latency) != len(openers()) {
		t.Errorf("%d ways with streams open and %d with latency, of %d", len(r.Open), len(r.Latency), len(openers()))
	}
	for _, l := range r.Open {
		if l.Goroutines <= 0 || l.Error != "" {
			t.Errorf("%s by %s: %+v", l.Path, l.Transport, l)
		}
	}
	for _, l := range r.Latency {
		if l.Median <= 0 || l.P99 < l.Median || l.Error != "" {
			t.Errorf("%s by %s: %+v", l.Path, l.Transport, l)
		}
	}
	for _, l := range r.Tables[0].Lines {
		if l.Rate <= 0 || l.Error != "" {
			t.Errorf("%s by %s: rate %v, error %q", l.name(), l.Transport, l.Rate, l.Error)
		}
		if based := l.Transport != "process" && l.Path != "frames"; (l.ToFrames > 0) != based {
			t.Errorf("%s by %s is %v of frames", l.name(), l.Transport, l.ToFrames)
		}
	}
}

func TestTables(t *testing.T) {
	var out bytes.Buffer
	o := Options{Bytes: 1 << 16, Rows: []int{64}, Streams: []int{1}, Only: []string{"copy", "channel"}, Runs: 1, Open: 1, Pings: 1, Out: &out}
	if err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1 stream;", "channel", "copy, 2 hops", "allocs/msg", "1 open streams", "one way"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "flight") {
		t.Errorf("nobody asked for flight\n%s", out.String())
	}
	o.Out = failing{}
	if err := Run(t.Context(), o); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the table was not written: %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestOptions(t *testing.T) {
	for want, o := range map[string]Options{
		"--megabytes":      {Bytes: -1},
		"--runs -1":        {Runs: -1},
		"--rows 9000":      {Rows: []int{9000}},
		"--streams 100":    {Streams: []int{100}},
		"--open -1":        {Open: -1},
		"--pings -1":       {Pings: -1},
		`"gzip"`:           {Compression: []string{"gzip"}},
		"--only telegraph": {Only: []string{"telegraph"}},
	} {
		o.Out = io.Discard
		if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

// Rows that do not arrive, and a path that breaks, are told with the path's name.
func TestFailures(t *testing.T) {
	l, err := newLoad(64, 1, 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	defer l.release()
	if got := l.rowsOf(5); got != 0 {
		t.Errorf("5 bytes are %d rows", got)
	}
	p := path{kind: goChannel, transport: inProcess, hops: 1, codec: plain, move: moveByChannel}
	lossy := path{move: func(context.Context, path, *load) (int64, error) { return 1, nil }}
	if _, err := measure(t.Context(), lossy, l); err == nil || !strings.Contains(err.Error(), "1 rows arrived of") {
		t.Errorf("rows were lost: %v", err)
	}
	var out bytes.Buffer
	r := newReport(Options{Out: &out})
	table := newTable(l, []path{p}, [][]sample{{{wall: time.Second, bytes: 1}}}, []error{io.ErrNoProgress}, 0)
	if err := r.add(table); err != nil || !strings.Contains(out.String(), io.ErrNoProgress.Error()) {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestBrokenFrames(t *testing.T) {
	header := func(n, sum uint32) []byte {
		return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, n), 1), sum)
	}
	for _, c := range []struct {
		sent []byte
		want string
	}{
		{header(mostFrame+1, 0), "the limit is"},
		{append(header(2, 7), 1, 2), "checksum"},
		{append(header(2, 7), 1), "read a frame"},
		{header(2, 7)[:5], "header"},
	} {
		near, far := net.Pipe()
		go func() {
			_, _ = near.Write(c.sent)
			_ = near.Close()
		}()
		err := readFrames(far, func(n int) []byte { return make([]byte, n) }, func(frame) { t.Error("taken") })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.want, err)
		}
		_ = far.Close()
	}
}

// A stream that ends early is told, not waited for.
func TestBrokenStation(t *testing.T) {
	o := opener{kind: goChannel, transport: inProcess, open: func(context.Context, transport, int, func()) (station, error) {
		c := newCrew()
		c.run(func() error { return io.ErrUnexpectedEOF })
		return station{send: func(int, arrow.RecordBatch) error { return nil }, stop: c.wait, broken: c.broken}, nil
	}}
	if _, err := o.idle(t.Context(), 3); !errors.Is(err, errBroken) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("open streams: %v", err)
	}
	if _, err := o.latency(t.Context(), 3); !errors.Is(err, errBroken) {
		t.Errorf("latency: %v", err)
	}
}
