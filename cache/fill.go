package cache

import (
	"bytes"
	"math/rand/v2"
	"time"
)

// fill is what an origin read brought for one entry.
type fill struct {
	content    content
	hash       uint32
	version    uint64
	versioned  bool
	absent     bool
	start      instant // of the request
	generation generation
	final      bool // its word stands even below the floor
}

// answer is the fill as an answer. Its age is set when it is given.
func (f *fill) answer() Answer {
	return Answer{
		Value: f.content.value, Via: FromOrigin, Version: f.version, Versioned: f.versioned,
		Position: time.Duration(f.start), Absent: f.absent,
	}
}

// below says that an event announced, or a document had, a higher version.
func (f *fill) below(e *entry) bool {
	return f.versioned && !f.absent && f.version < e.known()
}

// newer says that the fill has a higher version than anything known.
func (f *fill) newer(e *entry) bool { return f.versioned && e.is(versioned) && f.version > e.known() }

// keep puts what an origin read brought into the store, unless what is there
// was verified later or is known newer. Callers hold mu and have checked the
// lease.
func (t *Tenant) keep(s *store, f fill) (kept, below bool) {
	if !f.versioned {
		f.version = 0
	}
	old := s.entry(f.hash, f.content.key)
	if old != nil && old.verified > f.start && !f.newer(old) {
		return false, f.below(old)
	}
	floor := max(old.known(), f.version)
	if f.below(old) {
		if !f.final {
			t.suspect(s, old)
			return false, true
		}
		t.cache.metrics.regressions.Inc()
		floor = f.version
	}
	t.settled(old)
	return t.renew(s, old, t.newEntry(s, &f, floor)), false
}

// suspect notes that a document below the floor was seen: it is read again
// after confirm_after, and if it is still below, the origin wins (C3). Callers
// hold mu.
func (t *Tenant) suspect(s *store, e *entry) {
	if !e.is(low) {
		t.put(s, e.with(low, 0))
	}
}

func (t *Tenant) newEntry(s *store, f *fill, floor uint64) *entry {
	e := &entry{
		version: f.version, floor: floor, generation: f.generation, verified: f.start, hash: f.hash,
		lag: lagOf(f.start, t.cache.clock.now()),
	}
	t.adapt(s)
	ttl := s.ttl()
	if f.absent {
		e.flags |= negative
		ttl = s.kind.NegativeTTL
	}
	if f.versioned && !f.absent {
		e.flags |= versioned
	}
	e.expires = f.start.add(jitter(ttl))
	e = e.fill(f.content)
	return e
}

// jitter spreads a TTL by ± 10 %, so that what was loaded together does not
// expire together (C10).
func jitter(ttl time.Duration) time.Duration {
	return ttl + time.Duration((rand.Float64()-0.5)*0.2*float64(ttl))
}

// sameValue compares an entry's value.
func (e *entry) sameValue(value []byte) bool { return bytes.Equal(e.value(), value) }
