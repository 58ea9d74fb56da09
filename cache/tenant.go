package cache

import (
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// generation is a tenant's generation: that of its link above its own. Both
// only rise, so that two are equal only if neither did. One whose lower half
// is 0 has not begun (C1) and verifies nothing.
type generation uint64

func (g generation) begun() bool { return uint32(g) != 0 || mutated(mutateSubscribe) }

// Tenant is one activation of a tenant on this node: its entries, the origin
// reads in flight for them, and its generation. It ends with [Tenant.Close];
// an activation after that is another Tenant, which the reads still in flight
// for the first cannot fill.
type Tenant struct {
	cache *Cache
	name  string
	link  *Link

	doubts   atomic.Uint32           // this tenant's half of the generation
	lastRead atomic.Int64            // an instant, a second coarse
	stores   []atomic.Pointer[store] // by kind; in few, where they fit
	few      [fewKinds]atomic.Pointer[store]

	mu          sync.Mutex
	flights     map[flightKey][]*flight
	bytes       atomic.Int64 // charged; written under mu
	provenUntil instant      // the link's proof when doubts was last raised
	evictions   uint64
	requests    uint64 // of the origin
	index       int    // in cache.tenants, guarded by cache.mu
	closed      bool
}

// fewKinds is the number of kinds up to which a tenant's stores are part of it,
// which saves each read of a cold tenant a cache miss.
const fewKinds = 10

// tenantSize is the bytes that a tenant is charged with before its first entry.
func tenantSize(name string, kinds int) int64 {
	n := int64(unsafe.Sizeof(Tenant{})) + int64(len(name))
	if kinds > fewKinds {
		n += int64(kinds) * int64(unsafe.Sizeof(atomic.Pointer[store]{}))
	}
	return n
}

// NewTenant activates a tenant that link carries. No generation begins, and so
// nothing stays known current for longer than the bound, before
// [Tenant.Confirmed].
func (c *Cache) NewTenant(name string, link *Link) *Tenant {
	t := &Tenant{cache: c, name: name, link: link}
	if t.stores = t.few[:min(len(c.kinds), fewKinds)]; len(c.kinds) > fewKinds {
		t.stores = make([]atomic.Pointer[store], len(c.kinds))
	}
	t.lastRead.Store(int64(c.clock.now()))
	t.charge(tenantSize(name, len(c.kinds)))
	c.register(t)
	return t
}

// Name returns the tenant's name.
func (t *Tenant) Name() string { return t.name }

// Bytes returns the bytes charged to the tenant.
func (t *Tenant) Bytes() int64 { return t.bytes.Load() }

// LastRead returns the time since the tenant was last read, to about a second.
func (t *Tenant) LastRead() time.Duration {
	return t.cache.clock.now().sub(instant(t.lastRead.Load()))
}

// ReadElsewhere notes that the tenant was read on another node, so long ago.
func (t *Tenant) ReadElsewhere(ago time.Duration) {
	at := int64(t.cache.clock.now().add(-ago))
	for last := t.lastRead.Load(); last < at && !t.lastRead.CompareAndSwap(last, at); {
		last = t.lastRead.Load()
	}
}

// ReadLast makes the tenant one that was last read so long ago, on another node. It is
// called before the tenant's first read.
func (t *Tenant) ReadLast(ago time.Duration) {
	t.lastRead.Store(int64(t.cache.clock.now().add(-ago)))
}

// Confirmed begins a generation: every channel of the tenant is subscribed on
// a live connection (C1). What was verified before is no longer known current.
func (t *Tenant) Confirmed() {
	if !mutated(mutateSubscribe) {
		t.raise()
	}
}

// Doubt raises the tenant's own generation: an event of it may have been lost
// (C5). It has no effect before the first Confirmed.
func (t *Tenant) Doubt() {
	if t.doubts.Load() != 0 {
		t.raise()
	}
}

func (t *Tenant) raise() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.provenUntil = t.link.proven()
	t.doubts.Add(1)
}

// Generation returns the tenant's generation: another one than before means
// that what was verified before is no longer known current.
func (t *Tenant) Generation() uint64 { return uint64(t.generation()) }

// generation returns the tenant's generation.
func (t *Tenant) generation() generation {
	return generation(t.link.generation.Load())<<32 | generation(t.doubts.Load())
}

// current says that what was verified in g is known current by the bus (C0 a):
// g is the tenant's generation, and the proof of its link is recent. The proof
// must be from before the value was read: a newer one may have come after the
// event that replaced the value.
func (t *Tenant) current(g generation, proof, now instant) bool {
	return g.begun() && g == t.generation() && (now.sub(proof) <= t.cache.proofTTL || mutated(mutateProof))
}

// knownCurrentAt returns the last instant at which what was verified at the
// given instant in g is known to have been current: not beyond its TTL, which ends
// what nobody announced. Callers hold mu.
func (t *Tenant) knownCurrentAt(verified, expires instant, g generation) instant {
	until := t.link.proven()
	if now := t.generation(); now != g {
		until = t.endOf(g, now)
	}
	return max(verified, min(until, expires))
}

// endOf returns the last proof within g, 0 if that is not remembered.
func (t *Tenant) endOf(g, now generation) instant {
	if !g.begun() {
		return 0
	}
	const unknown = instant(math.MaxInt64)
	end := unknown
	if l := uint32(g >> 32); l != uint32(now>>32) {
		end = t.link.provenUntil(l)
	}
	switch raised := uint32(now) - uint32(g); {
	case raised > 1:
		return 0
	case raised == 1 && t.provenUntil != 0:
		end = min(end, t.provenUntil)
	}
	if end == unknown {
		return 0
	}
	return end
}

// store returns the store of a kind, nil if the kind has none yet.
func (t *Tenant) store(k *Kind) *store { return t.stores[k.ID].Load() }

// storeFor returns the store of a kind, made if needed; nil when closed.
// Callers hold mu.
func (t *Tenant) storeFor(k *Kind) *store {
	if s := t.store(k); s != nil || t.closed {
		return s
	}
	s := newStore(k)
	t.charge(storeSize + s.table.Load().charge())
	t.stores[k.ID].Store(s)
	return s
}

// hash returns the hash of a key. It is seeded for each cache: nobody outside can choose
// keys that collide.
func (c *Cache) hash(key string) uint32 { return uint32(maphash.String(c.seed, key)) }

// touch notes a read, a second coarse, so that reads of a hot tenant do not
// fight for the cache line.
func (t *Tenant) touch(now instant) {
	if last := t.lastRead.Load(); int64(now)-last > int64(time.Second) {
		t.lastRead.Store(int64(now))
	}
}

// Close ends the activation: entries are freed, reads in flight are revoked.
// Reads of a closed tenant read through and keep nothing.
func (t *Tenant) Close() {
	t.cache.unregister(t)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.closed = true
	for _, fs := range t.flights {
		for _, f := range fs {
			f.revoked = true
		}
	}
	for i := range t.stores {
		if s := t.stores[i].Swap(nil); s != nil {
			s.void()
			t.cache.forget(s)
			t.cache.inherit(s)
		}
	}
	t.charge(-t.bytes.Load())
}

// charge adds to the bytes of tenant and node.
func (t *Tenant) charge(n int64) {
	t.bytes.Add(n)
	t.cache.bytes.Add(n)
}
