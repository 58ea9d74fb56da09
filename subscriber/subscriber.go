package subscriber

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// Subscriber follows tenants on the bus. Make one with [New], and run it once.
type Subscriber struct {
	cfg     Config
	kinds   Kinds
	topics  []string
	prefix  string // of every channel
	handler Handler
	log     *slog.Logger
	metrics *metrics
	refused refusals
	conns   []*conn
	// beatChannel is this subscriber's alone: its name is random.
	beatChannel string
	// beatsOff is set once the server forbids beats.
	beatsOff atomic.Bool
	// silent says that the last beat was not acknowledged. It is the beating
	// goroutine's.
	silent bool

	// Replaced by fakes in tests.
	dial    func(context.Context) (link, error)
	publish func(ctx context.Context, channel, payload string) error
}

// New returns a subscriber for the channels of kinds, telling h what it
// receives. It does no I/O and starts nothing. A mistake in cfg, no topics or
// more than 1,000 of them, and a registerer that has these metrics already are
// errors; reg may be nil.
func New(cfg Config, kinds Kinds, h Handler, logger *slog.Logger, reg prometheus.Registerer) (*Subscriber, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("bus: %w", err)
	}
	s := &Subscriber{
		cfg: cfg, kinds: kinds, topics: distinct(kinds.Topics()), prefix: cfg.prefix(), handler: h, log: logger,
		refused:     newRefusals(logger),
		beatChannel: cfg.prefix() + "~beat:" + token(),
		dial:        cfg.dial,
	}
	if n := len(s.topics); n < 1 || n > maxCommandChannels {
		return nil, fmt.Errorf("bus: %d topics: must be 1 to %d", n, maxCommandChannels)
	}
	for i := range cfg.Connections {
		s.conns = append(s.conns, newConn(s, i))
	}
	s.metrics, err = newMetrics(reg, s.channels)
	return s, err
}

func distinct(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

// Run keeps the connections alive until ctx ends, and returns nil when
// everything it started has ended. A bus that cannot be reached is no error:
// it is retried for ever, and [Subscriber.Status] says so.
func (s *Subscriber) Run(ctx context.Context) error {
	if s.publish == nil {
		p, err := NewPublisher(s.cfg)
		if err != nil {
			return err
		}
		defer func() { _ = p.Close() }()
		s.publish = p.send
	}
	var wg sync.WaitGroup
	wg.Go(func() { s.beat(ctx) })
	for _, c := range s.conns {
		wg.Go(func() { c.run(ctx) })
	}
	wg.Wait()
	return nil
}

// Follow wants the tenants' channels subscribed. It does not wait: the handler
// is told of each tenant that is confirmed, also of one that was already. A
// tenant must not contain ':'. Follow may be called at any time.
func (s *Subscriber) Follow(tenants ...string) {
	for _, tenant := range tenants {
		s.conns[s.Conn(tenant)].roster.follow(tenant)
	}
}

// Unfollow takes back Follow. The handler is not told of the tenants' events
// from then on, except of one being handled right now.
func (s *Subscriber) Unfollow(tenants ...string) {
	for _, tenant := range tenants {
		s.conns[s.Conn(tenant)].roster.unfollow(tenant)
	}
}

// Conn returns the number of the connection that carries all channels of the
// tenant, from 0 to Connections() - 1. It never changes.
func (s *Subscriber) Conn(tenant string) int {
	return int(xxhash.Sum64String(tenant) % uint64(len(s.conns)))
}

// Connections returns the number of connections.
func (s *Subscriber) Connections() int { return len(s.conns) }

// ConnStatus says how a connection is.
type ConnStatus struct {
	// Live is set while the connection gives proofs: it is connected, and all
	// that was followed when it was made is confirmed.
	Live bool
	// Since is when Live last changed; zero if it never has.
	Since time.Time
	// Err is why the connection was last lost, or could not be made; it is
	// kept while the connection is live again.
	Err error
	// Tenants are followed on it; Channels are subscribed.
	Tenants, Channels int
	// Relayed says that the server is one of a cluster, or a replica, and passes on what
	// others receive: a fence proves only what the server itself had.
	Relayed bool
}

// Status returns the state of each connection, by its number.
func (s *Subscriber) Status() []ConnStatus {
	all := make([]ConnStatus, len(s.conns))
	for i, c := range s.conns {
		all[i] = c.status()
	}
	return all
}

func (s *Subscriber) channels() float64 {
	var n int64
	for _, c := range s.conns {
		n += c.channels.Load()
	}
	return float64(n)
}

// lostError ends a life.
type lostError struct {
	cause Cause
	err   error
}

func (e *lostError) Error() string { return string(e.cause) + ": " + e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

var (
	errUnasked  = errors.New("a subscription reply that nobody asked for")
	errMissing  = errors.New("subscription replies are missing")
	errOverflow = errors.New("more control messages than can have been asked for")
	errNotBack  = errors.New("not back in time")
)
