package cache

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// confirm is what is to be confirmed in a store: provisional entries, and those
// of which a document below the floor was seen (C3, C4). Guarded by the
// tenant's mutex.
type confirm struct {
	due      map[string]instant  // by key
	listed   map[string]struct{} // those a list read did not settle: read one by one
	failures int                 // of the origin, in a row
}

const (
	// listAbove is the number of pending confirmations of a kind above which
	// one list read replaces them (C4).
	listAbove = 20
	// maxConfirms bounds the confirmations in flight on a node. They are
	// background work and must leave the origin to those who wait.
	maxConfirms = 16
	// recheckAfter is the delay of a second look at a document below the floor
	// for kinds without confirm_after.
	recheckAfter = 200 * time.Millisecond
	// maxBackoff bounds the delay between confirmations that fail.
	maxBackoff = 30 * time.Second
)

// schedule sees to it that a key is confirmed by an origin read that begins
// after the delay, unless one is pending already. Callers hold mu.
func (t *Tenant) schedule(s *store, key string, after time.Duration) {
	c := s.confirmation()
	if _, pending := c.due[key]; pending {
		return
	}
	due := t.cache.clock.now().add(after)
	c.due[key] = due
	t.cache.confirms.add(confirmation{t, s, due})
}

// followUp looks at an entry after an origin read: one that is still
// unconfirmed is scheduled again, later each time the origin fails. Callers
// hold mu.
func (t *Tenant) followUp(s *store, key string, failed bool) {
	if !failed && s.confirm != nil {
		s.confirm.failures = 0
	}
	if e := s.entry(t.cache.hash(key), key); e == nil || !e.is(provisional|low) {
		s.settleConfirm()
		return
	}
	after := or(s.kind.ConfirmAfter, recheckAfter)
	if failed {
		c := s.confirmation()
		c.failures++
		after = min(after<<min(c.failures, 16), maxBackoff)
	}
	t.schedule(s, key, after)
}

// confirmation returns the store's confirm, made if needed.
func (s *store) confirmation() *confirm {
	if s.confirm == nil {
		s.confirm = &confirm{due: make(map[string]instant)}
	}
	return s.confirm
}

// settleConfirm frees the confirm of a store that has nothing pending.
func (s *store) settleConfirm() {
	if c := s.confirm; c != nil && len(c.due) == 0 && c.failures == 0 {
		s.confirm = nil
	}
}

// takeDue takes out the keys that are due, or all of them if there are so many
// that a list is to be read.
func (t *Tenant) takeDue(s *store) (keys []string, list bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := s.confirm
	if c == nil || t.closed {
		return nil, false
	}
	list = s.kind.Listed && len(c.due)-len(c.listed) > listAbove
	now, next := t.cache.clock.now(), instant(0)
	for key, due := range c.due {
		if list || due <= now {
			keys = append(keys, key)
			delete(c.due, key)
			delete(c.listed, key)
		} else if next == 0 || due < next {
			next = due
		}
	}
	if next != 0 {
		t.cache.confirms.add(confirmation{t, s, next})
	}
	s.settleConfirm()
	return keys, list
}

// confirmOne begins the origin read that confirms an entry, and reports
// whether it took the slot. A read that is under way and whose lease holds
// began after the last event: it confirms as well.
func (t *Tenant) confirmOne(s *store, key string, slot chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := s.entry(t.cache.hash(key), key)
	if t.closed || e == nil || !e.is(provisional|low) {
		return false
	}
	for _, f := range t.flights[flightKey{s.kind, key}] {
		if !f.revoked && !e.is(low) {
			return false
		}
	}
	t.launch(s.kind, key, slot)
	return true
}

// confirmByList reads the list once for many keys. What it leaves unconfirmed
// is read one by one.
func (t *Tenant) confirmByList(ctx context.Context, s *store, keys []string) {
	err := t.Load(ctx, s.kind)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range keys {
		t.followUp(s, key, err != nil)
		if _, pending := s.pendingConfirm(key); err == nil && pending {
			if s.confirm.listed == nil {
				s.confirm.listed = make(map[string]struct{})
			}
			s.confirm.listed[key] = struct{}{}
		}
	}
}

func (s *store) pendingConfirm(key string) (due instant, pending bool) {
	if s.confirm == nil {
		return 0, false
	}
	due, pending = s.confirm.due[key]
	return due, pending
}

// confirmation is a store that has something to confirm at an instant.
type confirmation struct {
	tenant *Tenant
	store  *store
	due    instant
}

// confirms is the node's queue of confirmations, ordered by instant: at most
// one for each key that is pending. One goroutine empties it.
type confirms struct {
	mu    sync.Mutex
	queue confirmHeap
	poke  chan struct{} // capacity 1: the first of the queue may have changed
	slots chan struct{} // held by confirmations in flight
}

func (c *confirms) init() {
	c.poke = make(chan struct{}, 1)
	c.slots = make(chan struct{}, maxConfirms)
}

func (c *confirms) add(x confirmation) {
	c.mu.Lock()
	heap.Push(&c.queue, x)
	c.mu.Unlock()
	select {
	case c.poke <- struct{}{}:
	default:
	}
}

// next takes out the first confirmation if it is due, else returns how long
// until then.
func (c *confirms) next(now instant) (x confirmation, wait time.Duration, due bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return x, time.Hour, false
	}
	if wait = c.queue[0].due.sub(now); wait > 0 {
		return x, wait, false
	}
	return heap.Pop(&c.queue).(confirmation), 0, true
}

func (c *Cache) runConfirms(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		x, wait, due := c.confirms.next(c.clock.now())
		if due {
			c.confirm(ctx, &running, x)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-c.confirms.poke:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		timer.Stop()
	}
}

// confirm starts the origin reads that a store's pending keys need, as slots
// get free.
func (c *Cache) confirm(ctx context.Context, running *sync.WaitGroup, x confirmation) {
	keys, list := x.tenant.takeDue(x.store)
	if list {
		if c.takeSlot(ctx) {
			running.Go(func() {
				defer func() { <-c.confirms.slots }()
				x.tenant.confirmByList(ctx, x.store, keys)
			})
		}
		return
	}
	for _, key := range keys {
		if c.takeSlot(ctx) && !x.tenant.confirmOne(x.store, key, c.confirms.slots) {
			<-c.confirms.slots
		}
	}
}

func (c *Cache) takeSlot(ctx context.Context) bool {
	select {
	case c.confirms.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// confirmHeap orders confirmations by instant, for container/heap.
type confirmHeap []confirmation

func (h confirmHeap) Len() int           { return len(h) }
func (h confirmHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h confirmHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *confirmHeap) Push(x any)        { *h = append(*h, x.(confirmation)) }
func (h *confirmHeap) Pop() any {
	old := *h
	last := len(old) - 1
	x := old[last]
	old[last] = confirmation{}
	*h = old[:last]
	return x
}
