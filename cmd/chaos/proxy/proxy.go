package proxy

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Sort is a sort of connections.
type Sort int

// The sorts.
const (
	// All are all connections.
	All Sort = iota
	// PubSub are those on which a SUBSCRIBE was sent.
	PubSub
	// Others are the others.
	Others
)

// Fault is what is done to connections. The zero value passes everything on.
type Fault struct {
	// Sort is which connections; new ones are of no sort yet, and are Others.
	Sort Sort
	// Cut closes them, and refuses new ones.
	Cut bool
	// FreezeUp and FreezeDown deliver nothing to the server, to the client.
	FreezeUp, FreezeDown bool
	// Delay is how much later everything is delivered, in each direction.
	Delay time.Duration
	// DropAfter closes a connection after so many bytes to the client; 0: never.
	DropAfter int64
	// Deaf leaves the messages of a Redis server's subscriptions out and passes
	// everything else on, as a server does that is cut off from the others.
	Deaf bool
}

// Proxy passes connections on to a server. Make it with [Start].
type Proxy struct {
	listener net.Listener // nil: connections are given to it
	target   string

	mu      sync.Mutex
	fault   Fault
	changed chan struct{} // closed at a change of fault
	conns   map[*conn]struct{}
	closed  bool
	wg      sync.WaitGroup
}

// conn is one connection through the proxy.
type conn struct {
	client, server net.Conn
	pubsub         bool  // guarded by the proxy's mutex, as passed
	passed         int64 // to the client, since the fault began
	frames         framer
}

// Start listens on a port of the loopback and passes on to the target.
func Start(target string) (*Proxy, error) { return StartAt("127.0.0.1", target) }

// StartAt is Start at another of the host's addresses.
func StartAt(host, target string) (*Proxy, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	p := newProxy(target)
	p.listener = l
	p.wg.Go(p.accept)
	return p, nil
}

func newProxy(target string) *Proxy {
	return &Proxy{target: target, changed: make(chan struct{}), conns: make(map[*conn]struct{})}
}

// Addr returns the host:port to connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set begins a fault, in place of the one before.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	close(p.changed)
	p.changed = make(chan struct{})
	for c := range p.conns {
		if c.passed = 0; f.Cut && f.concerns(c) {
			c.close()
		}
	}
}

// Close closes the listener and every connection and waits for the goroutines.
func (p *Proxy) Close() {
	if p.listener != nil {
		_ = p.listener.Close()
	}
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		c.close()
	}
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	p.wg.Wait()
}

func (f *Fault) concerns(c *conn) bool {
	return f.Sort == All || c.pubsub == (f.Sort == PubSub)
}

func (c *conn) close() {
	_ = c.client.Close()
	_ = c.server.Close()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			p.wg.Go(func() { p.serve(client) })
		}
	}
}

// dialTimeout bounds the connection to the server, which is on this machine.
const dialTimeout = 2 * time.Second

func (p *Proxy) serve(client net.Conn) {
	if p.refuses(&conn{}) {
		_ = client.Close() // the server hears nothing of it
		return
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	server, err := dialer.DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	c := &conn{client: client, server: server}
	defer c.close()
	if !p.add(c) {
		return
	}
	defer p.remove(c)
	var wg sync.WaitGroup
	wg.Go(func() { p.pump(c, c.client, c.server, true) })
	wg.Go(func() { p.pump(c, c.server, c.client, false) })
	wg.Wait()
}

func (p *Proxy) refuses(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed || p.fault.Cut && p.fault.concerns(c)
}

func (p *Proxy) add(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.fault.Cut && p.fault.concerns(c) {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) remove(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// chunk is bytes on their way.
type chunk struct {
	bytes []byte
	due   time.Time
}

// maxChunks bounds the chunks on their way in one direction: a delay lets what
// is sent meanwhile follow, up to a point.
const maxChunks = 1024

// pump passes one direction on. It closes both when either ends.
func (p *Proxy) pump(c *conn, from, to net.Conn, up bool) {
	chunks := make(chan chunk, maxChunks)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		defer c.close()
		for got := range chunks {
			if !p.deliver(c, to, got, up) {
				return
			}
		}
	})
	p.receive(c, from, chunks, done, up)
	close(chunks)
	wg.Wait()
	c.close()
}

func (p *Proxy) receive(c *conn, from net.Conn, chunks chan<- chunk, done <-chan struct{}, up bool) {
	buffer := make([]byte, 16<<10)
	for {
		if !p.pass(c, up) {
			return
		}
		n, err := from.Read(buffer)
		if n > 0 {
			got, delay := p.note(c, buffer[:n], up)
			select {
			case chunks <- chunk{got, time.Now().Add(delay)}:
			case <-done:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// note learns the sort of a connection, and returns what of the bytes is to be
// delivered, with which delay.
func (p *Proxy) note(c *conn, sent []byte, up bool) (deliver []byte, delay time.Duration) {
	p.mu.Lock()
	if up && !c.pubsub && bytes.Contains(bytes.ToLower(sent), []byte("\nsubscribe\r")) {
		c.pubsub = true
	}
	pubsub, deaf := c.pubsub, false
	if p.fault.concerns(c) {
		delay, deaf = p.fault.Delay, p.fault.Deaf
	}
	p.mu.Unlock()
	if !up && pubsub {
		return c.frames.add(sent, deaf), delay
	}
	return bytes.Clone(sent), delay
}

// deliver writes a chunk when it is due and nothing holds it up.
func (p *Proxy) deliver(c *conn, to net.Conn, got chunk, up bool) bool {
	if wait := time.Until(got.due); wait > 0 {
		timer := time.NewTimer(wait)
		<-timer.C
	}
	if !p.pass(c, up) {
		return false
	}
	part := got.bytes[:p.allowed(c, int64(len(got.bytes)), up)]
	_, err := to.Write(part)
	return err == nil && len(part) == len(got.bytes)
}

// allowed returns how many of n bytes may still be passed on.
func (p *Proxy) allowed(c *conn, n int64, up bool) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if up || p.fault.DropAfter == 0 || !p.fault.concerns(c) {
		return n
	}
	n = max(min(n, p.fault.DropAfter-c.passed), 0)
	c.passed += n
	return n
}

// pass waits while the direction is frozen, and reports whether the connection
// is to go on.
func (p *Proxy) pass(c *conn, up bool) bool {
	for {
		p.mu.Lock()
		f, changed, closed := p.fault, p.changed, p.closed
		concerned := f.concerns(c)
		p.mu.Unlock()
		switch {
		case closed:
			return false
		case !concerned || up && !f.FreezeUp || !up && !f.FreezeDown:
			return true
		}
		<-changed
	}
}
