package cluster

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus"
)

// maxStreams bounds the streams that others have open to this node: each costs
// a goroutine for up to streamTimeout. It is also memberlist's bound of
// exchanges under way.
const maxStreams = 128

var errClosed = errors.New("the gossip has ended")

// transport is another one whose streams and dials end when it is shut down,
// and which takes a bounded number of streams. memberlist.Shutdown waits for
// nothing, and its streams would go on for seconds.
type transport struct {
	memberlist.NodeAwareTransport

	advertise netip.AddrPort
	streams   chan net.Conn
	dropped   prometheus.Counter
	// ready lets streams in, stopped ends pump, pumped says that it has ended.
	ready, stopped, pumped chan struct{}

	mu      sync.Mutex
	closed  bool
	open    map[io.Closer]struct{}
	inbound int
}

func newTransport(inner memberlist.NodeAwareTransport, advertise netip.AddrPort, dropped prometheus.Counter) *transport {
	return &transport{
		NodeAwareTransport: inner, advertise: advertise, streams: make(chan net.Conn), dropped: dropped,
		ready: make(chan struct{}), stopped: make(chan struct{}), pumped: make(chan struct{}), open: make(map[io.Closer]struct{}),
	}
}

// FinalAdvertiseAddr returns what was found out when the port was bound.
func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return t.advertise.Addr().AsSlice(), int(t.advertise.Port()), nil
}

// StreamCh returns the streams that were let in.
func (t *transport) StreamCh() <-chan net.Conn { return t.streams }

// pump lets streams in until Shutdown. It goes on while the inner transport
// shuts down, which may wait for the last one to be taken.
func (t *transport) pump() {
	defer close(t.pumped)
	for {
		select {
		case conn := <-t.NodeAwareTransport.StreamCh():
			t.letIn(conn)
		case <-t.stopped:
			return
		}
	}
}

func (t *transport) letIn(conn net.Conn) {
	s := &stream{Conn: conn, of: t, inbound: true}
	if !t.track(s, 1) {
		t.dropped.Inc()
		_ = conn.Close()
		return
	}
	select {
	case <-t.ready:
	case <-t.stopped:
	}
	select {
	case t.streams <- s:
	case <-t.stopped:
		_ = s.Close()
	}
}

// WriteToAddress sends a packet. An answer goes where the question says that it
// came from: anything but an address would be looked up as a name, and nothing
// else be received meanwhile.
func (t *transport) WriteToAddress(b []byte, to memberlist.Address) (time.Time, error) {
	if _, err := netip.ParseAddrPort(to.Addr); err != nil {
		return time.Time{}, err
	}
	return t.NodeAwareTransport.WriteToAddress(b, to)
}

// DialAddressTimeout dials so that Shutdown ends it.
func (t *transport) DialAddressTimeout(to memberlist.Address, timeout time.Duration) (net.Conn, error) {
	conn, err := t.dial(to, timeout)
	if err != nil {
		return nil, err
	}
	s := &stream{Conn: conn, of: t}
	if !t.track(s, 0) {
		_ = conn.Close()
		return nil, errClosed
	}
	return s, nil
}

func (t *transport) dial(to memberlist.Address, timeout time.Duration) (net.Conn, error) {
	if _, sockets := t.NodeAwareTransport.(*memberlist.NetTransport); !sockets {
		return t.NodeAwareTransport.DialAddressTimeout(to, timeout)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	c := &canceler{cancel}
	if !t.track(c, 0) {
		return nil, errClosed
	}
	defer t.forget(c, 0)
	return new(net.Dialer).DialContext(ctx, "tcp", to.Addr)
}

// Shutdown ends all streams and dials, then the inner transport.
func (t *transport) Shutdown() error {
	for _, c := range t.close() {
		_ = c.Close()
	}
	err := t.NodeAwareTransport.Shutdown()
	close(t.stopped)
	<-t.pumped
	return err
}

func (t *transport) close() (open []io.Closer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for c := range t.open {
		open = append(open, c)
	}
	return open
}

func (t *transport) track(c io.Closer, inbound int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.inbound+inbound > maxStreams {
		return false
	}
	t.open[c] = struct{}{}
	t.inbound += inbound
	return true
}

func (t *transport) forget(c io.Closer, inbound int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, c)
	t.inbound -= inbound
}

// stream is a connection that its transport knows of until it is closed.
type stream struct {
	net.Conn

	of      *transport
	inbound bool
	once    sync.Once
}

// Close may be called more than once.
func (s *stream) Close() error {
	err := net.ErrClosed
	s.once.Do(func() {
		inbound := 0
		if s.inbound {
			inbound = 1
		}
		s.of.forget(s, inbound)
		err = s.Conn.Close()
	})
	return err
}

// canceler is a dial under way.
type canceler struct{ cancel context.CancelFunc }

func (c *canceler) Close() error {
	c.cancel()
	return nil
}

// nodeAware makes any transport one that is told names as well.
type nodeAware struct{ memberlist.Transport }

func (t nodeAware) WriteToAddress(b []byte, to memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, to.Addr)
}

func (t nodeAware) DialAddressTimeout(to memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.DialTimeout(to.Addr, timeout)
}
