package shuffle

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tidemill/tidemill/core/failure"
)

// stock is a Flight server as arrow-go's documentation builds one. It answers a stream
// with the number of rows that it got.
type stock struct {
	flight.BaseFlightServer
	keep    bool   // for DoGet
	arrived func() // told of each batch; nil: nobody is

	mu   sync.Mutex
	kept map[string][]arrow.RecordBatch
}

// DoPut takes a stream and keeps it under the descriptor's path, if it is to.
func (s *stock) DoPut(stream flight.FlightService_DoPutServer) error {
	rows, err := s.take(stream)
	if err != nil {
		return err
	}
	return stream.Send(&flight.PutResult{AppMetadata: binary.LittleEndian.AppendUint64(nil, rows)})
}

// DoExchange takes a stream.
func (s *stock) DoExchange(stream flight.FlightService_DoExchangeServer) error {
	rows, err := s.take(stream)
	if err != nil {
		return err
	}
	return stream.Send(&flight.FlightData{AppMetadata: binary.LittleEndian.AppendUint64(nil, rows)})
}

func (s *stock) take(stream flight.DataStreamReader) (rows uint64, err error) {
	r, err := flight.NewRecordReader(stream)
	if err != nil {
		return 0, err
	}
	defer r.Release()
	name := r.LatestFlightDescriptor().GetPath() // it comes with the schema
	var kept []arrow.RecordBatch
	for r.Next() {
		b := r.RecordBatch()
		rows += uint64(b.NumRows())
		if s.arrived != nil {
			s.arrived()
		}
		if s.keep {
			b.Retain()
			kept = append(kept, b)
		}
	}
	if err := r.Err(); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if s.keep {
		if len(name) != 1 {
			return 0, failure.Errorf(failure.Internal, "descriptor with %d names", len(name))
		}
		s.mu.Lock()
		s.kept[name[0]] = kept
		s.mu.Unlock()
	}
	return rows, nil
}

// DoGet sends what was kept under the ticket.
func (s *stock) DoGet(ticket *flight.Ticket, stream flight.FlightService_DoGetServer) error {
	s.mu.Lock()
	kept := s.kept[string(ticket.GetTicket())]
	s.mu.Unlock()
	if len(kept) == 0 {
		return failure.Errorf(failure.Internal, "nothing was kept for %q", ticket.GetTicket())
	}
	w := flight.NewRecordWriter(stream, ipc.WithSchema(kept[0].Schema()))
	for _, b := range kept {
		if err := w.Write(b); err != nil {
			return err
		}
		b.Release()
	}
	return w.Close()
}

// startStock starts a server and returns its only client, a channel that is closed when
// the server does not serve any more, and what stops both.
func startStock(t transport, s *stock) (_ flight.Client, broken <-chan struct{}, stop func() error, err error) {
	l, err := t.listen()
	if err != nil {
		return nil, nil, nil, fmt.Errorf("listen: %w", err)
	}
	s.kept = map[string][]arrow.RecordBatch{}
	server := grpc.NewServer()
	flight.RegisterFlightServiceServer(server, s)
	serving := newCrew()
	serving.run(func() error { return server.Serve(l) })
	target := l.Addr().String()
	if t == unixSocket {
		target = "unix://" + target
	}
	client, err := flight.NewClientWithMiddleware(target, nil, nil, grpc.WithTransportCredentials(insecure.NewCredentials()))
	stop = func() error {
		if client != nil {
			err = errors.Join(err, client.Close())
		}
		server.Stop()
		_ = l.Close() // Stop has closed it, but for the directory of a socket
		return errors.Join(err, serving.wait())
	}
	if err != nil {
		return nil, nil, nil, stop()
	}
	return client, serving.broken, stop, nil
}

// withStock runs do with a client of a stock server.
func withStock(t transport, keep bool, do func(flight.Client) error) error {
	client, _, stop, err := startStock(t, &stock{keep: keep})
	if err != nil {
		return err
	}
	return errors.Join(do(client), stop())
}

// movePut sends by DoPut; in two hops DoGet reads what was kept.
func movePut(ctx context.Context, p path, l *load) (int64, error) {
	var rows atomic.Int64
	err := withStock(p.transport, p.hops == 2, func(client flight.Client) error {
		err := together(ctx, l.streams, func(ctx context.Context, s int) error {
			n, err := put(ctx, client, p.codec, l, s)
			if p.hops == 1 {
				rows.Add(n)
			}
			return err
		})
		if err != nil || p.hops == 1 {
			return err
		}
		return together(ctx, l.streams, func(ctx context.Context, s int) error {
			n, err := get(ctx, client, s)
			rows.Add(n)
			return err
		})
	})
	return rows.Load(), err
}

func (c codec) ipcOptions() []ipc.Option {
	switch c {
	case lz4:
		return []ipc.Option{ipc.WithLZ4()}
	case zstd:
		return []ipc.Option{ipc.WithZstd()}
	default:
		return nil
	}
}

// send writes stream s to w and ends it.
func (l *load) send(w flight.DataStreamWriter, c codec, s int) error {
	writer := flight.NewRecordWriter(w, append(c.ipcOptions(), ipc.WithSchema(l.schema))...)
	writer.SetFlightDescriptor(&flight.FlightDescriptor{Type: flight.DescriptorPATH, Path: []string{strconv.Itoa(s)}})
	for i := range l.each {
		if err := writer.Write(l.batches[l.at(s, i)]); err != nil {
			return errors.Join(err, writer.Close())
		}
	}
	return writer.Close()
}

func put(ctx context.Context, client flight.Client, c codec, l *load, s int) (int64, error) {
	stream, err := client.DoPut(ctx)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(l.send(stream, c, s), stream.CloseSend()); err != nil {
		return 0, err
	}
	result, err := stream.Recv()
	if err != nil {
		return 0, err
	}
	return counted(result.GetAppMetadata())
}

// moveExchange sends by DoExchange.
func moveExchange(ctx context.Context, p path, l *load) (int64, error) {
	var rows atomic.Int64
	err := withStock(p.transport, false, func(client flight.Client) error {
		return together(ctx, l.streams, func(ctx context.Context, s int) error {
			stream, err := client.DoExchange(ctx)
			if err != nil {
				return err
			}
			if err := errors.Join(l.send(stream, p.codec, s), stream.CloseSend()); err != nil {
				return err
			}
			answer, err := stream.Recv()
			if err != nil {
				return err
			}
			n, err := counted(answer.GetAppMetadata())
			rows.Add(n)
			return err
		})
	})
	return rows.Load(), err
}

func get(ctx context.Context, client flight.Client, s int) (rows int64, err error) {
	stream, err := client.DoGet(ctx, &flight.Ticket{Ticket: []byte(strconv.Itoa(s))})
	if err != nil {
		return 0, err
	}
	r, err := flight.NewRecordReader(stream)
	if err != nil {
		return 0, err
	}
	defer r.Release()
	for r.Next() {
		rows += r.RecordBatch().NumRows()
	}
	return rows, notEOF(r.Err())
}

// counted reads the number of rows that a server answers with.
func counted(answer []byte) (int64, error) {
	if len(answer) != 8 {
		return 0, failure.Errorf(failure.Internal, "the answer has %d bytes instead of 8", len(answer))
	}
	return int64(binary.LittleEndian.Uint64(answer)), nil
}
