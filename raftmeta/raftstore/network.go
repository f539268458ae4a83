package raftstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tidemill/tidemill/core/failure"
)

// Network is how a master reaches the others: TLS, unix sockets and pipes in memory alike.
// Who may connect is decided by it; whoever can is trusted with the whole store.
type Network struct {
	// Listener accepts the connections of other masters. The store closes it.
	Listener net.Listener
	// Dial connects to the listener at another master's address.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Address is where the others find Listener; empty means Listener.Addr().
	Address string
}

func (n *Network) address() string {
	if n.Address == "" {
		return n.Listener.Addr().String()
	}
	return n.Address
}

// What a connection is for. The numbers are on the wire and never change.
type purpose byte

const (
	purposeInvalid purpose = 0
	purposeLog     purpose = 1 // Raft's
	purposeStatus  purpose = 2 // questions of status
	purposeMembers purpose = 3 // to be told whom the other knows
)

func (p purpose) String() string {
	switch p {
	case purposeLog:
		return "log"
	case purposeStatus:
		return "status"
	case purposeMembers:
		return "members"
	}
	return "invalid"
}

// Limits of the network.
const (
	greeting   = "TMR1"          // begins every connection; the digit is the version
	greetTime  = 5 * time.Second // a connection that has not said what it wants by then is closed
	statusTime = time.Second     // an answer to a question of status takes less
	// maxStrangers bounds connections that have not yet said what they want: the oldest
	// gives way, so that those who say nothing keep nobody out.
	maxStrangers = 64
	maxGreeted   = 256 // connections of other masters at a time
)

// status is what a master says about itself.
type status struct {
	term    uint64
	applied uint64 // index of the log
}

// links are the connections of a store. It is Raft's stream layer.
type links struct {
	self    raft.ServerID
	network *Network
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	raft    chan *raft.Raft   // holds it from when it runs
	arrived chan arrival      // for Accept
	fail    func(error) error // ends the store
	serving sync.WaitGroup    // listen, and accepted links that nobody has closed

	mu        sync.Mutex
	open      map[*link]struct{}
	strangers []*link // accepted and not greeted, oldest first
	greeted   int     // accepted and greeted
	closed    bool
	peers     map[raft.ServerAddress]*peer
}

var _ raft.StreamLayer = (*links)(nil)

// arrival is a link of another master's Raft, or why there will be none.
type arrival struct {
	link *link
	err  error
}

// newLinks listens until Close.
func newLinks(self raft.ServerID, n *Network, fail func(error) error) *links {
	ctx, cancel := context.WithCancel(context.Background())
	l := &links{
		self: self, network: n, fail: fail, ctx: ctx, cancel: cancel,
		raft: make(chan *raft.Raft, 1), arrived: make(chan arrival),
		open: map[*link]struct{}{}, peers: map[raft.ServerAddress]*peer{},
	}
	l.serving.Go(l.listen)
	return l
}

// link is a connection that is closed with its links.
type link struct {
	net.Conn
	of       *links
	accepted bool
	admitted bool // it counts as greeted; guarded by links.mu
	closed   sync.Once
}

func (l *links) add(c net.Conn, accepted bool) (*link, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, errors.Join(net.ErrClosed, c.Close())
	}
	k := &link{Conn: c, of: l, accepted: accepted}
	l.open[k] = struct{}{}
	if accepted {
		l.serving.Add(1)
		if len(l.strangers) == maxStrangers {
			_ = l.strangers[0].Conn.Close() // its reader notices
			l.strangers = l.strangers[1:]
		}
		l.strangers = append(l.strangers, k)
	}
	return k, nil
}

// admit says whether a stranger may stay that said what it wants.
func (l *links) admit(k *link) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.strangers, k)
	if i < 0 || l.greeted >= maxGreeted {
		return false
	}
	l.strangers = slices.Delete(l.strangers, i, i+1)
	l.greeted++
	k.admitted = true
	return true
}

// Close ends one connection; its user is done with it.
func (k *link) Close() error {
	k.closed.Do(func() {
		k.of.mu.Lock()
		defer k.of.mu.Unlock()
		delete(k.of.open, k)
		if !k.accepted {
			return
		}
		if i := slices.Index(k.of.strangers, k); i >= 0 {
			k.of.strangers = slices.Delete(k.of.strangers, i, i+1)
		} else if k.admitted {
			k.of.greeted--
		}
		k.of.serving.Done()
	})
	return k.Conn.Close()
}

// Close ends everything that goes over the network. Then serving can be waited for.
func (l *links) Close() error {
	l.cancel()
	l.mu.Lock()
	open := l.open
	first := !l.closed
	l.closed, l.open = true, map[*link]struct{}{}
	l.mu.Unlock()
	if !first {
		return nil
	}
	err := l.network.Listener.Close()
	for k := range open {
		_ = k.Conn.Close() // both sides see it; what it says changes nothing
	}
	return err
}

// Addr implements raft.StreamLayer: it is the address that Raft gives to others.
func (l *links) Addr() net.Addr { return linkAddr(raftAddress(l.network.address(), l.self)) }

type linkAddr string

func (linkAddr) Network() string  { return "tidemill-masters" }
func (a linkAddr) String() string { return string(a) }

// Accept implements raft.StreamLayer: Raft, whose readers take a quarter of a MiB each, sees
// only who has come for it.
func (l *links) Accept() (net.Conn, error) {
	select {
	case a := <-l.arrived:
		if a.err != nil {
			return nil, a.err
		}
		return a.link, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// listen lets in whoever connects. Each is heard by a goroutine of its own, so one that says
// nothing keeps nobody waiting.
func (l *links) listen() {
	for {
		c, err := l.network.Listener.Accept()
		if err == nil {
			var k *link
			if k, err = l.add(c, true); err == nil {
				go k.receive()
				continue
			}
		}
		if !l.arrive(arrival{err: err}) {
			return
		}
	}
}

// arrive hands something to Accept, unless the links are closed before.
func (l *links) arrive(a arrival) bool {
	select {
	case l.arrived <- a:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// receive hears an accepted link, and keeps it if it is Raft's, who closes it.
func (k *link) receive() {
	if k.welcome() != nil || !k.of.arrive(arrival{link: k}) {
		_ = k.Close() // it was served, or does not belong here
	}
}

// welcome hears what a connection is for, and returns nil if it is Raft's. io.EOF says
// that it was served.
//
//	-> "TMR1" purpose(1) length(1) wanted id; none means anybody
//	<- length(1) own id; then, unless another is wanted, what the purpose says
func (k *link) welcome() error {
	_ = k.SetDeadline(time.Now().Add(greetTime))
	head := make([]byte, len(greeting)+2)
	if _, err := io.ReadFull(k.Conn, head); err != nil {
		return err
	}
	wanted := make([]byte, head[len(head)-1])
	if _, err := io.ReadFull(k.Conn, wanted); err != nil {
		return err
	}
	if string(head[:len(greeting)]) != greeting {
		return fmt.Errorf("a connection begins with %q, want %q", head[:len(greeting)], greeting)
	}
	if !k.of.admit(k) {
		return io.EOF
	}
	self := append([]byte{byte(len(k.of.self))}, k.of.self...)
	if _, err := k.Write(self); err != nil {
		return err
	}
	if len(wanted) > 0 && raft.ServerID(wanted) != k.of.self {
		k.of.mistaken(raft.ServerID(wanted))
		return io.EOF
	}
	_ = k.SetDeadline(time.Time{})
	switch p := purpose(head[len(greeting)]); p {
	case purposeLog:
		return nil
	case purposeStatus:
		return k.serveStatus()
	case purposeMembers:
		return k.serveMembers()
	default:
		return fmt.Errorf("a connection of purpose %d", p)
	}
}

// await returns Raft once it runs, or nil if that will not be.
func (l *links) await() *raft.Raft {
	select {
	case r := <-l.raft:
		l.raft <- r
		return r
	case <-l.ctx.Done():
		return nil
	}
}

// mistaken hears whom somebody wanted who came here. A master that is alone, of which
// others know an earlier life, was bootstrapped a second time: going on, it would be a
// second cluster.
func (l *links) mistaken(wanted raft.ServerID) {
	if nameOf(wanted) != nameOf(l.self) {
		return
	}
	if r := l.await(); r != nil && alone(r, l.self) {
		_ = l.fail(failure.Errorf(failure.Conflict,
			"other masters know %s with the storage it had before: it must be joined to them, not bootstrapped again", nameOf(l.self)))
	}
}

// alone says whether a master is the only one that it knows.
func alone(r *raft.Raft, self raft.ServerID) bool {
	servers := r.GetConfiguration().Configuration().Servers
	return len(servers) == 1 && servers[0].ID == self
}

// serveStatus answers each byte with the term and the applied index.
func (k *link) serveStatus() error {
	r := k.of.await()
	if r == nil {
		return io.EOF
	}
	var ask [1]byte
	for {
		if _, err := io.ReadFull(k.Conn, ask[:]); err != nil {
			return io.EOF
		}
		b := binary.LittleEndian.AppendUint64(nil, r.CurrentTerm())
		b = binary.LittleEndian.AppendUint64(b, r.AppliedIndex())
		if _, err := k.Write(b); err != nil {
			return io.EOF
		}
	}
}

// Dial implements raft.StreamLayer.
func (l *links) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(l.ctx, timeout)
	defer cancel()
	address, wanted := splitAddress(to)
	k, _, err := l.connect(ctx, address, wanted, purposeLog)
	if err != nil {
		return nil, err
	}
	return k, nil
}

// connect reaches the master at an address, which must be the wanted one if that is not
// empty, and returns who it is.
func (l *links) connect(ctx context.Context, address string, wanted raft.ServerID, p purpose) (*link, raft.ServerID, error) {
	c, err := l.network.Dial(ctx, address)
	if err != nil {
		return nil, "", failure.Errorf(failure.Transient, "connect to master at %s: %w", address, err)
	}
	k, err := l.add(c, false)
	if err != nil {
		return nil, "", err
	}
	stop := context.AfterFunc(ctx, func() { _ = k.SetDeadline(time.Unix(1, 0)) })
	id, err := k.greet(wanted, p)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, "", errors.Join(failure.Errorf(failure.Transient, "greet master at %s: %w", address, err), k.Close())
	}
	return k, id, nil
}

// greet says what the connection is for; see welcome.
func (k *link) greet(wanted raft.ServerID, p purpose) (raft.ServerID, error) {
	b := append([]byte(greeting), byte(p), byte(len(wanted)))
	if _, err := k.Write(append(b, wanted...)); err != nil {
		return "", err
	}
	var n [1]byte
	if _, err := io.ReadFull(k.Conn, n[:]); err != nil {
		return "", err
	}
	id := make([]byte, n[0])
	if _, err := io.ReadFull(k.Conn, id); err != nil {
		return "", err
	}
	if wanted != "" && raft.ServerID(id) != wanted {
		return "", fmt.Errorf("it is %q, not %q", id, wanted)
	}
	return raft.ServerID(id), nil
}

// peer is the connection for questions of status to another master; whoever holds busy
// has it.
type peer struct {
	busy chan struct{}
	link *link
}

func (l *links) peer(at raft.ServerAddress) *peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.peers[at]
	if p == nil {
		p = &peer{busy: make(chan struct{}, 1)}
		l.peers[at] = p
	}
	return p
}

// retain closes the connections to masters that are gone. Their peers stay busy for ever,
// so that nobody connects again.
func (l *links) retain(present func(raft.ServerAddress) bool) {
	l.mu.Lock()
	var gone []*peer
	for at, p := range l.peers {
		if !present(at) {
			delete(l.peers, at)
			gone = append(gone, p)
		}
	}
	l.mu.Unlock()
	for _, p := range gone {
		p.busy <- struct{}{} // within statusTime
		if p.link != nil {
			_ = p.link.Close()
		}
	}
}

// status asks a master; the answer is later than the call. The question goes on until
// its own time is up when ctx ends, so that a slow master keeps its connection.
func (l *links) status(ctx context.Context, at raft.ServerAddress) (status, error) {
	p := l.peer(at)
	select {
	case p.busy <- struct{}{}:
	case <-ctx.Done():
		return status{}, ctx.Err()
	}
	defer func() { <-p.busy }()
	asking, cancel := context.WithTimeout(l.ctx, statusTime)
	defer cancel()
	if p.link == nil {
		address, wanted := splitAddress(at)
		k, _, err := l.connect(asking, address, wanted, purposeStatus)
		if err != nil {
			return status{}, err
		}
		p.link = k
	}
	var b [16]byte
	_ = p.link.SetDeadline(time.Now().Add(statusTime))
	_, err := p.link.Write(b[:1])
	if err == nil {
		_, err = io.ReadFull(p.link, b[:])
	}
	if err != nil {
		_ = p.link.Close()
		p.link = nil
		return status{}, failure.Errorf(failure.Transient, "ask master at %s: %w", at, err)
	}
	return status{term: binary.LittleEndian.Uint64(b[:]), applied: binary.LittleEndian.Uint64(b[8:])}, nil
}

// serveMembers tells the ids of those that this master knows: length(1) id each, and 0.
func (k *link) serveMembers() error {
	r := k.of.await()
	if r == nil {
		return io.EOF
	}
	var b []byte
	for _, server := range r.GetConfiguration().Configuration().Servers {
		b = append(append(b, byte(len(server.ID))), server.ID...)
	}
	_ = k.SetDeadline(time.Now().Add(greetTime))
	if _, err := k.Write(append(b, 0)); err != nil {
		return err
	}
	return io.EOF
}

// who asks for the id of whoever serves at an address, and for those that it knows.
func (l *links) who(ctx context.Context, address string) (id raft.ServerID, members []raft.ServerID, err error) {
	ctx, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	k, id, err := l.connect(ctx, address, "", purposeMembers)
	if err != nil {
		return "", nil, err
	}
	_ = k.SetDeadline(time.Now().Add(statusTime))
	for len(members) <= maxMembers {
		var n [1]byte
		if _, err = io.ReadFull(k, n[:]); err != nil || n[0] == 0 {
			break
		}
		member := make([]byte, n[0])
		if _, err = io.ReadFull(k, member); err != nil {
			break
		}
		members = append(members, raft.ServerID(member))
	}
	if err := errors.Join(err, k.Close()); err != nil {
		return "", nil, failure.Errorf(failure.Transient, "ask master at %s whom it knows: %w", address, err)
	}
	return id, members, nil
}
