package shuffle

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
)

// transport is how the ends of a path reach each other.
type transport uint8

const (
	invalidTransport transport = iota
	inProcess
	unixSocket
	tcpLoopback
)

// String is the transport's name in reports.
func (t transport) String() string {
	switch t {
	case inProcess:
		return "process"
	case unixSocket:
		return "unix"
	case tcpLoopback:
		return "tcp"
	default:
		return fmt.Sprintf("transport %d", uint8(t))
	}
}

// listen opens a listener for the path; closing it removes what it made.
func (t transport) listen() (net.Listener, error) {
	if t == tcpLoopback {
		return new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	}
	dir, err := os.MkdirTemp("", "tidemill-bench-")
	if err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "unix", filepath.Join(dir, "s"))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &socketInDir{Listener: l, dir: dir}, nil
}

// socketInDir is a unix socket in a directory of its own.
type socketInDir struct {
	net.Listener
	dir string
}

func (s *socketInDir) Close() error { return errors.Join(s.Listener.Close(), os.RemoveAll(s.dir)) }

// kind is what carries the batches.
type kind uint8

const (
	invalidKind kind = iota
	rawCopy
	opaqueFrames
	flightPut
	flightExchange
	goChannel
	ours
)

var kindNames = [...]string{"invalid", "copy", "frames", "flight put", "flight exchange", "channel", "tidemill"}

// String is the kind's name in reports.
func (k kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// codec is how bodies are compressed.
type codec uint8

const (
	invalidCodec codec = iota
	plain
	lz4
	zstd
)

// String is the codec's name in reports and options.
func (c codec) String() string {
	switch c {
	case plain:
		return "none"
	case lz4:
		return "lz4"
	case zstd:
		return "zstd"
	default:
		return fmt.Sprintf("codec %d", uint8(c))
	}
}

// path is one way from producers to consumers.
type path struct {
	kind      kind
	transport transport
	hops      int
	codec     codec
	// ceiling in GB/s is what was computed for two cores in the design; zero: none.
	ceiling float64
	// move sends the load and returns the rows that arrived.
	move func(ctx context.Context, p path, l *load) (int64, error)
}

// String names the path in a report.
func (p path) String() string { return named(p.kind.String(), p.hops, p.codec.String()) }

// named is a kind with what tells the path from its like.
func named(kind string, hops int, codec string) string {
	if hops > 1 {
		kind += fmt.Sprintf(", %d hops", hops)
	}
	if codec != plain.String() {
		kind += ", " + codec
	}
	return kind
}

// codecs lists those that compress.
func codecs() []codec { return []codec{lz4, zstd} }

// paths lists all, bases before those that are compared with them.
func paths(codecs []codec) []path {
	all := []path{
		{kind: goChannel, transport: inProcess, move: moveByChannel},
		{kind: ours, transport: inProcess, ceiling: 4, move: moveInProcess},
	}
	for _, t := range []transport{unixSocket, tcpLoopback} {
		for hops := 1; hops <= 2; hops++ {
			all = append(all,
				path{kind: rawCopy, transport: t, hops: hops, move: moveCopy},
				path{kind: opaqueFrames, transport: t, hops: hops, move: moveFrames},
			)
			all = append(all, path{kind: flightPut, transport: t, hops: hops, ceiling: stockCeiling(t, hops), move: movePut})
		}
		for _, c := range codecs {
			all = append(all, path{kind: flightPut, transport: t, hops: 1, codec: c, move: movePut})
		}
		all = append(all, path{kind: flightExchange, transport: t, hops: 1, ceiling: stockCeiling(t, 1), move: moveExchange})
		for hops := 1; hops <= 2; hops++ {
			all = append(all, path{kind: ours, transport: t, hops: hops, ceiling: ourCeiling(t, hops), move: moveOurs})
		}
	}
	for i := range all {
		all[i].hops = max(all[i].hops, 1)
		if all[i].codec == invalidCodec {
			all[i].codec = plain
		}
	}
	return all
}

// stockCeiling is the design's figure for stock Flight.
func stockCeiling(t transport, hops int) float64 {
	if t == tcpLoopback && hops == 1 {
		return 1.6
	}
	return 0
}

// ourCeiling is the design's figure for ours.
func ourCeiling(t transport, hops int) float64 {
	switch {
	case hops == 2:
		return 1.5
	case t == unixSocket:
		return 2.5
	default:
		return 2.1
	}
}

// together runs n functions and returns their errors. The first that fails has the
// others' context end.
func together(ctx context.Context, n int, each func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if failed[i] = each(ctx, i); failed[i] != nil {
				cancel()
			}
		})
	}
	all.Wait()
	return errors.Join(failed...)
}
