package proxy

import (
	"errors"
	"net"
	"slices"
	"sync"
)

// Gate stands in front of one port of a node, and has a link for each of the nodes
// that call it: what is between two nodes can be cut in one direction alone. Make it
// with [OpenGate].
type Gate struct {
	target  string
	callers Callers
	tcp     net.Listener
	udp     *net.UDPConn // nil: streams only
	wg      sync.WaitGroup

	mu     sync.Mutex
	closed bool
	links  map[string]*link
	guests map[net.Conn]struct{} // callers that are not known yet
}

// Callers says who calls. What comes from nobody is not passed on.
type Callers struct {
	// Stream returns the caller of a stream, and what it had to read of it for that.
	Stream func(net.Conn) (caller string, sent []byte, ok bool)
	// Datagram returns who sends from an address; nil: the gate takes no datagrams.
	Datagram func(net.Addr) (caller string, ok bool)
}

// OpenGate listens on a port of the loopback and passes on to the target.
func OpenGate(target string, callers Callers) (*Gate, error) {
	g := &Gate{target: target, callers: callers, links: make(map[string]*link), guests: make(map[net.Conn]struct{})}
	if err := g.listen(); err != nil {
		return nil, err
	}
	g.wg.Go(g.accept)
	if g.udp != nil {
		g.wg.Go(g.receive)
	}
	return g, nil
}

// listenTries is for ports of which only one sort is free.
const listenTries = 10

func (g *Gate) listen() (err error) {
	for range listenTries {
		if g.tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil || g.callers.Datagram == nil {
			return err
		}
		at := g.tcp.Addr().(*net.TCPAddr) //nolint:forcetypeassert // of a TCP listener
		if g.udp, err = net.ListenUDP("udp", &net.UDPAddr{IP: at.IP, Port: at.Port}); err == nil {
			return nil
		}
		err = errors.Join(err, g.tcp.Close())
	}
	return err
}

// Addr returns the host:port to call.
func (g *Gate) Addr() string { return g.tcp.Addr().String() }

// Set begins a fault of what a caller sends, and of what it is answered on its
// streams, in place of the one before. For datagrams FreezeUp is what freezes.
func (g *Gate) Set(caller string, f Fault) {
	if l := g.link(caller); l != nil {
		l.Set(f)
	}
}

// Close closes the port and every connection and waits for the goroutines.
func (g *Gate) Close() {
	_ = g.tcp.Close()
	if g.udp != nil {
		_ = g.udp.Close()
	}
	g.mu.Lock()
	g.closed = true
	for guest := range g.guests {
		_ = guest.Close()
	}
	g.mu.Unlock()
	for _, l := range g.links {
		l.close()
	}
	g.wg.Wait()
}

// link returns the link of a caller; nil, once the gate is closed.
func (g *Gate) link(caller string) *link {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.links[caller]
	if l == nil && !g.closed {
		l = newLink(g.target, g.udp)
		g.links[caller] = l
	}
	return l
}

func (g *Gate) accept() {
	for {
		client, err := g.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			g.wg.Go(func() { g.pass(client) })
		}
	}
}

func (g *Gate) pass(client net.Conn) {
	if !g.greet(client) {
		_ = client.Close()
		return
	}
	caller, sent, ok := g.callers.Stream(client)
	g.mu.Lock()
	delete(g.guests, client)
	g.mu.Unlock()
	if l := g.linkOf(caller, ok); l != nil {
		l.serve(&begun{client, sent})
		return
	}
	_ = client.Close()
}

// linkOf returns the link of a caller; nil, if that is nobody.
func (g *Gate) linkOf(caller string, ok bool) *link {
	if !ok {
		return nil
	}
	return g.link(caller)
}

// greet notes a connection, so that it is closed with the gate.
func (g *Gate) greet(client net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.guests[client] = struct{}{}
	return !g.closed
}

// begun is a connection of which something has been read.
type begun struct {
	net.Conn

	sent []byte
}

// Read reads that first.
func (b *begun) Read(p []byte) (int, error) {
	if len(b.sent) == 0 {
		return b.Conn.Read(p)
	}
	n := copy(p, b.sent)
	b.sent = b.sent[n:]
	return n, nil
}

// maxDatagram is more than any datagram has.
const maxDatagram = 64 << 10

func (g *Gate) receive() {
	buffer := make([]byte, maxDatagram)
	for {
		n, from, err := g.udp.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // the target's port is not open: what was sent there came back
		}
		if l := g.linkOf(g.callers.Datagram(from)); l != nil {
			l.send(slices.Clone(buffer[:n]))
		}
	}
}
