package peers

import (
	"context"
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
	req := &tenantryv1.PeekRequest{
		Node: p.cfg.Self, Tenant: tenant, Items: []*tenantryv1.PeekItem{{Kind: d.Kind, Key: key, DefinitionHash: d.Hash}},
	}
	for i := range from {
		l := p.lane(&from[i])
		if !l.health.up() || ctx.Err() != nil {
			continue
		}
		if a, ok := l.peek(ctx, req); ok {
			p.metrics.peeks.WithLabelValues("answered").Inc()
			return a, true
		}
	}
	p.metrics.peeks.WithLabelValues("not_held").Inc()
	return a, false
}

func (l *lane) peek(ctx context.Context, req *tenantryv1.PeekRequest) (a cache.Answer, ok bool) {
	peeking, cancel := context.WithTimeout(ctx, peekTimeout)
	defer cancel()
	start := time.Now()
	res, err := l.client.Peek(peeking, req)
	if err != nil {
		if ctx.Err() == nil {
			l.failed(err)
		}
		return a, false
	}
	if len(res.GetResults()) != 1 || res.GetResults()[0].GetEntry() == nil {
		return a, false
	}
	return peekedOf(res.GetResults()[0], time.Since(start))
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
