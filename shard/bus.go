package shard

import (
	"sync/atomic"
	"time"

	"github.com/puzpuzpuz/xsync/v4"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/subscriber"
)

var _ subscriber.Handler = (*Node)(nil)

// Confirmed implements [subscriber.Handler]: a generation of the tenant
// begins, and its lists are read.
func (n *Node) Confirmed(_ int, name string) {
	t := n.activated(name)
	if t == nil {
		return // let go meanwhile
	}
	t.cache.Confirmed()
	if t.confirmed(n.Now(), n.critical) {
		n.enqueue(t)
	}
}

// activated returns an active tenant or nil. Unlike a Load, which takes no lock,
// it waits for an activation in progress: the confirmation of a tenant may come
// before the map has the tenant, and it comes only once.
func (n *Node) activated(name string) *tenant {
	t, _ := n.tenants.Compute(name, func(t *tenant, _ bool) (*tenant, xsync.ComputeOp) { return t, xsync.CancelOp })
	return t
}

// Event implements [subscriber.Handler]: it applies what the event says.
func (n *Node) Event(e *subscriber.Event) {
	t, ok := n.tenants.Load(e.Tenant)
	if !ok {
		return
	}
	n.metrics.lag(e.OccurredAt)
	if e.TenantDeleted {
		n.letGo(t)
		return
	}
	for i := range e.Changes {
		c := &e.Changes[i]
		outcome := t.cache.Apply(cache.Change{
			Kind: n.kinds[c.Kind], Key: c.Key, Effect: effectOf(c.Effect), Value: c.Value,
			Version: e.Version, Versioned: e.Versioned,
		})
		n.metrics.applied(c.Kind, outcome)
		m := remember(e, c.Kind, c.Key, string(outcome), n.Now())
		t.note(&m, i == 0)
	}
}

// effectOf translates the bus's effect to the cache's.
func effectOf(e subscriber.Effect) cache.Effect {
	return [...]cache.Effect{
		subscriber.Set: cache.Set, subscriber.Invalidate: cache.Invalidate, subscriber.Remove: cache.Remove,
	}[e]
}

// Refused implements [subscriber.Handler]: what was not applied may have
// announced anything of the tenant (C5).
func (n *Node) Refused(name, topic string, err *subscriber.RefusedError) {
	n.metrics.refusedEvent(err.Reason)
	if t, ok := n.tenants.Load(name); ok {
		m := rememberRefused(topic, err.Reason, n.Now())
		t.note(&m, true)
	}
	n.doubtOf(name, subscriber.CauseRefused)
}

// Gap implements [subscriber.Handler]: whatever the missing event said of the
// tenant (C5).
func (n *Node) Gap(name, _ string) { n.doubtOf(name, subscriber.CauseSequence) }

// doubtOf doubts one tenant, if it is active.
func (n *Node) doubtOf(name string, cause subscriber.Cause) {
	if t, ok := n.tenants.Load(name); ok {
		n.metrics.doubt(cause)
		t.cache.Doubt()
	}
}

// Doubt implements [subscriber.Handler]: one increment for all tenants that
// the connection carries (C5).
func (n *Node) Doubt(conn int, cause subscriber.Cause) {
	n.metrics.doubt(cause)
	n.links[conn].doubt()
}

// Proof implements [subscriber.Handler].
func (n *Node) Proof(conn int, sent time.Time) {
	n.links[conn].prove(sent, n.Now()-time.Since(sent))
}

// link is a connection of the bus, with its newest proof for whoever asks about
// a tenant.
type link struct {
	*cache.Link

	proof atomic.Int64 // a time of [Node.Now]; 0: none since the last doubt
}

func (l *link) doubt() {
	l.proof.Store(0)
	l.Doubt()
}

func (l *link) prove(sent time.Time, at time.Duration) {
	l.Prove(sent)
	l.proof.Store(int64(at))
}

// proofAge returns the time since the newest proof, if there is one.
func (l *link) proofAge(now time.Duration) (age time.Duration, proven bool) {
	at := l.proof.Load()
	return now - time.Duration(at), at != 0
}

// sound reports whether a tenant is live and not in doubt, and its connection proven.
func (n *Node) sound(t *tenant) bool {
	_, proven := n.links[n.bus.Conn(t.name)].proofAge(n.Now())
	return proven && t.settled()
}
