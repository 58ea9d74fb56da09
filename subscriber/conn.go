package subscriber

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// conn is one of the subscriber's connections: the tenants it carries, and one
// life after another.
type conn struct {
	*Subscriber
	id     int
	roster *roster
	// work pokes the writer, wake the handler, ping the sender of PINGs.
	work, wake, ping chan struct{}
	// current is the life that beats are expected on.
	current atomic.Pointer[life]
	// channels are subscribed.
	channels atomic.Int64
	// relayed is what the last life that was live has heard of its server.
	relayed atomic.Bool

	mu    sync.Mutex
	live  bool
	since time.Time
	err   error
}

func newConn(s *Subscriber, id int) *conn {
	c := &conn{
		Subscriber: s, id: id,
		work: make(chan struct{}, 1), wake: make(chan struct{}, 1), ping: make(chan struct{}, 1),
	}
	c.roster = newRoster(len(s.topics), c.work, c.wake)
	return c
}

// The delay between two attempts doubles from the first to the second, and
// starts over when a connection was live.
const (
	minBackoff = 50 * time.Millisecond
	maxBackoff = 2 * time.Second
)

// run lives one life after another. Losing the bus is told once, not at each
// attempt.
func (c *conn) run(ctx context.Context) {
	backoff, told := minBackoff, false
	for {
		wasLive, err := c.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if wasLive {
			backoff, told = minBackoff, false
		}
		if !told {
			c.log.Warn("bus connection lost", "conn", c.id, "error", err)
			told = true
		}
		// Half of the delay is random, so that nodes do not return in step.
		if !sleep(ctx, backoff/2+rand.N(backoff/2)) {
			return
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// once lives one life and returns whether it was live, and why it ended. Only
// what the server was heard on can have been lost.
func (c *conn) once(ctx context.Context) (wasLive bool, err error) {
	link, err := c.dial(ctx)
	if err != nil {
		return c.setLive(false, err), err
	}
	l := newLife(c, link)
	err = l.run(ctx)
	c.channels.Store(0)
	wasLive = c.setLive(false, err)
	if lost, ok := errors.AsType[*lostError](err); ok && l.heard && ctx.Err() == nil {
		c.handler.Doubt(c.id, lost.cause)
	}
	return wasLive, err
}

// setLive notes a change, and returns what was before.
func (c *conn) setLive(live bool, err error) (before bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.err = err
	}
	before = c.live
	if live != before {
		c.live, c.since = live, time.Now()
	}
	return before
}

func (c *conn) status() ConnStatus {
	tenants := c.roster.len()
	c.mu.Lock()
	defer c.mu.Unlock()
	return ConnStatus{Live: c.live, Since: c.since, Err: c.err, Tenants: tenants, Channels: int(c.channels.Load()), Relayed: c.relayed.Load()}
}

// sleep waits, or returns false if ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
