package cache

import "context"

// Refreshing ahead keeps a TTL from showing as latency: a critical entry that
// is read when the end of its TTL is near is read from the origin meanwhile. An
// entry of a kind that has lists is given more time, for its list is read again
// first.
const (
	refreshLast       = 5  // the last fifth of the TTL
	refreshLastListed = 20 // the last twentieth
)

// maxRefreshes bounds the reads ahead in flight on a node. What finds no room
// is tried by the next read.
const maxRefreshes = 16

// isAging says that an entry is to be refreshed if it is read at now.
func (e *entry) isAging(k *Kind, now instant) bool {
	if k.Class != Critical {
		return false
	}
	left, ttl := e.expires.sub(now), e.expires.sub(e.verified)
	if k.Listed {
		return left < ttl/refreshLastListed
	}
	return left < ttl/refreshLast
}

// refresh begins an origin read of an aging entry, unless one was begun, or
// there is no room. The read that noticed does not wait for anything.
func (t *Tenant) refresh(k *Kind, e *entry) {
	if !e.claim() {
		return
	}
	select {
	case t.cache.refreshes <- struct{}{}:
	default:
		e.unclaim()
		return
	}
	if !t.mu.TryLock() {
		<-t.cache.refreshes
		e.unclaim()
		return
	}
	defer t.mu.Unlock()
	if key := e.key(); !t.closed && len(t.flights[flightKey{k, key}]) == 0 {
		t.launch(context.Background(), k, key, t.cache.refreshes)
		return
	}
	<-t.cache.refreshes
}

// Peek answers from memory, FRESH or PROVISIONAL, as [Tenant.Read] would, or
// not at all. It is not counted as a read, and keeps nothing alive.
func (t *Tenant) Peek(kind *Kind, key string) (a Answer, ok bool) {
	s := t.store(kind)
	if s == nil {
		return a, false
	}
	proof := t.link.proven()
	e, c := s.find(t.cache.hash(key), key)
	now := t.cache.clock.now()
	switch {
	case e != nil && t.knows(e, &ReadOptions{}, proof, now):
		e.describe(&a, now)
		return a, true
	case e == nil && c != nil && t.knowsAbsence(c, &ReadOptions{}, proof, now):
		return c.answer(now), true
	}
	return a, false
}
