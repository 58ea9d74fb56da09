package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/shard"
	"github.com/tenantry/tenantry/subscriber"
)

// bound is the coherence bound, the default.
const bound = 4 * time.Second

// source is an origin with one item, "a", of each kind and tenant, whose value is its
// version. It remembers when each version was replaced, and when that was announced.
type source struct {
	mu       sync.Mutex
	down     bool
	replaced map[string][]time.Time // by tenant; version v+1 at [v]
	reads    int
	big      string // a tenant that has bigItems more in its lists
}

// The lists of a big tenant come to about 15 MiB.
const (
	bigItems = 15_000
	bigBytes = 1000
)

// bigKey returns the key of an item of a big tenant, and bigValue the value.
func bigKey(i int) string { return fmt.Sprintf("k%05d", i) }

func bigValue(i int) []byte { return fmt.Appendf(nil, `"%0*d"`, bigBytes, i) }

const originTakes = 20 * time.Millisecond

func (s *source) One(ctx context.Context, tenant string, _ *cache.Kind, key, _ string) (cache.Document, error) {
	d, err := s.read(ctx, tenant)
	if err == nil && key != "a" {
		return cache.Document{}, cache.ErrAbsent
	}
	return d, err
}

func (s *source) List(ctx context.Context, tenant string, _ *cache.Kind, _ string, page func([]cache.Document) error) (string, error) {
	d, err := s.read(ctx, tenant)
	if err != nil {
		return "", err
	}
	all := []cache.Document{d}
	if tenant == s.big {
		for i := range bigItems {
			all = append(all, cache.Document{Key: bigKey(i), Value: bigValue(i), Version: 1, Versioned: true})
		}
	}
	return "", page(all)
}

func (s *source) read(ctx context.Context, tenant string) (cache.Document, error) {
	if err := ctx.Err(); err != nil {
		return cache.Document{}, err
	}
	<-time.After(originTakes / 2)
	d, err := s.document(tenant)
	<-time.After(originTakes / 2)
	return d, err
}

var errOriginDown = &cache.FaultError{Reason: "connect", Err: errors.New("refused")}

func (s *source) document(tenant string) (cache.Document, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.down {
		return cache.Document{}, errOriginDown
	}
	v := uint64(len(s.replaced[tenant]))
	return cache.Document{Key: "a", Value: strconv.AppendUint(nil, v, 10), Version: v, Versioned: true}, nil
}

func (s *source) set(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// change replaces a tenant's items and returns their new version.
func (s *source) change(tenant string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replaced[tenant] = append(s.replaced[tenant], time.Now())
	return uint64(len(s.replaced[tenant]))
}

// replacedAt returns when a version was replaced, if it was.
func (s *source) replacedAt(tenant string, version uint64) (at time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.replaced[tenant]
	if version >= uint64(len(all)) {
		return at, false
	}
	return all[version], true
}

// pubsub is a bus that all nodes of a town share.
type pubsub struct {
	mu    sync.Mutex
	buses map[*nodeBus]bool
}

// subscribers returns which nodes follow each tenant.
func (p *pubsub) subscribers() map[string][]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	followers := make(map[string][]string)
	for b := range p.buses {
		for _, tenant := range b.names() {
			followers[tenant] = append(followers[tenant], b.name)
		}
	}
	for _, names := range followers {
		slices.Sort(names)
	}
	return followers
}

func (p *pubsub) publish(e *subscriber.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for b := range p.buses {
		b.deliver(e)
	}
}

// nodeBus is one node's connection to the bus.
type nodeBus struct {
	name string
	node *shard.Node
	poke chan struct{}

	mu       sync.Mutex
	followed map[string]bool
	status   subscriber.ConnStatus
	calls    []func()
}

func newNodeBus(name string) *nodeBus {
	return &nodeBus{name: name, poke: make(chan struct{}, 1), followed: make(map[string]bool)}
}

func (b *nodeBus) Follow(tenants ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, tenant := range tenants {
		if b.followed[tenant] {
			panic(tenant + " is followed twice")
		}
		b.followed[tenant] = true
		if b.status.Live {
			b.add(func() { b.node.Confirmed(0, tenant) })
		}
	}
}

func (b *nodeBus) Unfollow(tenants ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, tenant := range tenants {
		delete(b.followed, tenant)
	}
}

func (b *nodeBus) Conn(string) int { return 0 }

// Fence returns when the handler has been called with what came before.
func (b *nodeBus) Fence(ctx context.Context, _ int) error {
	done := make(chan struct{})
	b.mu.Lock()
	if !b.status.Live {
		b.mu.Unlock()
		return subscriber.ErrNotLive
	}
	b.add(func() { close(done) })
	b.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *nodeBus) Status() []subscriber.ConnStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return []subscriber.ConnStatus{b.status}
}

func (b *nodeBus) Channels(tenant string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.followed[tenant] {
		return nil
	}
	return []string{"crm:" + tenant + ":costs"}
}

func (b *nodeBus) names() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Keys(b.followed))
}

// add has the bus's goroutine call the handler. Callers hold mu.
func (b *nodeBus) add(call func()) {
	b.calls = append(b.calls, call)
	select {
	case b.poke <- struct{}{}:
	default:
	}
}

func (b *nodeBus) deliver(e *subscriber.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.followed[e.Tenant] && b.status.Live {
		b.add(func() { b.node.Event(e) })
	}
}

// set connects the node, or cuts it off.
func (b *nodeBus) set(live bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Live, b.status.Since = live, time.Now()
	if !live {
		b.add(func() { b.node.Doubt(0, subscriber.CauseConnection) })
		return
	}
	for tenant := range b.followed {
		b.add(func() { b.node.Confirmed(0, tenant) })
	}
}

// run connects after a while, and calls the handler 2 ms late.
func (b *nodeBus) run(ctx context.Context) error {
	connect := time.AfterFunc(30*time.Millisecond, func() { b.set(true) })
	defer connect.Stop()
	prove := time.NewTicker(time.Second)
	defer prove.Stop()
	for {
		select {
		case <-b.poke:
			<-time.After(2 * time.Millisecond)
		case <-prove.C:
			b.mu.Lock()
			if now := time.Now(); b.status.Live {
				b.add(func() { b.node.Proof(0, now) })
			}
			b.mu.Unlock()
		case <-ctx.Done():
			return nil
		}
		b.mu.Lock()
		calls := b.calls
		b.calls = nil
		b.mu.Unlock()
		for _, call := range calls {
			call()
		}
	}
}
