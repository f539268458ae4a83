package flight_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	stock "github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/shuffle"
	"github.com/tidemill/tidemill/shuffle/service"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// Any Flight client finds a stored exchange, reads it, drops it, and is told why it may
// not.

func (c *cluster) stock(t *testing.T, name string) stock.Client {
	t.Helper()
	client, err := stock.NewClientWithMiddleware("passthrough:///"+name, nil, nil,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, at string) (net.Conn, error) { return c.connect(ctx, "tcp", at) }))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func stored(job string, exchange string) *stock.FlightDescriptor {
	return &stock.FlightDescriptor{Type: stock.DescriptorPATH, Path: []string{job, exchange}}
}

// got is the numbers of all rows that a ticket is for.
func got(t *testing.T, client stock.Client, ticket *stock.Ticket) (ids []int64, err error) {
	t.Helper()
	st, err := client.DoGet(t.Context(), ticket)
	if err != nil {
		return nil, err
	}
	r, err := stock.NewRecordReader(st)
	if err != nil {
		return nil, err
	}
	defer r.Release()
	for r.Next() {
		ids = append(ids, r.RecordBatch().Column(0).(*array.Int64).Int64Values()...)
	}
	return ids, r.Err()
}

func TestPlainClient(t *testing.T) {
	key, now := security.NewKey(), time.Now()
	o := options{servers: []string{"a"}, service: service.Options{TicketKey: func() []byte { return key }, Now: func() time.Time { return now }}}
	right := security.Ticket{Rights: security.Read | security.Write, Job: job, Exchange: 1, Term: 3, Expiry: now.Add(time.Hour)}
	bubble(t, o, func(t *testing.T, c *cluster) {
		s := spec(shuffle.RetainJob, 2, 1)
		s.Placement.Ticket = right.Sign(key)
		if err := c.Open(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		written(t, c)
		client := c.stock(t, "a")
		defer client.Close()
		info, err := client.GetFlightInfo(t.Context(), stored(job.String(), "1"))
		if err != nil || len(info.GetEndpoint()) != 1 {
			t.Fatal(info, err)
		}
		if got, err := stock.DeserializeSchema(info.GetSchema(), c.alloc); err != nil || !got.Equal(schema.Arrow()) {
			t.Error(got, err)
		}
		if ids, err := got(t, client, info.GetEndpoint()[0].GetTicket()); err != nil || len(ids) != 4 {
			t.Error(ids, err)
		}
		refused(t, client)
		statistics(t, client)
		right.Rights = security.Drop
		drop, err := proto.Marshal(&wire.Drop{Ticket: right.Sign(key), Job: job[:], Exchanges: []uint32{1}, Term: 3})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := act(t, client, "drop", drop); err != io.EOF {
			t.Error(err)
		}
		if _, err := got(t, client, info.GetEndpoint()[0].GetTicket()); status.Code(err) != codes.NotFound {
			t.Errorf("what was dropped: %v", err)
		}
	})
}

func refused(t *testing.T, client stock.Client) {
	t.Helper()
	for want, path := range map[codes.Code][]string{
		codes.NotFound: {job.String(), "7"}, codes.InvalidArgument: {"../etc", "1"},
	} {
		if _, err := client.GetFlightInfo(t.Context(), stored(path[0], path[1])); status.Code(err) != want {
			t.Errorf("%v: have %v, want %v", path, err, want)
		}
	}
	for _, ticket := range [][]byte{nil, []byte("x"), make([]byte, 1<<20)} {
		if _, err := got(t, client, &stock.Ticket{Ticket: ticket}); status.Code(err) != codes.PermissionDenied {
			t.Errorf("ticket of %d bytes: have %v", len(ticket), err)
		}
	}
	forged, err := proto.Marshal(&wire.Ticket{Job: job[:], Exchange: 1, Term: 3, Lanes: []uint32{0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := got(t, client, &stock.Ticket{Ticket: forged}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("forged: have %v", err)
	}
	for want, action := range map[codes.Code]string{codes.InvalidArgument: "format", codes.PermissionDenied: "drop"} {
		body, err := proto.Marshal(&wire.Drop{Job: job[:], Term: 3})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := act(t, client, action, body); status.Code(err) != want {
			t.Errorf("%s: have %v, want %v", action, err, want)
		}
	}
}

func act(t *testing.T, client stock.Client, action string, body []byte) ([]byte, error) {
	t.Helper()
	st, err := client.DoAction(t.Context(), &stock.Action{Type: action, Body: body})
	if err != nil {
		return nil, err
	}
	r, err := st.Recv()
	return r.GetBody(), err
}

func statistics(t *testing.T, client stock.Client) {
	t.Helper()
	body, err := act(t, client, "stats", nil)
	var st wire.Stats
	if err == nil {
		err = proto.Unmarshal(body, &st)
	}
	if err != nil || st.GetExchanges() != 1 || st.GetBytesIn() == 0 {
		t.Errorf("%v, %v", &st, err)
	}
	list, err := client.ListActions(t.Context(), &stock.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err = list.Recv(); err == nil; _, err = list.Recv() {
		n++
	}
	if n != 2 || err != io.EOF {
		t.Errorf("%d actions, %v", n, err)
	}
}
