package shard

import (
	"sync"
	"time"
)

// early are words about tenants that this node does not own, or, before it knows the
// others, may not. Who told may have seen a change of the members a little earlier: they
// count if this node's next ring gives it the tenant.
type early struct {
	mu    sync.Mutex
	words map[string]earlyWord
}

// earlyWord says when it was heard, and the tenant read.
type earlyWord struct{ heard, read time.Duration }

const (
	// earlyTTL is how long such words are kept: views differ for a second or two.
	earlyTTL = 5 * time.Second
	maxEarly = 100_000
)

func (e *early) add(words []Activity, now time.Duration) {
	if len(words) == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.words == nil {
		e.words = make(map[string]earlyWord)
	}
	for _, a := range words {
		if len(e.words) < maxEarly {
			e.words[a.Tenant] = earlyWord{heard: now, read: now - a.Idle}
		}
	}
}

// take takes out the words about what is owned now.
func (e *early) take(owned func(tenant string) bool, now time.Duration) (words []Activity) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for tenant, w := range e.words {
		if now-w.heard < earlyTTL && owned(tenant) {
			words = append(words, Activity{Tenant: tenant, Idle: now - w.read})
			delete(e.words, tenant)
		}
	}
	return words
}

// sweep forgets what is too old.
func (e *early) sweep(now time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for tenant, w := range e.words {
		if now-w.heard >= earlyTTL {
			delete(e.words, tenant)
		}
	}
	if len(e.words) == 0 {
		e.words = nil // a map keeps the room of the most it ever held
	}
}

// hearEarly takes the words that came before the ring that makes them count. Who said
// them may be no owner any longer: this node tells the others.
func (n *Node) hearEarly() {
	for _, a := range n.sharing.early.take(n.view.Load().holds, n.Now()) {
		if t := n.activateIdle(a.Tenant, a.Idle); t != nil {
			t.cache.ReadElsewhere(a.Idle)
		}
	}
}
