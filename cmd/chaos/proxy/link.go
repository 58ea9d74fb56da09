package proxy

import (
	"net"
	"time"
)

// link is what one caller sends: streams and datagrams, of which a fault concerns
// both.
type link struct {
	*Proxy
	datagrams chan chunk
	done      chan struct{}
}

// maxDatagrams bounds those on their way; more are lost, as a socket loses them.
const maxDatagrams = 1024

// newLink returns a link whose datagrams go out through the socket; nil: it takes
// none.
func newLink(target string, socket *net.UDPConn) *link {
	l := &link{Proxy: newProxy(target), datagrams: make(chan chunk, maxDatagrams), done: make(chan struct{})}
	if socket == nil {
		return l
	}
	at, err := net.ResolveUDPAddr("udp", target)
	if err == nil {
		l.wg.Go(func() { l.forward(socket, at) })
	}
	return l
}

func (l *link) close() {
	close(l.done)
	l.Close()
}

// send sends a datagram, unless it is lost.
func (l *link) send(b []byte) {
	f := l.now()
	if f.Cut {
		return
	}
	select {
	case l.datagrams <- chunk{b, time.Now().Add(f.Delay)}:
	default:
	}
}

// now returns the fault that is active.
func (l *link) now() Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault
}

// forward writes datagrams when they are due and nothing holds them up.
func (l *link) forward(socket *net.UDPConn, to *net.UDPAddr) {
	unsorted := &conn{}
	for {
		select {
		case got := <-l.datagrams:
			if !l.due(got.due) || !l.pass(unsorted, true) {
				return
			}
			if !l.now().Cut {
				_, _ = socket.WriteToUDP(got.bytes, to)
			}
		case <-l.done:
			return
		}
	}
}

// due waits, and returns false if the link is closed first.
func (l *link) due(at time.Time) bool {
	wait := time.Until(at)
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.done:
		return false
	}
}
