package cache

import (
	"context"
	"math/bits"
	"time"
)

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

// isAging says that an entry that is read at now is to be refreshed.
func (e *entry) isAging(k *Kind, now instant) bool {
	return k.Class == Critical && e.expires.sub(now) < e.margin(k)
}

// margin is the time at the end of its TTL in which an entry is refreshed. It
// has the TTL's jitter.
func (e *entry) margin(k *Kind) time.Duration {
	if k.Listed {
		return e.expires.sub(e.verified) / refreshLastListed
	}
	return e.expires.sub(e.verified) / refreshLast
}

// tries is the number of refreshes up to the one that is due at now. Where one
// brings nothing, the next is due when half of the time is left: an origin in
// trouble is asked a few times, and none of them is the last chance.
func (e *entry) tries(k *Kind, now instant) uint32 {
	return uint32(bits.Len64(uint64(e.margin(k) / max(e.expires.sub(now), 1))))
}

// claim takes the right to the refresh that is due.
func (e *entry) claim(tries uint32) bool {
	m := e.marks.Load()
	return m/refreshed < tries && e.marks.CompareAndSwap(m, m&visited|tries*refreshed)
}

// refresh begins an origin read of an aging entry, unless it was begun, or there
// is no room: then the next read of the entry may. The read that noticed does not
// wait for anything.
func (t *Tenant) refresh(k *Kind, e *entry, now instant) {
	tries := e.tries(k, now)
	if e.marks.Load()/refreshed >= tries {
		return
	}
	select {
	case t.cache.refreshes <- struct{}{}:
	default:
		return
	}
	if !t.tryRefresh(k, e, tries) {
		<-t.cache.refreshes
	}
}

// tryRefresh reports whether the origin read was begun, which holds the slot.
func (t *Tenant) tryRefresh(k *Kind, e *entry, tries uint32) bool {
	if !t.mu.TryLock() {
		return false
	}
	defer t.mu.Unlock()
	key := e.key()
	if t.closed || !e.claim(tries) || len(t.flights[flightKey{k, key}]) > 0 {
		return false
	}
	t.launch(context.Background(), k, key, t.cache.refreshes)
	return true
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
