package rpc

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// DefaultConnections is how many connections a [Server] holds. An idle one
	// takes about 20 KB.
	DefaultConnections = 20_000
	// sampleWaiting is among how many waiting connections the one that has waited
	// longest has to go: enough to leave alone whoever has just come.
	sampleWaiting = 64
	// sampleAll bounds the search for them where most connections are busy.
	sampleAll = 1024
	// writeTimeout is how long a caller may take to accept writeChunk bytes.
	writeTimeout = 30 * time.Second
	writeChunk   = 64 << 10
	// rearmAfter spares busy connections from a deadline for each write.
	rearmAfter = 5 * time.Second
)

// admission bounds the connections of a listener. Where one is too many, the
// one that has long waited for a request has to go, so that whoever opens
// connections and says nothing locks nobody out; if all are busy, the new one.
type admission struct {
	net.Listener
	max  int
	born time.Time

	mu   sync.Mutex
	open map[*conn]struct{}
}

func newAdmission(l net.Listener) *admission {
	return &admission{Listener: l, max: DefaultConnections, born: time.Now(), open: make(map[*conn]struct{})}
}

// Accept returns the next connection that is admitted.
func (a *admission) Accept() (net.Conn, error) {
	for {
		accepted, err := a.Listener.Accept()
		if err != nil {
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
				a.shed(sampleWaiting) // net/http tries again
			}
			return nil, err
		}
		if c := a.admit(accepted); c != nil {
			return c, nil
		}
		_ = accepted.Close()
	}
}

// admit makes room for a connection, or returns nil.
func (a *admission) admit(accepted net.Conn) *conn {
	c := &conn{Conn: accepted, in: a}
	c.wait()
	a.mu.Lock()
	var gone *conn
	if len(a.open) >= a.max {
		if gone = a.longestWaiting(); gone == nil {
			a.mu.Unlock()
			return nil
		}
		delete(a.open, gone)
	}
	a.open[c] = struct{}{}
	a.mu.Unlock()
	if gone != nil {
		_ = gone.Close()
	}
	return c
}

// shed closes up to n waiting connections.
func (a *admission) shed(n int) {
	for range n {
		a.mu.Lock()
		c := a.longestWaiting()
		if c != nil {
			delete(a.open, c)
		}
		a.mu.Unlock()
		if c == nil {
			return
		}
		_ = c.Close()
	}
}

// longestWaiting returns the connection that has waited longest, of a sample
// (maps are iterated from a random place), or nil. Callers hold mu.
func (a *admission) longestWaiting() (longest *conn) {
	least, seen, waiting := int64(0), 0, 0
	for c := range a.open {
		if since := c.waiting.Load(); since > 0 {
			if waiting++; longest == nil || since < least {
				longest, least = c, since
			}
		}
		if seen++; seen == sampleAll || waiting == sampleWaiting {
			break
		}
	}
	return longest
}

// changed is the server's ConnState hook.
func (a *admission) changed(c net.Conn, state http.ConnState) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	admitted, ok := c.(*conn)
	switch {
	case !ok:
	case state == http.StateIdle:
		admitted.wait()
	case state == http.StateActive:
		admitted.waiting.Store(0)
	}
}

// conn is an admitted connection. Each write to it must end in time, also where
// an answer as a whole may take as long as it likes.
type conn struct {
	net.Conn
	in      *admission
	waiting atomic.Int64 // since when, after the admission's birth; 0: busy
	armed   time.Time    // when the deadline of writes was set; writes do not overlap
}

// wait marks a connection that waits for a request.
func (c *conn) wait() { c.waiting.Store(int64(time.Since(c.in.born)) + 1) }

// Close closes the connection and gives its place back.
func (c *conn) Close() error {
	c.in.mu.Lock()
	delete(c.in.open, c)
	c.in.mu.Unlock()
	return c.Conn.Close()
}

// Write fails when the other side accepts less than writeChunk in writeTimeout.
func (c *conn) Write(p []byte) (n int, err error) {
	for {
		if now := time.Now(); now.Sub(c.armed) > rearmAfter || len(p) > writeChunk {
			c.armed = now
			if err := c.SetWriteDeadline(now.Add(writeTimeout)); err != nil {
				return n, err
			}
		}
		chunk := p[:min(len(p), writeChunk)]
		m, err := c.Conn.Write(chunk)
		n += m
		if p = p[m:]; err != nil || len(p) == 0 {
			return n, err
		}
	}
}
