package peers

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/shard"
)

// Bounds of a peek: it is answered from memory, and the origin, which is what else
// there is, takes about as long.
const (
	peekTimeout  = 150 * time.Millisecond
	peeksTimeout = 300 * time.Millisecond
)

// Peek asks nodes, one after the other, for what they hold of an entry and know to be
// current. The answer's age is at most what it was there and the time of the call.
// Position and Settled are not set.
func (p *Peers) Peek(ctx context.Context, from []shard.Peer, tenant string, d shard.Definition, key string) (a cache.Answer, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, peeksTimeout)
	defer cancel()
	item := &tenantryv1.PeekItem{Kind: d.Kind, Key: key, DefinitionHash: d.Hash}
	for i := range from {
		l := p.lane(&from[i])
		if !l.health.up() || ctx.Err() != nil {
			continue
		}
		if a, ok := l.peek(ctx, tenant, item); ok {
			p.metrics.peeks.WithLabelValues("answered").Inc()
			return a, true
		}
	}
	p.metrics.peeks.WithLabelValues("not_held").Inc()
	return a, false
}

// peeks are the calls for what a node holds, one at a time for each tenant: what is asked
// meanwhile shares the next. While a tenant moves, all its reads may need one.
type peeks struct {
	mu   sync.Mutex
	next map[string]*peeking // by tenant of which a call is under way; nil: nothing waits
}

// peeking is one call, and its answer, once done is closed.
type peeking struct {
	items []*tenantryv1.PeekItem
	done  chan struct{}
	// results are one for each item, or none; took is since the call began.
	results []*tenantryv1.PeekResult
	took    time.Duration
}

// peek asks the node for an entry, with what else is asked of the tenant.
func (l *lane) peek(ctx context.Context, tenant string, item *tenantryv1.PeekItem) (a cache.Answer, ok bool) {
	c, at, first := l.peeks.join(tenant, item)
	switch {
	case c == nil:
		return a, false
	case first:
		l.peekAll(ctx, tenant, c)
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		return a, false
	}
	if len(c.results) != len(c.items) || c.results[at].GetEntry() == nil {
		return a, false
	}
	return peekedOf(c.results[at], c.took)
}

// join returns the call that an item goes with, its place there, and whether it is the
// first, which the caller makes; nil: too many wait.
func (p *peeks) join(tenant string, item *tenantryv1.PeekItem) (c *peeking, at int, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, busy := p.next[tenant]
	if c == nil {
		c = &peeking{done: make(chan struct{})}
		if p.next == nil {
			p.next = make(map[string]*peeking)
		}
		if p.next[tenant] = c; !busy {
			p.next[tenant], first = nil, true
		}
	}
	if at = len(c.items); at == maxReads {
		return nil, 0, false
	}
	c.items = append(c.items, item)
	return c, at, first
}

// depart returns what has come meanwhile, to be asked now; nil: nothing has.
func (p *peeks) depart(tenant string) *peeking {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.next[tenant]
	if p.next[tenant] = nil; c == nil {
		delete(p.next, tenant)
	}
	return c
}

// peekAll makes the call, and has those that follow made.
func (l *lane) peekAll(ctx context.Context, tenant string, c *peeking) {
	l.peekOnce(ctx, tenant, c)
	if c = l.peeks.depart(tenant); c == nil {
		return
	}
	follow := func() {
		for ; c != nil; c = l.peeks.depart(tenant) {
			l.peekOnce(l.ctx, tenant, c)
		}
	}
	if !l.run(follow) {
		follow() // this node ends, and with it the context
	}
}

// peekOnce makes one call.
func (l *lane) peekOnce(ctx context.Context, tenant string, c *peeking) {
	defer close(c.done)
	ctx, cancel := context.WithTimeout(ctx, peekTimeout)
	defer cancel()
	defer context.AfterFunc(l.watch(), cancel)()
	defer l.unwatch()
	start := time.Now()
	res, err := l.client.Peek(ctx, &tenantryv1.PeekRequest{Node: l.cfg.Self, Tenant: tenant, Items: c.items})
	switch {
	case err == nil:
	case ctx.Err() == nil:
		l.failed(err)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		l.noteLate()
	}
	c.results, c.took = res.GetResults(), time.Since(start)
}

// peekedOf reads what a node answered.
func peekedOf(r *tenantryv1.PeekResult, took time.Duration) (a cache.Answer, ok bool) {
	h, err := handedOf(r.GetEntry())
	state := r.GetState()
	if err != nil || h.Form == cache.HandedStub || state != tenantryv1.Freshness_FRESH && state != tenantryv1.Freshness_PROVISIONAL {
		return a, false
	}
	a = cache.Answer{
		Value: h.Value, Absent: h.Form == cache.HandedAbsent, State: cache.State(state - 1), Via: cache.FromPeer,
		Age: h.Age + took, Version: h.Version, Versioned: h.Versioned,
	}
	if a.State == cache.Provisional {
		a.Via = cache.FromEvent // which is why
	}
	return a, true
}

// PeekedOf returns an answer as a node that peeks is given it.
func PeekedOf(key string, a *cache.Answer) *tenantryv1.PeekResult {
	h := cache.Handed{Key: key, Value: a.Value, Age: max(0, a.Age), Version: a.Version, Versioned: a.Versioned}
	if a.Absent {
		h.Form, h.Value = cache.HandedAbsent, nil
	}
	return &tenantryv1.PeekResult{Entry: EntryOf(&h), State: tenantryv1.Freshness_State(a.State) + 1}
}
