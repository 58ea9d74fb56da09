package cache

import "math/rand/v2"

// put stores an entry within the budgets and reports whether it is kept. An
// entry that does not fit takes the one before it away: that is older.
// Callers hold mu.
func (t *Tenant) put(s *store, e *entry) bool {
	if !t.reserve(e.charge(), s.kind.Class) {
		t.drop(s, e.hash, e.key())
		return false
	}
	if !t.makeRoom(s, e) {
		t.charge(-e.charge())
		t.drop(s, e.hash, e.key())
		return false
	}
	table := s.table.Load()
	at, found := table.slot(e.hash, e.key())
	if found {
		t.charge(-table.slots[at].Load().charge())
	} else {
		t.cache.entries[s.kind.Class].Add(1)
	}
	s.edits++
	table.put(at, e)
	return true
}

// makeRoom grows the table where one more entry would crowd it.
func (t *Tenant) makeRoom(s *store, e *entry) bool {
	table := s.table.Load()
	if _, found := table.slot(e.hash, e.key()); found || !table.full() {
		return true
	}
	size := table.nextSize()
	grown := max(0, tableSize(size)-table.charge())
	if !t.reserve(grown, s.kind.Class) {
		return false
	}
	table = s.table.Load() // evicting for it may have made it smaller
	t.charge(tableSize(size) - table.charge() - grown)
	s.table.Store(table.rebuilt(size))
	return true
}

// drop removes the entry of a key without the origin's word. The key may exist
// also where there was none. Callers hold mu.
func (t *Tenant) drop(s *store, hash uint32, key string) {
	s.void()
	table := s.table.Load()
	if at, found := table.slot(hash, key); found {
		t.removeAt(s, table, at)
	}
}

// removeAt empties a slot. Whoever removes without the origin's word voids the
// store's completeness first. Callers hold mu.
func (t *Tenant) removeAt(s *store, table *table, at int) {
	t.charge(-table.slots[at].Load().charge())
	t.cache.entries[s.kind.Class].Add(-1)
	s.edits++
	table.remove(at)
}

// shrink halves a table that has become mostly empty. Callers hold mu.
func (t *Tenant) shrink(s *store) {
	table := s.table.Load()
	if size := len(table.slots) / 2; size >= minSlots && table.live*8 < len(table.slots) {
		t.charge(tableSize(size) - table.charge())
		s.table.Store(table.rebuilt(size))
	}
}

// reserve charges n bytes to tenant and node, evicting for it where needed:
// from the tenant for its own budget, from large tenants for the node's.
// Callers hold mu.
func (t *Tenant) reserve(n int64, class Class) bool {
	budget := t.cache.tenantBytes(t.name)
	if n > min(budget, t.cache.nodeBytes) {
		return false // whatever were evicted for it
	}
	for t.bytes.Load()+n > budget {
		if !t.evict(class) {
			return false
		}
	}
	if !t.cache.reserve(n, t, class) {
		return false
	}
	t.bytes.Add(n)
	return true
}

// evict removes one entry for the sake of an entry of the given class:
// reference entries first, critical ones only for a critical one.
func (t *Tenant) evict(class Class) bool {
	for _, victim := range [...]Class{Reference, Critical} {
		for i := range t.stores {
			s := t.stores[i].Load()
			if s != nil && s.kind.Class == victim && t.evictFrom(s) {
				return true
			}
		}
		if class == Reference {
			return false
		}
	}
	return false
}

// evictFrom removes one entry of a store, giving those read since the hand
// last passed a second chance (the CLOCK algorithm, Corbató 1968).
func (t *Tenant) evictFrom(s *store) bool {
	table := s.table.Load()
	for range 2 * len(table.slots) {
		s.hand = (s.hand + 1) % len(table.slots)
		e := table.slots[s.hand].Load()
		if e == nil || e == tombstone || e.spare() {
			continue
		}
		s.void()
		t.removeAt(s, table, s.hand)
		t.shrink(s)
		t.evictions++
		t.cache.metrics.evictions.Inc()
		return true
	}
	return false
}

// Bounds of a search for a victim among the node's tenants: the largest of a
// few neighbours taken at random is large, and the search is cheap. (Their
// order is that of activation, which says nothing of their size.)
const (
	sampledTenants = 8
	evictionTries  = 64
)

// reserve charges n bytes to the node for a tenant whose mutex the caller
// holds.
func (c *Cache) reserve(n int64, t *Tenant, class Class) bool {
	for range evictionTries {
		b := c.bytes.Load()
		if b+n > c.nodeBytes {
			c.evictFrom(c.largeTenant(t), t, class)
			continue
		}
		if c.bytes.CompareAndSwap(b, b+n) {
			return true
		}
	}
	return false
}

// evictFrom evicts from a victim, which it does not wait for unless the caller
// holds its mutex already.
func (c *Cache) evictFrom(victim, held *Tenant, class Class) {
	if victim != held {
		if !victim.mu.TryLock() {
			return
		}
		defer victim.mu.Unlock()
	}
	victim.evict(class)
}

// largeTenant returns the tenant with the most bytes among a few, at least t.
func (c *Cache) largeTenant(t *Tenant) *Tenant {
	c.mu.Lock()
	defer c.mu.Unlock()
	largest, first := t, rand.IntN(len(c.tenants)+1)
	for i := range min(sampledTenants, len(c.tenants)) {
		if o := c.tenants[(first+i)%len(c.tenants)]; o.Bytes() > largest.Bytes() {
			largest = o
		}
	}
	return largest
}
