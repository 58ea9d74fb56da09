package subscriber

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Publisher publishes events until Redis has acknowledged them. Calls may come
// from many goroutines; those under way at the same time share round trips.
// Close it after use.
//
// Events leave in the order of their calls, one batch after the other. After a
// failure everything from the first that failed on is sent again, in its order:
// no event is acknowledged before one of a lower sequence, and what may have
// arrived twice has the same sequence and text, which is harmless.
type Publisher struct {
	cfg    Config
	client *redis.Client
	// exec sends a batch once and notes in each how that went. Replaced by
	// fakes in tests.
	exec func(ctx context.Context, batch []*outgoing)
	// slots has a token for each event that waits or is on its way.
	slots  chan struct{}
	closed chan struct{}
	flush  sync.WaitGroup

	mu      sync.Mutex
	ended   bool
	busy    bool // a flush is running
	queue   []*outgoing
	untidy  bool // some of queue are abandoned
	numbers numbers
}

// NewPublisher returns a publisher on the bus of cfg, of which it uses what
// concerns connecting, the namespace, Source, and MaxEventBytes; an attempt to
// send takes at most ProofTTL for each of dialing, writing and reading. It does
// no I/O and starts nothing: each burst of calls has a goroutine.
func NewPublisher(cfg Config) (*Publisher, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("bus: %w", err)
	}
	p := &Publisher{
		cfg: cfg, client: redis.NewClient(cfg.options()), numbers: newNumbers(cfg.Source),
		slots: make(chan struct{}, maxOutgoing), closed: make(chan struct{}),
	}
	p.exec = p.pipeline
	return p, nil
}

// Errors of a [Publisher]. After the first two nothing was sent, and trying
// again would not help.
var (
	// ErrChannel says that a tenant and a topic name no channel.
	ErrChannel = errors.New("each is 1 to 64 of letters, digits, '.', '_' and '-', but not dots alone")
	// ErrOversized says that nodes would refuse the event for its size. A
	// smaller one without the value makes them read it from the origin.
	ErrOversized = errors.New("the event is larger than nodes take")
	// ErrClosed says that the publisher was closed before the event was
	// acknowledged. It may have been published.
	ErrClosed = errors.New("the publisher is closed")
)

// Publish publishes a message as it is on a tenant's channel and returns how
// many subscribers the server gave it to. Prefer [Publisher.Announce], which
// numbers events.
//
// It tries, with pauses that grow to 2 s, until Redis has acknowledged. It ends
// without only when that can never be, with [ErrChannel], [ErrOversized] or a
// server's NOPERM; when ctx ends (the error wraps ctx's and tells how the last
// attempt failed); or with [ErrClosed]. The last two may have published the
// event: publishing it again is safe. While 4,096 events are under way, a call
// waits for its turn.
func (p *Publisher) Publish(ctx context.Context, tenant, topic string, message []byte) (receivers int64, err error) {
	if err := p.check(tenant, topic, len(message)); err != nil {
		return 0, err
	}
	return p.deliver(ctx, p.cfg.Channel(tenant, topic), func() []byte { return message })
}

func (p *Publisher) check(tenant, topic string, size int) error {
	if !isName(tenant) || !isName(topic) {
		return fmt.Errorf("publish: tenant %q, topic %q: %w", tenant, topic, ErrChannel)
	}
	if size > p.cfg.MaxEventBytes {
		return fmt.Errorf("publish on %s: %d bytes, at most %d: %w", p.cfg.Channel(tenant, topic), size, p.cfg.MaxEventBytes, ErrOversized)
	}
	return nil
}

// send publishes once, by itself.
func (p *Publisher) send(ctx context.Context, channel, payload string) error {
	if err := p.client.Publish(ctx, channel, payload).Err(); err != nil {
		return fmt.Errorf("publish on %s: %w", channel, err)
	}
	return nil
}

// Close ends the publisher's connections and the calls under way, and returns
// when all has ended.
func (p *Publisher) Close() error {
	p.mu.Lock()
	first := !p.ended
	p.ended = true
	p.mu.Unlock()
	if !first {
		p.flush.Wait()
		return nil
	}
	close(p.closed)
	err := p.client.Close() // which ends an attempt under way
	p.flush.Wait()
	return err
}

// IsTenant says whether a name can be a tenant's: 1 to 64 of letters, digits, '.',
// '_' and '-', but not "." or "..".
func IsTenant(name string) bool { return isName(name) }

// isName says whether s can be a tenant or a topic.
func isName(s string) bool {
	return plain(s, "._-") && s != "" && len(s) <= 64 && s != "." && s != ".."
}

// plain says whether s has only letters, digits and the given others.
func plain(s, others string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(others, c)
	})
}
