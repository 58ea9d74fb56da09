package clustertest

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

// Transport is one node's access to a [Network]. It is a memberlist.Transport.
type Transport struct {
	net     *Network
	addr    netip.AddrPort
	name    string
	packets chan *memberlist.Packet
	streams chan net.Conn

	once sync.Once
	// down is closed by Shutdown and Crash.
	down chan struct{}
}

var _ memberlist.NodeAwareTransport = (*Transport)(nil)

// Addr returns the address given to NewTransport.
func (t *Transport) Addr() string { return t.name }

// Crash takes the node off the network without a word; its streams break. The
// address may be used again.
func (t *Transport) Crash() {
	t.once.Do(func() {
		t.net.change(func() { delete(t.net.transports, t.name) })
		close(t.down)
	})
}

// Shutdown is memberlist's; it does the same as Crash.
func (t *Transport) Shutdown() error {
	t.Crash()
	return nil
}

// FinalAdvertiseAddr returns the given address, or the transport's.
func (t *Transport) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	if ip != "" {
		return net.ParseIP(ip), port, nil
	}
	return t.addr.Addr().AsSlice(), int(t.addr.Port()), nil
}

// WriteTo sends a packet. Only a transport that is down says that it could not.
func (t *Transport) WriteTo(b []byte, addr string) (time.Time, error) {
	if t.isDown() {
		return time.Time{}, &net.OpError{Op: "write", Net: "memory", Err: net.ErrClosed}
	}
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	t.net.send(packet{link{t.name, addr}, slices.Clone(b)})
	return time.Now(), nil
}

// WriteToAddress is WriteTo; names are not looked at.
func (t *Transport) WriteToAddress(b []byte, to memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, to.Addr)
}

// PacketCh returns the packets that arrive. It is never closed.
func (t *Transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// StreamCh returns the streams that others open. It is never closed.
func (t *Transport) StreamCh() <-chan net.Conn { return t.streams }

// DialTimeout opens a stream. Where no node is, it is refused at once; over a
// cut link, in whichever direction, it waits for the time-out.
func (t *Transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		out, changed := t.net.flows(link{t.name, addr})
		back, _ := t.net.flows(link{addr, t.name})
		if out && back {
			return t.connect(addr)
		}
		select {
		case <-changed:
		case <-timer.C:
			return nil, dialError(os.ErrDeadlineExceeded)
		case <-t.down:
			return nil, dialError(net.ErrClosed)
		}
	}
}

// DialAddressTimeout is DialTimeout; names are not looked at.
func (t *Transport) DialAddressTimeout(to memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.DialTimeout(to.Addr, timeout)
}

func (t *Transport) connect(addr string) (net.Conn, error) {
	peer := t.net.at(addr)
	if peer == nil || t.isDown() {
		return nil, dialError(syscall.ECONNREFUSED)
	}
	near, far := newStreams(t, peer)
	select {
	case peer.streams <- far:
		return near, nil
	default:
		return nil, dialError(syscall.ECONNREFUSED)
	}
}

func (t *Transport) isDown() bool { return isClosed(t.down) }

func dialError(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
