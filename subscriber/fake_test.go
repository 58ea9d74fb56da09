package subscriber

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
)

// fakeBus is a Redis server's pub/sub, in memory.
type fakeBus struct {
	mu    sync.Mutex
	links map[*fakeLink]struct{}
	dials int
	// Switches, set under mu.
	down       bool  // refuse to connect
	holdReply  bool  // keep subscription replies back
	mutePong   bool  // never answer a PING
	loseBeats  bool  // acknowledge a PUBLISH and deliver nothing
	publishErr error // answer a PUBLISH with
	relayed    bool  // be one of a cluster
}

func newFakeBus() *fakeBus { return &fakeBus{links: make(map[*fakeLink]struct{})} }

func (b *fakeBus) dial(context.Context) (link, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dials++
	if b.down {
		return nil, errors.New("connection refused")
	}
	l := &fakeLink{bus: b, channels: make(map[string]bool), more: make(chan struct{}, 1), closed: make(chan struct{})}
	b.links[l] = struct{}{}
	return l, nil
}

func (b *fakeBus) publish(_ context.Context, channel, payload string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.publishErr != nil || b.loseBeats {
		return b.publishErr
	}
	for l := range b.links {
		if l.channels[channel] {
			l.deliver(&redis.Message{Channel: channel, Payload: payload})
		}
	}
	return nil
}

func (b *fakeBus) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// each calls f with every open link.
func (b *fakeBus) each(f func(*fakeLink)) {
	b.mu.Lock()
	links := maps.Clone(b.links)
	b.mu.Unlock()
	for l := range links {
		f(l)
	}
}

// fakeLink is one connection. Its inbox is the socket: never full.
type fakeLink struct {
	bus      *fakeBus
	channels map[string]bool // under bus.mu
	commands []int           // channels of each, under bus.mu
	held     []any           // under bus.mu

	mu     sync.Mutex
	inbox  []any
	more   chan struct{}
	once   sync.Once
	closed chan struct{}
}

func (l *fakeLink) deliver(m any) {
	l.mu.Lock()
	l.inbox = append(l.inbox, m)
	l.mu.Unlock()
	poke(l.more)
}

func (l *fakeLink) command(kind string, channels []string) error {
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	l.commands = append(l.commands, len(channels))
	for _, c := range channels {
		l.channels[c] = kind == "subscribe"
		l.held = append(l.held, &redis.Subscription{Kind: kind, Channel: c})
	}
	l.flush()
	return l.ended()
}

func (l *fakeLink) flush() {
	if l.bus.holdReply {
		return
	}
	for _, m := range l.held {
		l.deliver(m)
	}
	l.held = nil
}

func (l *fakeLink) Relayed() bool {
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	return l.bus.relayed
}

func (l *fakeLink) ended() error {
	select {
	case <-l.closed:
		return io.EOF
	default:
		return nil
	}
}

func (l *fakeLink) Subscribe(_ context.Context, channels ...string) error {
	return l.command("subscribe", channels)
}

func (l *fakeLink) Unsubscribe(_ context.Context, channels ...string) error {
	return l.command("unsubscribe", channels)
}

func (l *fakeLink) Ping(_ context.Context, payload ...string) error {
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	if !l.bus.mutePong {
		l.held = append(l.held, &redis.Pong{Payload: payload[0]})
	}
	l.flush()
	return l.ended()
}

func (l *fakeLink) Receive(ctx context.Context) (any, error) {
	for {
		l.mu.Lock()
		if len(l.inbox) > 0 {
			m := l.inbox[0]
			l.inbox = l.inbox[1:]
			l.mu.Unlock()
			return m, nil
		}
		l.mu.Unlock()
		select {
		case <-l.more:
		case <-l.closed:
			return nil, io.EOF
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *fakeLink) Close() error {
	l.once.Do(func() { close(l.closed) })
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	delete(l.bus.links, l)
	return nil
}

// fakeKinds knows two topics; an event invalidates the key in data.key.
type fakeKinds struct{}

func (fakeKinds) Topics() []string { return []string{"roles", "users", "roles"} }

func (fakeKinds) Changes(e *Event) ([]Change, error) {
	var key string
	if e.Data == nil {
		return nil, refusal("no_key", "no data")
	}
	err := members(e.Data, func(name, value []byte) *RefusedError {
		if string(name) == "key" {
			key, _ = unquote(value)
		}
		return nil
	})
	if err != nil || key == "" {
		return nil, refusal("no_key", "no data.key")
	}
	return []Change{{Kind: e.Topic, Key: key, Effect: Invalidate}}, nil
}

// recorder writes down what it is told, a line each.
type recorder struct {
	mu     sync.Mutex
	lines  []string
	proofs []time.Time
	// onEvent, if set, is called with each event before it is written down.
	onEvent     func(*Event)
	onConfirmed func(tenant string)
}

func (r *recorder) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

func (r *recorder) Confirmed(_ int, tenant string) {
	if r.onConfirmed != nil {
		r.onConfirmed(tenant)
	}
	r.add("confirmed %s", tenant)
}

func (r *recorder) Event(e *Event) {
	if r.onEvent != nil {
		r.onEvent(e)
	}
	key := ""
	if len(e.Changes) > 0 {
		key = e.Changes[0].Key
	}
	r.add("event %s %s %s", e.Tenant, e.Topic, key)
}

func (r *recorder) Refused(tenant, topic string, err *RefusedError) {
	r.add("refused %s %s %s", tenant, topic, err.Reason)
}

func (r *recorder) Gap(tenant, topic string) { r.add("gap %s %s", tenant, topic) }

func (r *recorder) Doubt(_ int, cause Cause) { r.add("doubt %s", cause) }

func (r *recorder) Proof(_ int, sent time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.proofs = append(r.proofs, sent)
	if n := len(r.lines); n == 0 || r.lines[n-1] != "proof" {
		r.lines = append(r.lines, "proof") // proofs in a row are one line
	}
}

// take returns the lines so far and forgets them.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := r.lines
	r.lines = nil
	return lines
}

func (r *recorder) count(line string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lines {
		if l == line {
			n++
		}
	}
	return n
}

// quiet drops the log.
var quiet = slog.New(slog.DiscardHandler)

// bubble runs f with a subscriber on a fake bus, one connection unless cfg says
// otherwise. Time is the bubble's.
func bubble(t *testing.T, cfg Config, f func(t *testing.T, b *fakeBus, s *Subscriber, r *recorder)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, r := newFakeBus(), &recorder{}
		if cfg.Connections == 0 {
			cfg.Connections = 1
		}
		s, err := New(cfg, fakeKinds{}, r, quiet, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.dial, s.publish = b.dial, b.publish
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		f(t, b, s, r)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
}
