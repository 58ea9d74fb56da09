package cache

import (
	"context"
	"errors"
	"time"
)

// Read answers with the entry of a key, from memory where that is allowed and
// from the origin where it is not. An item that does not exist is an answer
// (Absent), not an error.
//
// Errors: [*UnavailableError] if neither memory nor origin has an answer that
// may be given (C9), [ErrTooOld], or that of ctx.
func (t *Tenant) Read(ctx context.Context, kind *Kind, key string, o ReadOptions) (a Answer, err error) {
	if kind.Class == OnDemand {
		return t.cache.Through(ctx, t.name, kind, key, o)
	}
	if t.recall(kind, key, &o, &a) {
		return a, nil
	}
	return t.fetch(ctx, kind, key, o)
}

// recall answers from memory without a lock, or not at all. The answer is made
// in place: copying it would cost as much as finding the entry.
func (t *Tenant) recall(kind *Kind, key string, o *ReadOptions, a *Answer) bool {
	s := t.store(kind)
	if s == nil {
		return false
	}
	proof := t.link.proven() // before the value is read, and now after it (C0)
	e, c := s.find(t.cache.hash(key), key)
	now := t.cache.clock.now()
	t.touch(now)
	switch {
	case e != nil:
		return t.judge(kind, e, o, proof, now, a)
	case c != nil:
		return t.judgeAbsence(kind, c, o, proof, now, a)
	}
	return false
}

// judge answers with an entry if it is FRESH or PROVISIONAL at now and
// satisfies the options.
func (t *Tenant) judge(kind *Kind, e *entry, o *ReadOptions, proof, now instant, a *Answer) bool {
	if e.is(invalidated|stub) || now >= e.expires || !e.satisfies(o, now) {
		return false
	}
	known := t.current(e.generation, proof, now) || !e.is(fromEvent) && now.sub(e.verified) <= t.cache.bound
	if !known {
		return false
	}
	e.hit()
	e.describe(a, now)
	t.cache.metrics.recalled(kind, a)
	return true
}

// judgeAbsence answers that a key is absent from a complete store.
func (t *Tenant) judgeAbsence(kind *Kind, c *completeness, o *ReadOptions, proof, now instant, a *Answer) bool {
	age := now.sub(c.verified)
	if now >= c.expires || !satisfies(o, c.verified, age) || o.MinVersion > 0 {
		return false
	}
	if !t.current(c.generation, proof, now) && age > t.cache.bound {
		return false
	}
	*a = c.answer(now)
	t.cache.metrics.recalled(kind, a)
	return true
}

// satisfies reports whether the options allow an answer verified at the given
// instant.
func satisfies(o *ReadOptions, verified instant, age time.Duration) bool {
	if o.HasMaxAge && (age > o.MaxAge || o.MaxAge == 0) {
		return false
	}
	return verified >= instant(o.MinPosition)
}

func (e *entry) satisfies(o *ReadOptions, now instant) bool {
	if o.MinVersion > 0 && (!e.is(versioned) || e.version < o.MinVersion) {
		return false
	}
	return satisfies(o, e.verified, now.sub(e.verified))
}

// describe makes the entry at now an answer, FRESH or PROVISIONAL. The answer
// is zero before.
func (e *entry) describe(a *Answer, now instant) {
	a.Value, a.Absent = e.value(), e.is(negative)
	a.Version, a.Versioned = e.version, e.is(versioned)
	a.Age, a.Position = now.sub(e.verified), time.Duration(e.verified)
	if e.is(provisional) {
		a.State = Provisional
	}
	if e.is(fromEvent) {
		a.Via = FromEvent
	}
}

// fetch answers from the origin, or with what is kept where it cannot be read.
func (t *Tenant) fetch(ctx context.Context, kind *Kind, key string, o ReadOptions) (Answer, error) {
	arrival := t.cache.clock.now()
	t.touch(arrival)
	for {
		f, joined, a := t.join(kind, key, &o, arrival)
		if f == nil {
			return a, nil // another read's flight landed meanwhile
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return Answer{}, ctx.Err()
		}
		switch {
		case !joined: // waited only for its turn
		case f.err != nil:
			return t.fallBack(kind, key, &o, f.err)
		default:
			return t.landed(kind, f, &o)
		}
	}
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
	return max(arrival.add(-bound), min(instant(o.MinPosition), arrival))
}

// landed answers with what a flight brought.
func (t *Tenant) landed(kind *Kind, f *flight, o *ReadOptions) (Answer, error) {
	a := f.answer
	if o.MinVersion > 0 && !a.Absent && (!a.Versioned || a.Version < o.MinVersion) {
		return Answer{}, ErrTooOld
	}
	now := t.cache.clock.now()
	a.Age = now.sub(f.start)
	if f.below || a.Age > t.cache.bound && !(f.kept && t.current(f.generation, t.link.proven(), now)) {
		a.State = Stale
	}
	t.cache.metrics.fetched(kind, f.revalidated)
	return a, nil
}

// fallBack answers with what is kept, as STALE, when the origin could not be
// read (C9): never beyond MaxStale after it was last known current, and never
// a critical entry that is known old.
func (t *Tenant) fallBack(kind *Kind, key string, o *ReadOptions, fault error) (Answer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	unavailable := &UnavailableError{RetryAfter: retryAfter(fault), Err: fault}
	s := t.store(kind)
	if s == nil {
		return Answer{}, unavailable
	}
	now := t.cache.clock.now()
	e, c := s.find(t.cache.hash(key), key)
	var a Answer
	switch {
	case e != nil && t.servesStale(kind, e, now) && e.satisfies(o, now):
		e.describe(&a, now)
	case c != nil && t.absenceServesStale(kind, c, now) && satisfies(o, c.verified, now.sub(c.verified)) && o.MinVersion == 0:
		a = c.answer(now)
	default:
		return Answer{}, unavailable
	}
	a.State = Stale
	t.cache.metrics.stale(kind)
	return a, nil
}

func (t *Tenant) absenceServesStale(kind *Kind, c *completeness, now instant) bool {
	return now.sub(t.knownCurrentAt(c.verified, c.generation)) <= kind.MaxStale
}

// answer says that a key is absent from a complete store.
func (c *completeness) answer(now instant) Answer {
	return Answer{Absent: true, Age: now.sub(c.verified), Position: time.Duration(c.verified)}
}

// servesStale says whether an entry may be served STALE. Callers hold mu.
func (t *Tenant) servesStale(kind *Kind, e *entry, now instant) bool {
	if e.is(stub) || e.is(invalidated) && kind.Class == Critical {
		return false
	}
	if e.is(invalidated) { // proofs say nothing more of it
		return now.sub(e.verified) <= kind.MaxStale
	}
	return now.sub(t.knownCurrentAt(e.verified, e.generation)) <= kind.MaxStale
}

// Through reads the origin and keeps nothing: for on-demand kinds, and for
// tenants that are not active on this node. Errors: those of [Tenant.Read].
func (c *Cache) Through(ctx context.Context, tenant string, kind *Kind, key string, o ReadOptions) (Answer, error) {
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
	a.Age = c.clock.now().sub(start)
	if a.Age > c.bound {
		a.State = Stale
	}
	c.metrics.passed(kind)
	return a, nil
}
