package rpc

import (
	"context"

	"github.com/tenantry/tenantry/cache"
)

// stray answers from a tenant that this node does not own, or not yet, and holds all
// the same, until its owners are live.
func (r *reader) stray(e entry, l *limits) (f found, ok bool) {
	if !r.node.Holds(e.tenant) {
		return f, false
	}
	o, err := r.options(e, l)
	if err != nil {
		return f, false
	}
	f.Answer, ok, err = r.node.Recall(e.tenant, e.kind, e.key, o)
	return f, ok && err == nil
}

// peek answers from another node that holds the tenant and knows the entry to be
// current, while this one does not: it is being loaded here, or in doubt, or another's.
func (r *reader) peek(ctx context.Context, e entry, o *cache.ReadOptions) (a cache.Answer, ok bool) {
	from := r.node.Sources(e.tenant)
	d, known := r.node.Definition(e.kind)
	if len(from) == 0 || !known || o.HasMaxAge && o.MaxAge == 0 {
		return a, false
	}
	start := r.node.Now()
	if a, ok = r.peers.Peek(ctx, from, e.tenant, d, e.key); !ok {
		return a, false
	}
	a.Position, a.Settled = max(1, start-a.Age), r.node.Now()
	return a, satisfies(&a, o)
}

// satisfies reports whether an answer is within the bounds of a read.
func satisfies(a *cache.Answer, o *cache.ReadOptions) bool {
	switch {
	case o.MinVersion > 0 && (!a.Versioned || a.Version < o.MinVersion),
		o.HasMaxAge && a.Age > o.MaxAge,
		o.Position > 0 && a.State == cache.Provisional:
		return false
	}
	return a.Position >= o.Settled
}
