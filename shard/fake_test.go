package shard

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/subscriber"
)

// fakeBus is a bus of one connection. Its handler is told from one goroutine,
// in order; a followed tenant is confirmed after the delay.
type fakeBus struct {
	node  *Node
	delay time.Duration
	poke  chan struct{} // capacity 1: there are calls

	mu       sync.Mutex
	silent   bool           // gives no proofs
	followed map[string]int // by tenant: follows less unfollows
	status   subscriber.ConnStatus
	calls    []func() // of the handler
}

func (b *fakeBus) Follow(tenants ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range tenants {
		b.followed[name]++
		b.calls = append(b.calls, func() {
			time.Sleep(b.delay)
			b.node.Confirmed(0, name)
		})
	}
	poke(b.poke)
}

func (b *fakeBus) Unfollow(tenants ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range tenants {
		if b.followed[name]--; b.followed[name] == 0 {
			delete(b.followed, name)
		}
	}
}

func (b *fakeBus) Conn(string) int { return 0 }

// Fence returns when the goroutine has made the calls before it.
func (b *fakeBus) Fence(ctx context.Context, _ int) error {
	done := make(chan struct{})
	b.do(func() { close(done) })
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *fakeBus) Channels(tenant string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.followed[tenant] == 0 {
		return nil
	}
	return []string{"crm:" + tenant + ":costs"}
}

func (b *fakeBus) Status() []subscriber.ConnStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return []subscriber.ConnStatus{b.status}
}

// do has the bus's goroutine call the handler.
func (b *fakeBus) do(call func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, call)
	poke(b.poke)
}

func (b *fakeBus) names() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.followed))
}

// hush has it give no proofs, or again.
func (b *fakeBus) hush(silent bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.silent = silent
}

// relay has its server be one of a cluster.
func (b *fakeBus) relay() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Relayed = true
}

// reconnect doubts the connection and confirms all that is followed.
func (b *fakeBus) reconnect() {
	b.do(func() { b.node.Doubt(0, subscriber.CauseConnection) })
	for _, name := range b.names() {
		b.do(func() { b.node.Confirmed(0, name) })
	}
}

// run calls the handler, 10 ms late, and proves the connection each second.
func (b *fakeBus) run(ctx context.Context) {
	var proven time.Time
	time.Sleep(time.Millisecond / 2) // never at the instant of what a test does
	for ctx.Err() == nil {
		b.mu.Lock()
		calls, silent := b.calls, b.silent
		b.calls = nil
		b.mu.Unlock()
		for _, call := range calls {
			call()
		}
		if now := time.Now(); now.Sub(proven) >= time.Second {
			if proven = now; !silent {
				b.node.Proof(0, now)
			}
		}
		select {
		case <-b.poke:
			time.Sleep(10 * time.Millisecond)
		case <-time.After(time.Until(proven.Add(time.Second))):
		case <-ctx.Done():
		}
	}
}

// list is a list read of the fake origin.
type list struct {
	tenant, kind string
	at           time.Duration // since the bubble began
}

// fakeOrigin has the item "a" of every kind and tenant, and no other, but one by
// one every user.
type fakeOrigin struct {
	begun time.Time

	mu    sync.Mutex
	value string
	fault map[string]error // of a kind's lists; of single items: ""
	delay time.Duration    // of lists
	lists []list
	ones  int
}

var errDown = &cache.FaultError{Reason: "connect", Err: errors.New("refused")}

func (o *fakeOrigin) One(_ context.Context, _ string, k *cache.Kind, key, _ string) (cache.Document, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ones++
	if fault := o.fault[""]; fault != nil {
		return cache.Document{}, fault
	}
	if key != "a" && (k.Name != "user" || key == "none") {
		return cache.Document{}, cache.ErrAbsent
	}
	return cache.Document{Value: []byte(o.value), Version: 1, Versioned: true}, nil
}

func (o *fakeOrigin) List(ctx context.Context, tenant string, k *cache.Kind, _ string, page func([]cache.Document) error) (string, error) {
	o.mu.Lock()
	o.lists = append(o.lists, list{tenant, k.Name, time.Since(o.begun)})
	fault, delay, value := o.fault[k.Name], o.delay, o.value
	o.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if fault != nil {
		return "", fault
	}
	return "", page([]cache.Document{{Key: "a", Value: []byte(value), Version: 1, Versioned: true}})
}

// listed returns the lists so far and forgets them.
func (o *fakeOrigin) listed() []list {
	o.mu.Lock()
	defer o.mu.Unlock()
	lists := o.lists
	o.lists = nil
	return lists
}

func (o *fakeOrigin) reads() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ones
}

func (o *fakeOrigin) fail(kind string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fault[kind] = err
}

// rig is a node between a fake bus and a fake origin.
type rig struct {
	*testing.T
	node   *Node
	bus    *fakeBus
	origin *fakeOrigin
	stop   func() // ends the node's Run and waits for it
}

func newRig(t *testing.T, cfg Config) *rig {
	r := &rig{T: t, origin: &fakeOrigin{begun: time.Now(), value: "1", fault: map[string]error{}}}
	r.bus = &fakeBus{poke: make(chan struct{}, 1), followed: map[string]int{}, status: subscriber.ConnStatus{Live: true, Since: time.Now()}}
	kind := func(id int, name string, c cache.Class) *cache.Kind {
		return &cache.Kind{ID: id, Name: name, Class: c, TTL: time.Hour, NegativeTTL: time.Minute,
			MaxStale: time.Minute, ConfirmAfter: 200 * time.Millisecond, Listed: c == cache.Critical}
	}
	cfg.Kinds = []*cache.Kind{kind(0, "cost", cache.Critical), kind(1, "role", cache.Critical), kind(2, "user", cache.Reference)}
	cfg.Cache = cache.New(cache.Config{Kinds: cfg.Kinds, Source: r.origin})
	r.node = New(cfg)
	r.bus.node = r.node
	r.node.Connect(r.bus)
	return r
}

// inBubble runs a test on a node that runs, and ends it.
func inBubble(t *testing.T, cfg Config, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		var around, node sync.WaitGroup
		around.Go(func() { r.bus.run(ctx) })
		around.Go(func() { _ = r.node.cache.Run(ctx) })
		running, end := context.WithCancel(ctx)
		node.Go(func() { _ = r.node.Run(running) })
		r.stop = func() { end(); node.Wait() }
		test(r)
		r.stop()
		cancel()
		around.Wait()
		r.checkNothingIsLeft()
	})
}

func (r *rig) checkNothingIsLeft() {
	r.Helper()
	if names := r.bus.names(); len(names) > 0 {
		r.Errorf("%v are still followed", names)
	}
	if active, bytes := r.node.Active(), r.node.cache.Bytes(); active != 0 || bytes != 0 {
		r.Errorf("%d tenants and %d bytes are left", active, bytes)
	}
}

// wait lets time pass and everything that is due then happen.
func (r *rig) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// read reads, whatever comes.
func (r *rig) read(tenant, kind, key string) {
	_, _ = r.node.Read(r.Context(), tenant, kind, key, cache.ReadOptions{})
}

// want reads and compares "value state via", "absent …" or the error's type.
func (r *rig) want(tenant, kind, key, want string) {
	r.Helper()
	a, err := r.node.Read(r.Context(), tenant, kind, key, cache.ReadOptions{})
	value := string(a.Value)
	if a.Absent {
		value = "absent"
	}
	got := fmt.Sprintf("%s %s %s", value, a.State, [...]string{"memory", "event", "peer", "origin"}[a.Via])
	if err != nil {
		got = fmt.Sprintf("%T", err)
	}
	if got != want {
		r.Fatalf("read %s %s %s: got %q, want %q", tenant, kind, key, got, want)
	}
}

func (r *rig) wantState(tenant string, want State) {
	r.Helper()
	if got := r.node.State(tenant); got != want {
		r.Fatalf("tenant %s is %s, want %s", tenant, got, want)
	}
}

// event makes the event that sets an item.
func event(tenant, kind, key, value string) *subscriber.Event {
	return &subscriber.Event{Tenant: tenant, Changes: []subscriber.Change{
		{Kind: kind, Key: key, Effect: subscriber.Set, Value: []byte(value)},
	}}
}
