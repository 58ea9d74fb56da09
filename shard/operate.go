package shard

import (
	"errors"

	"github.com/tenantry/tenantry/cache"
)

// ErrNothingKept says that entries of a kind cannot be invalidated: it is
// on-demand, and nothing of it is kept.
var ErrNothingKept = errors.New("on-demand: nothing of it is kept")

// Invalidate makes an entry known old, as an event without a version would: its
// next read asks the origin, and what is being read for it is not kept. It
// reports whether the tenant is active: of one that is not, nothing is held.
// Errors: [*UnknownKindError], [ErrNothingKept].
func (n *Node) Invalidate(tenant, kind, key string) (active bool, err error) {
	k, ok := n.kinds[kind]
	switch {
	case !ok:
		return false, &UnknownKindError{Kind: kind, Known: n.names}
	case k.Class == cache.OnDemand:
		return false, ErrNothingKept
	}
	t, ok := n.tenants.Load(tenant)
	if !ok {
		return false, nil
	}
	t.cache.Apply(cache.Change{Kind: k, Key: key, Effect: cache.Invalidate})
	return true, nil
}

// Drop lets go of a tenant and all that is known of it, also that the origin does
// not know it, and reports whether it was active. Its next read activates it
// again; one that is preloaded is activated at once. Reads in flight are
// answered.
func (n *Node) Drop(tenant string) (active bool) {
	n.strangers.forget(tenant)
	t, ok := n.tenants.Load(tenant)
	if !ok {
		return false
	}
	active = n.letGo(t)
	if n.preload[tenant] {
		n.activate(tenant)
	}
	return active
}
