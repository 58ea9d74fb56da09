package shard

import (
	"slices"
	"time"
)

// move is what is known of a tenant that moves from node to node.
type move struct {
	asked time.Duration // since when its owners are asked to take it over; 0: they are not
	// taken are the IDs of those that were asked for their entries, under the ring of
	// which the audience is.
	taken    []string
	audience uint32
}

// moving returns the tenant's move, made if needed. Callers hold mu.
func (t *tenant) moving() *move {
	if t.move == nil {
		t.move = new(move)
	}
	return t.move
}

// stays notes that this node owns the tenant.
func (t *tenant) stays() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.move != nil {
		t.move.asked = 0
	}
}

// asking notes that the owners of a stray are asked to take it over, and returns since
// how long they have been.
func (t *tenant) asking(now time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.moving()
	if m.asked == 0 {
		m.asked = now
	}
	return now - m.asked
}

// takeOver notes that another node holds the tenant, and returns where it is as far
// as that node is concerned: live once it has been asked for its entries, unless it has
// nothing more than a live tenant. It reports whether the tenant is to be queued for
// that.
func (t *tenant) takeOver(holder string, audience uint32, nothingMore bool) (s State, enqueue bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch m := t.moving(); {
	case t.state != Live:
		return t.state, false
	case nothingMore, m.audience == audience && slices.Contains(m.taken, holder):
		return Live, false
	}
	enqueue = !t.queued
	t.queued = true
	return Loading, enqueue
}

// took notes that a node was asked for its entries; what it did not give, it does
// not have to give. What was taken under another ring does not count: who held the
// tenant then may have read more since, and hand it over again.
func (t *tenant) took(holder string, audience uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.moving()
	if m.audience != audience {
		m.audience, m.taken = audience, nil
	}
	if !slices.Contains(m.taken, holder) {
		m.taken = append(m.taken, holder)
	}
}

// tookOver ends what takeOver began for a live tenant.
func (t *tenant) tookOver() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queued = false
}
