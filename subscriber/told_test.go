package subscriber_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tenantry/tenantry/subscriber"
	"github.com/tenantry/tenantry/subscriber/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fast watches ten times as closely as the default.
var fast = subscriber.Config{Heartbeat: 100 * time.Millisecond, ProofTTL: time.Second, Connections: 1}

type kinds struct{}

func (kinds) Topics() []string { return []string{"roles", "users"} }

func (kinds) Changes(e *subscriber.Event) ([]subscriber.Change, error) {
	return []subscriber.Change{{Kind: e.Topic, Key: e.ID}}, nil
}

// told is a handler that keeps what it is told and wakes who waits for it.
type told struct {
	mu     sync.Mutex
	lines  []string
	proof  time.Time
	change chan struct{} // closed and replaced at each line
	delay  chan struct{} // each event takes one, if not nil
}

func newTold() *told { return &told{change: make(chan struct{})} }

func (h *told) add(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, fmt.Sprintf(format, args...))
	close(h.change)
	h.change = make(chan struct{})
}

func (h *told) Confirmed(_ int, tenant string) { h.add("confirmed %s", tenant) }

func (h *told) Event(e *subscriber.Event) {
	if h.delay != nil {
		<-h.delay
	}
	h.add("event %s %s", e.Tenant, e.ID)
}

func (h *told) Refused(tenant, _ string, err *subscriber.RefusedError) {
	h.add("refused %s %s", tenant, err.Reason)
}

func (h *told) Gap(tenant, topic string) { h.add("gap %s %s", tenant, topic) }

func (h *told) Doubt(_ int, cause subscriber.Cause) {
	h.mu.Lock()
	h.proof = time.Time{}
	h.mu.Unlock()
	h.add("doubt %s", cause)
}

func (h *told) Proof(_ int, sent time.Time) {
	h.mu.Lock()
	h.proof = sent
	h.mu.Unlock()
	h.add("proof")
}

// await waits until ok holds of the lines.
func (h *told) await(t testing.TB, what string, ok func(lines []string) bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		h.mu.Lock()
		lines, change := h.lines, h.change
		done := ok(lines)
		h.mu.Unlock()
		if done {
			return
		}
		select {
		case <-change:
		case <-deadline:
			t.Fatalf("waited in vain for %s; told last: %q", what, lines[max(0, len(lines)-20):])
		}
	}
}

func (h *told) awaitLine(t testing.TB, line string) {
	t.Helper()
	h.await(t, line, func(lines []string) bool { return slices.Contains(lines, line) })
}

// awaitProof waits for a proof of after now.
func (h *told) awaitProof(t testing.TB) {
	t.Helper()
	now := time.Now()
	h.await(t, "a new proof", func([]string) bool { return h.proof.After(now) })
}

func (h *told) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = nil
}

// run runs a subscriber until the test ends.
func run(t testing.TB, cfg subscriber.Config, h subscriber.Handler) *subscriber.Subscriber {
	t.Helper()
	s, err := subscriber.New(cfg, kinds{}, h, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Error("Run does not return")
		}
	})
	return s
}

func at(addr string) subscriber.Config {
	cfg := fast
	cfg.Addresses = []string{addr}
	return cfg
}

func publish(t testing.TB, r *redistest.Server, channel, id string) {
	t.Helper()
	n, err := r.Client().Publish(t.Context(), channel, fmt.Sprintf(`{"eventId":%q,"data":{}}`, id)).Result()
	if err != nil || n != 1 {
		t.Fatalf("published %s to %d subscribers: %v", id, n, err)
	}
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-time.After(time.Millisecond)
	}
}
