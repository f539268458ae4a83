package verify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/shuffle/wire"
)

// doorScenarios are about who is let in. The tests of cmd/tidemill have the whole list of
// what is said to whom; here real strangers knock at a cluster under its own defaults.
func doorScenarios() []Scenario {
	return []Scenario{{
		Name:  "open-doors",
		Shows: "an open bind, a wrong token, a plain client against mTLS and a forged ticket are each refused by name",
		shape: Shape{Masters: 1, Workers: 1, Shuffles: 1}, play: openDoors,
	}}
}

func openDoors(ctx context.Context, t *telling) error {
	h, release, err := t.holdAfterStage(ctx) // so that there is something to read
	if err != nil {
		return errors.Join(err, release())
	}
	master, server := t.of(Master)[0].address, t.of(Shuffle)[0].address
	verbs := errors.Join(
		t.refused(ctx, "an open bind", 2, "has not TLS and a token",
			"worker", "--listen", "0.0.0.0:0", "--join", master, "--data-dir", filepath.Join(t.dir, "open")),
		t.strangers(ctx, master),
	)
	wires := errors.Join(t.plain(ctx, "a client without TLS", master), t.plain(ctx, "a client without TLS", server), t.forged(ctx, h.job, server))
	if err := errors.Join(verbs, wires, release()); err != nil {
		return err
	}
	if _, err := t.right(ctx, h.job); err != nil {
		return err
	}
	t.say("the job that ran meanwhile has finished with the right rows")
	return t.whole(ctx)
}

// refused runs the program and wants it to end with a code and a reason.
func (t *telling) refused(ctx context.Context, who string, code int, reason string, args ...string) error {
	a, err := t.options.command(ctx, "", args...)
	if err != nil {
		return err
	}
	t.say("%s: exit code %d, %s", who, a.code, oneSentence(a.notes))
	if a.code != code || !strings.Contains(a.notes, reason) {
		return fmt.Errorf("%s: want exit code %d and %q: %v", who, code, reason, a)
	}
	return nil
}

// oneSentence is what an error says, without what to do about it.
func oneSentence(notes string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(notes), "\n")
	return line
}

// strangers come with another token, and with another authority.
func (t *telling) strangers(ctx context.Context, master string) error {
	token, foreign := filepath.Join(t.dir, "other-token"), filepath.Join(t.dir, "foreign")
	for _, args := range [][]string{{"token", token}, {"cert", foreign}} {
		if a, err := t.options.command(ctx, "", args...); err != nil || a.code != 0 {
			return errors.Join(err, fmt.Errorf("tidemill %s: %v", args[0], a))
		}
	}
	return errors.Join(
		t.refused(ctx, "a wrong token", 6, "the token is not this cluster's", "nodes", "--cluster", master, "--token-file", token),
		t.refused(ctx, "a master of another authority", 6, "not of this cluster", "nodes", "--cluster", master, "--tls-dir", foreign),
		t.refused(ctx, "a worker of another authority", 6, "not of this cluster",
			"worker", "--join", master, "--tls-dir", foreign, "--data-dir", filepath.Join(t.dir, "foreign-worker")),
	)
}

const knockPatience = 15 * time.Second

// plain speaks HTTP without TLS to an address, and wants nothing of HTTP back.
func (t *telling) plain(ctx context.Context, who, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(knockPatience)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")); err != nil {
		return err
	}
	answer := make([]byte, 64)
	n, err := conn.Read(answer)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return fmt.Errorf("%s at %s is neither served nor refused", who, address)
	}
	const alert = 21 // the content type of TLS
	if n > 0 && answer[0] != alert {
		return fmt.Errorf("%s at %s is answered: %q", who, address, answer[:n])
	}
	t.say("%s at %s: hung up on (after %d bytes of TLS, %v)", who, address, n, err)
	return nil
}

// forged asks the shuffle server for a partition of a running job: without a token, and
// with tickets that the cluster has not signed.
func (t *telling) forged(ctx context.Context, j job, server string) error {
	home := filepath.Join(t.options.Scratch, "home")
	trust, err := security.LoadTrust(filepath.Join(home, "tls"))
	if err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(home, "token"))
	if err != nil {
		return err
	}
	name, err := id.ParseJob(j.id)
	if err != nil {
		return err
	}
	right := security.Ticket{Rights: security.Read, Job: name, Exchange: security.AllExchanges, Term: 1, Expiry: time.Now().Add(time.Hour)}
	signed := right.Sign(security.NewKey())
	with := metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+strings.TrimSpace(string(token)))
	var all []error
	for _, c := range []struct {
		who    string
		ctx    context.Context
		tls    *tls.Config
		ticket []byte
		want   codes.Code
	}{
		{"a Flight client without certificate and token", ctx, trust.Client(), signed, codes.Unauthenticated},
		{"a ticket signed by somebody else", with, trust.Client(), signed, codes.PermissionDenied},
		{"no ticket", with, trust.Client(), nil, codes.PermissionDenied},
	} {
		whole, err := proto.Marshal(&wire.Ticket{Ticket: c.ticket, Job: name[:], Exchange: 0, Term: 1, Lanes: []uint32{0}})
		if err != nil {
			return err
		}
		err = doGet(c.ctx, server, c.tls, whole)
		t.say("%s: %v", c.who, err)
		if status.Code(err) != c.want {
			all = append(all, fmt.Errorf("%s: want %v: %w", c.who, c.want, err))
		}
	}
	return errors.Join(all...)
}

// doGet asks for a ticket's rows and returns why there are none.
func doGet(ctx context.Context, server string, secure *tls.Config, ticket []byte) error {
	client, err := flight.NewClientWithMiddlewareCtx(ctx, server, nil, nil, grpc.WithTransportCredentials(credentials.NewTLS(secure)))
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	ctx, stop := context.WithTimeout(ctx, knockPatience)
	defer stop()
	rows, err := client.DoGet(ctx, &flight.Ticket{Ticket: ticket})
	if err == nil {
		_, err = rows.Recv()
	}
	return err
}
