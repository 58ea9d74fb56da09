package cache

import "time"

// AdaptiveTTL lets the TTL of a reference kind follow how the entries of a
// tenant are read. In each window of reads, more misses because of the TTL than
// twice the hits make it longer, more hits than three times these misses make it
// shorter, within the bounds.
//
// What it changes is the cost: a longer TTL asks the origin less often, a shorter
// one keeps less. Entries keep the TTL they were filled with, absences have their
// own. The promise counts with the TTL in effect, so Max is a part of it.
type AdaptiveTTL struct {
	// Min and Max bound the TTL as multiples of the kind's own: Min above 0 and
	// at most 1, Max at least 1. Zero: TTLs are what the kinds say.
	Min, Max float64
}

const (
	// adaptWindow is how many reads are looked at together: enough that one burst
	// does not decide.
	adaptWindow = 64
	// adaptStep is the factor by which a TTL changes after a window.
	adaptStep = 1.5
)

// adapting is the state of a store's adaptive TTL, from one window to the next.
// Guarded by the tenant's mutex.
type adapting struct {
	factor float64 // of the kind's TTL; 0: 1
	hits   uint64  // of the tally, when the window began
	misses uint64  // by expiry, in the window
}

// ttl returns the TTL in effect. Callers hold mu.
func (s *store) ttl() time.Duration {
	if s.adapting.factor == 0 {
		return s.kind.TTL
	}
	return time.Duration(s.adapting.factor * float64(s.kind.TTL))
}

// noteExpiry counts a read that found an entry past its TTL. Absences have a
// TTL of their own, which does not adapt.
func (t *Tenant) noteExpiry(k *Kind, key string, now instant) {
	s := t.store(k)
	if s == nil || k.Class != Reference || t.cache.adaptive.Max == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := s.entry(t.cache.hash(key), key); e != nil && !e.is(negative|invalidated|stub) && now >= e.expires {
		s.adapting.misses++
	}
}

// adapt ends a window that is full. It is called where a TTL is about to be
// given: what nobody fills needs none. Callers hold mu.
func (t *Tenant) adapt(s *store) {
	bounds := t.cache.adaptive
	if s.kind.Class != Reference || bounds.Max == 0 {
		return
	}
	a := &s.adapting
	all := s.tally.n[resultHit].Load()
	hits := all - a.hits
	if hits+a.misses < adaptWindow {
		return
	}
	factor := a.factor
	if factor == 0 {
		factor = 1
	}
	switch {
	case a.misses > 2*hits:
		factor *= adaptStep
	case hits > 3*a.misses:
		factor /= adaptStep
	}
	*a = adapting{factor: min(max(factor, bounds.Min), bounds.Max), hits: all}
}
