package cache

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"
)

// confirm is what is to be confirmed in a store: provisional entries, and those
// of which a document below the floor was seen (C3, C4). Guarded by the
// tenant's mutex.
type confirm struct {
	due   map[string]instant  // by key
	alone map[string]struct{} // those a list read did not settle: read one by one
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
// unconfirmed is scheduled again. Where the origin failed, the delay is the time
// that has passed since the event, so that it doubles. Callers hold mu.
func (t *Tenant) followUp(s *store, key string, failed bool) {
	e := s.entry(t.cache.hash(key), key)
	if e == nil || !e.is(provisional|low) {
		s.settleConfirm(key)
		return
	}
	after := cmp.Or(s.kind.ConfirmAfter, recheckAfter)
	if failed {
		after = min(max(2*after, t.cache.clock.now().sub(e.verified)), max(after, maxBackoff))
	}
	t.schedule(s, key, after)
}

// confirmation returns the store's confirm, made if needed.
func (s *store) confirmation() *confirm {
	if s.confirm == nil {
		s.confirm = &confirm{due: make(map[string]instant), alone: make(map[string]struct{})}
	}
	return s.confirm
}

// settleConfirm forgets a key that no longer needs to be confirmed, and frees
// the confirm of a store that has none.
func (s *store) settleConfirm(key string) {
	if c := s.confirm; c != nil {
		delete(c.alone, key)
		s.freeConfirm()
	}
}

func (s *store) freeConfirm() {
	if c := s.confirm; c != nil && len(c.due) == 0 && len(c.alone) == 0 {
		s.confirm = nil
	}
}

// takeDue takes out the keys that are due. If so many are pending that a list
// is to be read, those that are not due yet go with them.
func (t *Tenant) takeDue(s *store) (keys []string, list bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := s.confirm
	if c == nil || t.closed {
		return nil, false
	}
	now := t.cache.clock.now()
	list, ripe := c.wantsList(s.kind, now)
	if !ripe {
		return nil, false
	}
	for key, due := range c.due {
		if _, alone := c.alone[key]; due <= now || list && !alone {
			keys = append(keys, key)
			delete(c.due, key)
		}
	}
	s.freeConfirm()
	return keys, list
}

// wantsList says whether a list is to replace the reads of what is pending,
// and whether any of it is due.
func (c *confirm) wantsList(k *Kind, now instant) (list, ripe bool) {
	together := 0
	for key, due := range c.due {
		ripe = ripe || due <= now
		if _, alone := c.alone[key]; !alone {
			together++
		}
	}
	return k.Listed && together > listAbove, ripe
}

// confirmOne begins the origin read that confirms an entry, and reports
// whether it took the slot. A read that is under way and whose lease holds
// began after the last event: it confirms as well.
func (t *Tenant) confirmOne(s *store, key string, slot chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := s.entry(t.cache.hash(key), key)
	if t.closed || e == nil || !e.is(provisional|low) {
		s.settleConfirm(key)
		return false
	}
	for _, f := range t.flights[flightKey{s.kind, key}] {
		if !f.revoked && (f.final || !e.is(low)) {
			return false
		}
	}
	t.launch(context.Background(), s.kind, key, slot).final = e.is(low)
	return true
}

// confirmByList reads the list once for many keys. What it leaves unconfirmed
// is read one by one.
func (t *Tenant) confirmByList(ctx context.Context, s *store, keys []string) {
	err := t.Load(ctx, s.kind)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range keys {
		t.followUp(s, key, err != nil && !errors.Is(err, ErrAbsent))
		if s.isPending(key) {
			s.confirm.alone[key] = struct{}{}
		}
	}
}

func (s *store) isPending(key string) bool {
	if s.confirm == nil {
		return false
	}
	_, pending := s.confirm.due[key]
	return pending
}

// confirmation is a store that has something to confirm at an instant.
type confirmation struct {
	tenant *Tenant
	store  *store
	due    instant
}

// confirms is the node's queue of confirmations, ordered by instant: one for
// each key that is pending, and those of keys that a list took earlier, until
// they are due. One goroutine empties it.
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
