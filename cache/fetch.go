package cache

import (
	"context"
	"errors"
	"time"
)

// fetch answers from the origin, or with what is kept where it cannot be read,
// or not soon enough.
func (t *Tenant) fetch(ctx context.Context, kind *Kind, key string, o ReadOptions) (Answer, error) {
	arrival := t.cache.clock.now()
	t.touch(arrival)
	t.noteExpiry(kind, key, arrival)
	soft := t.cache.softTimer(kind)
	defer soft.stop()
	for {
		f, joined, a := t.join(ctx, kind, key, &o, arrival)
		if f == nil {
			return a, nil // another read's flight landed meanwhile
		}
		landed := f.wait(ctx, soft.c)
		if !landed && ctx.Err() == nil {
			if a, ok := t.stale(kind, key, &o); ok {
				t.spend(kind, arrival, resultStale)
				return a, nil
			}
			soft.c = nil
			landed = f.wait(ctx, nil)
		}
		switch {
		case !landed:
			t.spend(kind, arrival, resultFailed)
			return Answer{}, ctx.Err()
		case !joined: // waited only for its turn
		case f.err != nil:
			return t.fallBack(kind, key, &o, arrival, f.err)
		default:
			return t.landed(kind, f, &o, arrival)
		}
	}
}

// softTimer fires when a read of a reference kind has waited for so long that
// it is answered with what is kept, if that may be served STALE (C9). The origin
// read goes on, and fills the entry. Others, and none at all, never fire.
type softTimer struct {
	c     <-chan time.Time
	timer *time.Timer
}

func (c *Cache) softTimer(k *Kind) softTimer {
	if k.Class != Reference || c.softTimeout <= 0 {
		return softTimer{}
	}
	timer := time.NewTimer(c.softTimeout)
	return softTimer{timer.C, timer}
}

func (s *softTimer) stop() {
	if s.timer != nil {
		s.timer.Stop()
	}
}

// spend counts a read that went beyond memory, and the time it took.
func (t *Tenant) spend(k *Kind, arrival instant, result int) {
	s := t.store(k)
	if s == nil { // the tenant is closed
		t.cache.count(k, result)
		return
	}
	s.tally.waited.Add(int64(t.cache.clock.now().sub(arrival)))
	s.tally.n[result].Add(1)
}

// oldest is the earliest start of a flight that may answer a read (C12): for
// one that names a version its arrival, since that version may be as new. No
// position is later than the arrival of the read that names it.
func oldest(o *ReadOptions, arrival instant, bound time.Duration) instant {
	if o.HasMaxAge {
		bound = min(bound, o.MaxAge)
	}
	if o.MinVersion > 0 {
		bound = 0
	}
	return max(arrival.add(-bound), min(instant(o.Settled), arrival))
}

// landed answers with what a flight brought.
func (t *Tenant) landed(kind *Kind, f *flight, o *ReadOptions, arrival instant) (Answer, error) {
	a := f.answer
	if o.MinVersion > 0 && !a.Absent && (!a.Versioned || a.Version < o.MinVersion) {
		t.spend(kind, arrival, resultFailed)
		return Answer{}, ErrTooOld
	}
	now := t.cache.clock.now()
	a.Age, a.Settled = now.sub(f.start), time.Duration(now)
	if f.below || a.Age > t.cache.bound && !(f.kept && t.current(f.generation, t.link.proven(), now)) {
		a.State = Stale
	}
	result := resultMiss
	if f.revalidated {
		result = resultRevalidated
	}
	t.spend(kind, arrival, result)
	return a, nil
}

// fallBack answers with what is kept when the origin could not be read.
func (t *Tenant) fallBack(kind *Kind, key string, o *ReadOptions, arrival instant, fault error) (Answer, error) {
	if a, ok := t.stale(kind, key, o); ok {
		t.spend(kind, arrival, resultStale)
		return a, nil
	}
	t.spend(kind, arrival, resultFailed)
	return Answer{}, &UnavailableError{RetryAfter: retryAfter(fault), Err: fault}
}

// stale answers with what is kept, as STALE (C9): never beyond MaxStale after it
// was last known current, and never a critical entry that is known old.
func (t *Tenant) stale(kind *Kind, key string, o *ReadOptions) (a Answer, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.store(kind)
	if s == nil {
		return a, false
	}
	now := t.cache.clock.now()
	e, c := s.find(t.cache.hash(key), key)
	switch {
	case e != nil && t.servesStale(kind, e, now) && e.satisfies(o, now):
		e.describe(&a, now)
	case c != nil && t.absenceServesStale(kind, c, now) && satisfies(o, c.verified, now.sub(c.verified)) && o.MinVersion == 0:
		a = c.answer(now)
	default:
		return a, false
	}
	a.State = Stale
	return a, true
}

func (t *Tenant) absenceServesStale(kind *Kind, c *completeness, now instant) bool {
	return now.sub(t.knownCurrentAt(c.verified, c.expires, c.generation)) <= kind.MaxStale
}

// answer says that a key is absent from a complete store.
func (c *completeness) answer(now instant) Answer {
	return Answer{Absent: true, Age: now.sub(c.verified), Position: time.Duration(c.verified), Settled: time.Duration(c.settled)}
}

// servesStale says whether an entry may be served STALE. Callers hold mu.
func (t *Tenant) servesStale(kind *Kind, e *entry, now instant) bool {
	if e.is(stub) || e.is(invalidated) && kind.Class == Critical {
		return false
	}
	if e.is(invalidated) { // proofs say nothing more of it
		return now.sub(e.verified) <= kind.MaxStale
	}
	return now.sub(t.knownCurrentAt(e.verified, e.expires, e.generation)) <= kind.MaxStale
}

// Through reads the origin and keeps nothing: for on-demand kinds, and for
// tenants that are not active on this node. Errors: those of [Tenant.Read].
func (c *Cache) Through(ctx context.Context, tenant string, kind *Kind, key string, o ReadOptions) (Answer, error) {
	a, err := c.pass(ctx, tenant, kind, key, &o)
	c.CountPass(kind, err)
	return a, err
}

func (c *Cache) pass(ctx context.Context, tenant string, kind *Kind, key string, o *ReadOptions) (Answer, error) {
	reading, cancel := context.WithTimeout(ctx, c.fillTimeout)
	defer cancel()
	start := c.clock.now()
	doc, err := c.source.One(reading, tenant, kind, key, "")
	f := fill{content: content{key: key, value: doc.Value}, version: doc.Version, versioned: doc.Versioned, start: start}
	switch {
	case errors.Is(err, ErrAbsent):
		f.absent, f.content.value = true, nil
	case err != nil && ctx.Err() != nil:
		return Answer{}, ctx.Err()
	case err != nil:
		return Answer{}, &UnavailableError{RetryAfter: retryAfter(err), Err: err}
	}
	a := f.answer()
	if o.MinVersion > 0 && !a.Absent && (!a.Versioned || a.Version < o.MinVersion) {
		return Answer{}, ErrTooOld
	}
	now := c.clock.now()
	a.Age, a.Settled = now.sub(start), time.Duration(now)
	if a.Age > c.bound {
		a.State = Stale
	}
	return a, nil
}
