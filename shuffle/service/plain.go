package service

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	gen "github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/compute"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/core/stream"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// What any Flight client may do: look a stored exchange up, read it as plain record
// batches, drop it, ask for numbers.

// ticketLife is how long a ticket of GetFlightInfo is good to begin a DoGet with: one that
// turns up in somebody's log later opens nothing.
const ticketLife = 5 * time.Minute

// GetFlightInfo lists the partitions of a stored exchange, as far as this server has
// ended lanes of it. The descriptor is the path [job, exchange], in the forms in which
// they are printed. Whoever the process lets in may read, since the cluster's token and
// certificates open the results of every job anyway: a job has no owner. The tickets are
// good to read this exchange, in this term, and not for long.
func (s *Server) GetFlightInfo(_ context.Context, d *gen.FlightDescriptor) (*gen.FlightInfo, error) {
	info, err := s.info(d)
	return info, statusOf(err)
}

func (s *Server) info(d *gen.FlightDescriptor) (*gen.FlightInfo, error) {
	if len(d.GetPath()) != 2 {
		return nil, failure.Errorf(failure.Usage, "the path of a flight is [job, exchange], not %d parts", len(d.GetPath()))
	}
	job, err := id.ParseJob(d.GetPath()[0])
	if err != nil {
		return nil, failure.Wrap(failure.Usage, err)
	}
	n, err := strconv.ParseUint(d.GetPath()[1], 10, 32)
	if err != nil {
		return nil, failure.Wrap(failure.Usage, fmt.Errorf("exchange: %w", err))
	}
	ex := id.Exchange(n)
	lanes, err := s.options.Store.Ended(job, ex)
	spec, open := s.options.Store.Spec(job, ex)
	if err != nil || !open {
		return nil, notKept(job, ex, err)
	}
	info := &gen.FlightInfo{
		Schema: flight.SerializeSchema(spec.Schema.Arrow(), s.options.Alloc), FlightDescriptor: d, TotalRecords: -1, TotalBytes: -1,
	}
	var ticket []byte
	if s.options.TicketKey != nil {
		t := security.Ticket{Rights: security.Read, Job: job, Exchange: ex, Term: spec.Term, Expiry: s.options.Now().Add(ticketLife)}
		ticket = t.Sign(s.options.TicketKey())
	}
	for p := range uint32(spec.Partitions) {
		bytes, err := proto.Marshal(&wire.Ticket{
			Ticket: ticket, Job: job[:], Exchange: uint32(ex), Term: uint64(spec.Term), Partition: p, Lanes: lanes,
		})
		if err != nil {
			return nil, fmt.Errorf("encode ticket: %w", err)
		}
		info.Endpoint = append(info.Endpoint, &gen.FlightEndpoint{Ticket: &gen.Ticket{Ticket: bytes}})
	}
	return info, nil
}

func notKept(job id.Job, ex id.Exchange, err error) error {
	if err == nil || errors.Is(err, shuffle.ErrReleased) {
		err = failure.Errorf(failure.NotFound, "it is not kept here")
	}
	return fmt.Errorf("exchange %d of job %v: %w", ex, job, err)
}

// GetSchema is the schema of what GetFlightInfo describes.
func (s *Server) GetSchema(_ context.Context, d *gen.FlightDescriptor) (*gen.SchemaResult, error) {
	info, err := s.info(d)
	return &gen.SchemaResult{Schema: info.GetSchema()}, statusOf(err)
}

// DoGet sends a partition as record batches of the exchange's schema.
func (s *Server) DoGet(t *gen.Ticket, to gen.FlightService_DoGetServer) error {
	if !s.enter() {
		return statusOf(errClosed)
	}
	defer s.work.Done()
	return statusOf(s.get(t, to))
}

func (s *Server) get(t *gen.Ticket, to gen.FlightService_DoGetServer) (err error) {
	var x wire.Ticket
	if err := proto.Unmarshal(t.GetTicket(), &x); err != nil || len(x.GetJob()) != len(id.Job{}) {
		return failure.Errorf(failure.Unauthorized, "the ticket is not one of GetFlightInfo")
	}
	job, ex := id.Job(x.GetJob()), id.Exchange(x.GetExchange())
	if err := s.permit(x.GetTicket(), security.Read, job, ex, id.Term(x.GetTerm())); err != nil {
		return err
	}
	rows, err := s.options.Store.Scan(job, ex, x.GetPartition(), x.GetLanes())
	spec, open := s.options.Store.Spec(job, ex)
	if err != nil || !open {
		return notKept(job, ex, err)
	}
	defer rows.Close()
	schema := spec.Schema.Arrow()
	w := flight.NewRecordWriter(to, ipc.WithSchema(schema), ipc.WithAllocator(s.options.Alloc))
	defer func() { err = errors.Join(err, w.Close()) }()
	for {
		if err := context.Cause(s.ctx); err != nil {
			return err
		}
		b, end, err := rows.Next()
		if err != nil || end {
			return err
		}
		if b == nil {
			return failure.Errorf(failure.NotFound, "exchange %d of job %v: a lane has not ended", ex, job)
		}
		if err := s.write(w, schema, b); err != nil {
			return err
		}
	}
}

// write writes a batch in plain columns. It owns b.
func (s *Server) write(w *flight.Writer, schema *arrow.Schema, b *stream.Batch) error {
	b, err := wire.Decode(b)
	if err != nil {
		return err
	}
	defer b.Release()
	if b.Kinds != nil {
		return failure.Errorf(failure.Fatal, "the exchange carries changes, which are no plain rows")
	}
	columns := make([]arrow.Array, b.Record.NumCols())
	for i := range columns {
		if columns[i], err = compute.Decode(s.options.Alloc, b.Column(i)); err != nil {
			return fmt.Errorf("column %d: %w", i, err)
		}
		defer columns[i].Release()
	}
	record := array.NewRecordBatch(schema, columns, int64(b.Len()))
	defer record.Release()
	return w.Write(record)
}

// The actions.
const (
	actionDrop  = "drop"
	actionStats = "stats"
)

// ListActions lists what DoAction does.
func (s *Server) ListActions(_ *gen.Empty, to gen.FlightService_ListActionsServer) error {
	for _, a := range []*gen.ActionType{
		{Type: actionDrop, Description: "forget exchanges of a job; the body is tidemill.shuffle.v1.Drop"},
		{Type: actionStats, Description: "what the server keeps and has done, as tidemill.shuffle.v1.Stats"},
	} {
		if err := to.Send(a); err != nil {
			return err
		}
	}
	return nil
}

// DoAction drops exchanges, for a ticket with that right, or tells numbers.
func (s *Server) DoAction(a *gen.Action, to gen.FlightService_DoActionServer) error {
	switch a.GetType() {
	case actionDrop:
		return statusOf(s.dropFor(to.Context(), a.GetBody()))
	case actionStats:
		st := s.Stats()
		body, err := proto.Marshal(&wire.Stats{
			MemoryBytes: st.MemoryBytes, DiskBytes: st.DiskBytes, Exchanges: uint32(st.Exchanges), Writers: uint32(st.Writers),
			Readers: uint32(st.Readers), BytesIn: st.BytesIn, BytesOut: st.BytesOut, Draining: st.Draining,
		})
		if err != nil {
			return statusOf(err)
		}
		return to.Send(&gen.Result{Body: body})
	default:
		return statusOf(failure.Errorf(failure.Usage, "action %q is not known; ListActions lists those that are", a.GetType()))
	}
}

func (s *Server) dropFor(ctx context.Context, body []byte) error {
	var x wire.Drop
	if err := proto.Unmarshal(body, &x); err != nil || len(x.GetJob()) != len(id.Job{}) {
		return failure.Errorf(failure.Usage, "the body is not tidemill.shuffle.v1.Drop")
	}
	job, term := id.Job(x.GetJob()), id.Term(x.GetTerm())
	var exchanges []id.Exchange
	for _, n := range x.GetExchanges() {
		exchanges = append(exchanges, id.Exchange(n))
	}
	wanted := exchanges
	if len(wanted) == 0 {
		wanted = []id.Exchange{security.AllExchanges}
	}
	for _, ex := range wanted {
		if err := s.permit(x.GetTicket(), security.Drop, job, ex, term); err != nil && !errors.Is(err, shuffle.ErrReleased) {
			return err
		}
	}
	return s.DropJob(ctx, job, exchanges, term)
}

// statusOf is err for a Flight client.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	code := codes.Internal
	switch failure.Of(err) {
	case failure.Unauthorized:
		code = codes.PermissionDenied
	case failure.NotFound:
		code = codes.NotFound
	case failure.Usage:
		code = codes.InvalidArgument
	case failure.Transient:
		code = codes.Unavailable
	case failure.LostPartition:
		code = codes.DataLoss
	case failure.Cancelled:
		code = codes.Canceled
	}
	return status.Error(code, err.Error())
}
