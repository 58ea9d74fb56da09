package cache

import (
	"context"
	"slices"
	"time"
)

// sweepInterval is the time between two sweeps of all tenants. What has
// expired is never served as if it had not: a sweep only frees memory.
const sweepInterval = time.Minute

// runSweeps frees what can no longer be of use, until ctx ends.
func (c *Cache) runSweeps(ctx context.Context) error {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			c.sweep(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// sweep goes through all tenants, one mutex at a time.
func (c *Cache) sweep(ctx context.Context) {
	c.mu.Lock()
	tenants := slices.Clone(c.tenants)
	c.mu.Unlock()
	for _, t := range tenants {
		if ctx.Err() != nil {
			return
		}
		t.sweep()
	}
}

// sweep removes the entries that are past their TTL and too old to be served
// STALE.
func (t *Tenant) sweep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.cache.clock.now()
	for i := range t.stores {
		s := t.stores[i].Load()
		if s == nil {
			continue
		}
		table := s.table.Load()
		for at := range table.slots {
			if e := table.slots[at].Load(); e != nil && e != tombstone && now >= e.expires.add(s.kind.MaxStale) {
				s.void()
				t.removeAt(s, table, at)
			}
		}
		t.shrink(s)
	}
}
