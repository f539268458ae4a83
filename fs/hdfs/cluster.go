package hdfs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/colinmarc/hdfs/v2"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

// A client holds a key for encrypted data that the namenode changes, so none is
// handed out for longer.
const clientAge = time.Hour

// cluster is one HDFS: its namenodes and a bounded set of clients. A client makes
// one call at a time, so calls spread over them; each may be shared by several
// callers, and files that are open keep theirs.
type cluster struct {
	s settings

	dial    chan struct{} // full while a client is made, before mu; guards the next two
	failed  time.Time     // when making one failed last, and why
	failure error

	mu        sync.Mutex
	addresses []string // the one to try first in front
	clients   []*client
	closed    bool

	lines lines // to datanodes
}

// client is one connection to the active namenode.
type client struct {
	*hdfs.Client
	defaults hdfs.ServerDefaults
	born     time.Time
	// first is held through the first transfer of data, in which the library
	// fetches the key it keeps; nil when data travels without one.
	first *sync.Mutex

	users int  // guarded by cluster.mu, as the next
	stale bool // not handed out any more

	link    link
	last    sync.Mutex // guards the next two, which the dialer sets
	address string
	err     error
}

// call runs f with a client, and again while it fails for the moment, for as long
// as the settings say. f learns whether an earlier try may have been carried out.
func (c *cluster) call(ctx context.Context, f func(cl *client, again bool) error) error {
	return c.retry(ctx, func(again bool) error {
		cl, err := c.acquire(ctx)
		if err != nil {
			return err
		}
		defer c.release(cl)
		c.s.counts.Requests.Add(1)
		err = cl.link.during(ctx, func() error { return f(cl, again) })
		if cl.link.isSevered() {
			c.abandon(cl)
		}
		if name, _ := exception(err); broken(err) || name != "" && transient(err) {
			c.drop(cl)
		}
		return err
	})
}

// retry runs f until it succeeds, fails for good, or the time for retries is over.
func (c *cluster) retry(ctx context.Context, f func(again bool) error) error {
	const first, most = 20 * time.Millisecond, time.Second
	end := time.Now().Add(c.s.Retry)
	for pause := first; ; pause = min(2*pause, most) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if pause > first {
			c.s.counts.Retries.Add(1)
		}
		err := f(pause > first)
		if err == nil || !transient(err) {
			return err
		}
		c.s.counts.Errors.Add(1)
		if time.Now().Add(pause).After(end) {
			return err
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// acquire returns a client that nobody uses, a new one while there are few, or
// the least used. The caller releases it.
func (c *cluster) acquire(ctx context.Context) (*client, error) {
	if cl := c.take(false); cl != nil {
		return cl, nil
	}
	start := time.Now()
	select {
	case c.dial <- struct{}{}:
		defer func() { <-c.dial }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if cl := c.take(false); cl != nil { // made or released meanwhile
		return cl, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.failed.After(start) { // while this one waited; do not wait once more
		return nil, c.failure
	}
	cl, err := c.connect(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, err // the caller's, which says nothing of the namenode
	}
	if err != nil {
		if other := c.take(true); other != nil {
			return other, nil
		}
		c.failed, c.failure = time.Now(), err
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.Join(fs.ErrClosed, cl.Close())
	}
	cl.users++
	c.clients = append(c.clients, cl)
	return cl, nil
}

// take returns a client in use only when no more may be made, or when it must.
func (c *cluster) take(must bool) *client {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retire()
	var best *client
	for _, cl := range c.clients {
		if !cl.stale && (best == nil || cl.users < best.users) {
			best = cl
		}
	}
	if best == nil || best.users > 0 && len(c.clients) < c.s.Clients && !must {
		return nil
	}
	best.users++
	return best
}

// retire closes the clients that are too old or broken and have no user. The
// caller holds mu.
func (c *cluster) retire() {
	c.clients = slices.DeleteFunc(c.clients, func(cl *client) bool {
		cl.stale = cl.stale || time.Since(cl.born) > clientAge
		if !cl.stale || cl.users > 0 {
			return false
		}
		_ = cl.Close() // nothing is lost with it
		return true
	})
}

func (c *cluster) release(cl *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cl.users--
	c.retire()
}

// hold counts one more user of a client that the caller has, for a file that stays
// open; it is released too.
func (c *cluster) hold(cl *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cl.users++
}

// drop keeps a client whose namenode did not answer from being handed out, and
// puts that namenode behind the others.
func (c *cluster) drop(cl *client) {
	address, _ := cl.dialed()
	c.mu.Lock()
	defer c.mu.Unlock()
	cl.stale = true
	c.demote(address)
}

// abandon keeps a client whose link was severed from being handed out.
func (c *cluster) abandon(cl *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cl.stale = true
}

func (c *cluster) demote(address string) {
	if c.addresses[0] == address {
		c.addresses = append(c.addresses[1:], address)
	}
}

// connect makes a client and asks the namenode for its defaults, which shows that
// it answers.
func (c *cluster) connect(ctx context.Context) (*client, error) {
	c.mu.Lock()
	addresses := slices.Clone(c.addresses)
	c.mu.Unlock()
	cl := &client{born: time.Now()}
	options := hdfs.ClientOptions{
		Addresses: addresses, User: c.s.User,
		UseDatanodeHostname:    c.s.conf.Get("dfs.client.use.datanode.hostname") == "true",
		DataTransferProtection: c.s.protection,
		NamenodeDialFunc: func(ctx context.Context, network, address string) (net.Conn, error) {
			return cl.open(ctx, c.s, network, address)
		},
		DatanodeDialFunc: c.s.openData,
	}
	if c.s.login != nil {
		options.KerberosClient, options.KerberosServicePrincipleName = c.s.login.client, c.s.login.service
	}
	err := cl.link.during(ctx, func() (err error) {
		if cl.Client, err = hdfs.NewClient(options); err != nil {
			return err
		}
		if cl.defaults, err = cl.ServerDefaults(); err != nil {
			_ = cl.Close()
		}
		return err
	})
	if err == nil && cl.link.isSevered() {
		_ = cl.Close()
		err = ctx.Err()
	}
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		err = cl.cause(err)
		address, _ := cl.dialed()
		c.mu.Lock()
		c.demote(address)
		c.mu.Unlock()
		return nil, fmt.Errorf("connect to namenode %s: %w", address, err)
	}
	if cl.defaults.EncryptDataTransfer && !c.s.conf.encrypts() {
		_ = cl.Close()
		return nil, failure.Errorf(failure.Usage, "the cluster encrypts data transfer (privacy) but not with AES: %w", errProtection)
	}
	if c.s.protection != "" || cl.defaults.EncryptDataTransfer {
		cl.first = new(sync.Mutex)
	}
	return cl, nil
}

// open connects to a namenode and keeps what happened, as the library tells it
// only in words.
func (cl *client) open(ctx context.Context, s settings, network, address string) (net.Conn, error) {
	conn, err := cl.link.dial(ctx, func(ctx context.Context) (net.Conn, error) { return s.Dial(ctx, network, address) })
	cl.last.Lock()
	cl.address, cl.err = address, err
	cl.last.Unlock()
	if err != nil {
		return nil, err
	}
	return WithDeadline(conn, s.Limit), nil
}

// openData connects to a datanode for a request.
func (s settings) openData(ctx context.Context, network, address string) (net.Conn, error) {
	s.counts.Requests.Add(1)
	conn, err := s.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return WithDeadline(conn, s.Limit), nil
}

func (cl *client) dialed() (address string, err error) {
	cl.last.Lock()
	defer cl.last.Unlock()
	return cl.address, cl.err
}

// cause puts the dialer's error, and its class, in place of words.
func (cl *client) cause(err error) error {
	name, _ := exception(err)
	_, dial := cl.dialed()
	var dns *net.DNSError
	switch {
	case errors.As(dial, &dns) && dns.IsNotFound:
		return failure.Wrap(failure.Usage, dial)
	case dial != nil:
		return failure.Wrap(failure.Transient, dial)
	case name == "":
		return failure.Wrap(failure.Transient, err)
	}
	return err
}

// transfer runs f, which moves data; alone while the client may still fetch the
// key for it.
func (cl *client) transfer(f func() error) error {
	if cl.first == nil {
		return f()
	}
	cl.first.Lock()
	defer cl.first.Unlock()
	return f()
}

// blocks returns how the client's new files are laid out.
func (c *cluster) blocks(cl *client) (replication int, size int64) {
	return orDefault(c.s.replication, cl.defaults.Replication), orDefault(c.s.blockSize, cl.defaults.BlockSize)
}

// close ends all clients, also those in use.
func (c *cluster) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	var errs []error
	for _, cl := range c.clients {
		errs = append(errs, cl.Close())
	}
	c.clients = nil
	c.lines.close()
	return errors.Join(errs...)
}
