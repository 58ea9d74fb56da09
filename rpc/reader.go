package rpc

import (
	"context"

	"github.com/tenantry/tenantry/cache"
)

// reader reads entries for every service: it checks, authorises and asks the
// node, or those that own the tenant.
type reader struct {
	node  Node
	peers peerReader // nil: there are none
	name  string
	epoch func() uint64
	boot  uint64
	// report looks an error up in the table, and logs what callers do not see.
	report func(error) fault
}

// found is what a read found, on this node or another.
type found struct {
	cache.Answer
	remote *remote // nil: on this one
}

// read reads one entry whose names come from the caller; field is what the
// request calls the key. An absent item is an [*absentError].
func (r *reader) read(ctx context.Context, e entry, field string, b bounds) (found, error) {
	if err := e.validate(field); err != nil {
		return found{}, err
	}
	if err := allow(ctx, e.tenant, ScopeRead); err != nil {
		return found{}, err
	}
	l, err := limitsOf(e, b.GetMaxAge(), b.GetMinVersion(), b.GetAfter())
	if err != nil {
		return found{}, err
	}
	return r.present(ctx, e, &l)
}

// present reads an entry that is already checked, and makes absence an error.
func (r *reader) present(ctx context.Context, e entry, l *limits) (found, error) {
	a, err := r.find(ctx, e, l)
	if err == nil && a.Absent {
		err = &absentError{entry: e, freshness: r.freshness(e, &a)}
	}
	return a, err
}

// find reads an entry that is already checked: from this node if it owns the
// tenant, from an owner if it does not. An absent item is an answer.
func (r *reader) find(ctx context.Context, e entry, l *limits) (found, error) {
	switch {
	case r.peers == nil:
		return r.here(ctx, e, l)
	case r.node.Owns(e.tenant):
		return r.owned(ctx, e, l)
	}
	if f, ok := r.stray(e, l); ok {
		return f, nil
	}
	return r.elsewhere(ctx, e, l)
}

// here reads an entry from this node: from memory; while the tenant is not settled
// here, from what another holds; or from the origin.
func (r *reader) here(ctx context.Context, e entry, l *limits) (found, error) {
	o, err := r.options(e, l)
	if err != nil {
		return found{}, err
	}
	if r.peers != nil {
		if f, ok, err := r.held(ctx, e, &o); ok || err != nil {
			return f, err
		}
	}
	return r.origin(ctx, e, &o)
}

// held answers from memory or, while the tenant is not settled here, from what another
// node holds, or not at all.
func (r *reader) held(ctx context.Context, e entry, o *cache.ReadOptions) (f found, ok bool, err error) {
	if f.Answer, ok, err = r.node.Recall(e.tenant, e.kind, e.key, *o); ok || err != nil {
		return f, ok, err
	}
	f.Answer, ok = r.peek(ctx, e, o)
	return f, ok, nil
}

// origin reads an entry by this node alone, from the origin unless it is in memory by
// now.
func (r *reader) origin(ctx context.Context, e entry, o *cache.ReadOptions) (f found, err error) {
	f.Answer, err = r.node.Read(ctx, e.tenant, e.kind, e.key, *o)
	return f, err
}
