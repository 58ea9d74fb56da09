package cache

import (
	"context"
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

// Recall answers from memory, as [Tenant.Read] would, or not at all.
func (t *Tenant) Recall(kind *Kind, key string, o ReadOptions) (a Answer, ok bool) {
	if kind.Class == OnDemand {
		return a, false
	}
	ok = t.recall(kind, key, &o, &a)
	return a, ok
}

// recall answers from memory without a lock, or not at all. The answer is made
// in place: copying it would cost as much as finding the entry.
func (t *Tenant) recall(kind *Kind, key string, o *ReadOptions, a *Answer) bool {
	s := t.store(kind)
	if s == nil {
		return false
	}
	start := s.tally.begin(&t.cache.clock)
	proof := t.link.proven() // before the value is read, and now after it (C0)
	e, c := s.find(t.cache.hash(key), key)
	now := t.cache.clock.now()
	t.touch(now)
	switch {
	case e != nil && t.knows(e, o, proof, now):
		e.hit()
		e.describe(a, now)
		if e.isAging(kind, now) {
			t.refresh(kind, e, now)
		}
	case e == nil && c != nil && t.knowsAbsence(c, o, proof, now):
		*a = c.answer(now)
	default:
		return false
	}
	s.tally.recalled(a.Absent, start, now)
	return true
}

// knows says that an entry is FRESH or PROVISIONAL at now and satisfies the
// options.
func (t *Tenant) knows(e *entry, o *ReadOptions, proof, now instant) bool {
	if e.is(invalidated|stub) || now >= e.expires || !e.satisfies(o, now) {
		return false
	}
	return t.current(e.generation, proof, now) || !e.is(fromEvent) && now.sub(e.verified) <= t.cache.bound
}

// knowsAbsence says that the completeness of a store is FRESH at now and
// satisfies the options.
func (t *Tenant) knowsAbsence(c *completeness, o *ReadOptions, proof, now instant) bool {
	age := now.sub(c.verified)
	if now >= c.expires || !satisfies(o, c.verified, age) || o.MinVersion > 0 {
		return false
	}
	return t.current(c.generation, proof, now) || age <= t.cache.bound
}

// satisfies reports whether the options allow an answer verified at the given
// instant.
func satisfies(o *ReadOptions, verified instant, age time.Duration) bool {
	if o.HasMaxAge && (age > o.MaxAge || o.MaxAge == 0) {
		return false
	}
	return verified >= instant(o.Settled) || verified == instant(o.Position)
}

func (e *entry) satisfies(o *ReadOptions, now instant) bool {
	if o.MinVersion > 0 && (!e.is(versioned) || e.version < o.MinVersion) {
		return false
	}
	if o.Position > 0 && e.is(provisional) && e.verified != instant(o.Position) {
		return false
	}
	return satisfies(o, e.verified, now.sub(e.verified))
}

// describe makes the entry at now an answer, FRESH or PROVISIONAL. The answer
// is zero before.
func (e *entry) describe(a *Answer, now instant) {
	a.Value, a.Absent = e.value(), e.is(negative)
	a.Version, a.Versioned = e.version, e.is(versioned)
	a.Age, a.Position, a.Settled = now.sub(e.verified), time.Duration(e.verified), time.Duration(min(e.settled(), now))
	if e.is(provisional) {
		a.State = Provisional
	}
	if e.is(fromEvent) {
		a.Via = FromEvent
	}
}
