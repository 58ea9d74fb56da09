package cache

// Apply applies what an event says of one entry and reports what became of it.
// It neither waits nor reads the origin.
func (t *Tenant) Apply(c Change) Outcome {
	if !c.Versioned {
		c.Version = 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.storeFor(c.Kind)
	if s == nil || c.Kind.Class == OnDemand {
		return OutcomeIgnoredOld
	}
	if !mutated(mutateLease) {
		t.revoke(c.Kind, c.Key) // an old change too may be newer than what is in flight
	}
	if !mutated(mutateMarks) {
		s.mark(c.Key, c.Versioned)
	}
	old := s.entry(t.cache.hash(c.Key), c.Key)
	if c.isOld(old) {
		return OutcomeIgnoredOld
	}
	switch c.Effect {
	case Set:
		t.set(s, old, &c)
		return OutcomeSet
	case Remove:
		t.remove(s, old, &c)
		return OutcomeRemoved
	default:
		t.invalidate(s, old, &c)
		return OutcomeInvalidated
	}
}

// isOld says that the change tells nothing new: what is kept has its version
// or a higher one (C3). A change of the same version with other content is not
// old: one of the two is wrong, and the origin must say which.
func (c *Change) isOld(e *entry) bool {
	if !c.Versioned || e == nil || c.Version > e.known() {
		return false
	}
	if c.Version < e.known() {
		return true
	}
	switch holds := e.is(versioned) && e.version == c.Version && !e.is(invalidated|stub); c.Effect {
	case Set:
		return holds && !e.is(negative) && e.sameValue(c.Value)
	case Remove:
		return holds && e.is(negative)
	default: // an invalidation of the version that is kept, or repeated
		return holds || e.is(invalidated|stub)
	}
}

// revoke takes the leases of the reads in flight for an entry (C2). Callers
// hold mu.
func (t *Tenant) revoke(k *Kind, key string) {
	for _, f := range t.flights[flightKey{k, key}] {
		f.revoked = true
	}
}

// set puts the value of an event. It is FRESH if it succeeds a version that is
// known current, else PROVISIONAL until the origin confirms it (C4).
func (t *Tenant) set(s *store, old *entry, c *Change) {
	e := t.announced(s, old, c)
	e = e.fill(content{key: c.Key, value: c.Value, etag: keptETag(old)})
	contradicts := c.Versioned && old != nil && c.Version == old.known() && !old.is(invalidated|stub)
	if c.Versioned && !contradicts {
		e.flags |= versioned
	}
	switch {
	case e.succeeds(old):
		e.expires = min(e.expires, old.expires)
	case s.kind.ConfirmAfter > 0 && !mutated(mutateConfirm):
		e.flags |= provisional
	}
	if t.put(s, e) && e.is(provisional) {
		t.schedule(s, c.Key, s.kind.ConfirmAfter)
	}
}

// keptETag is the ETag that an event's value has: none, for it is not the one
// that the origin gave it to.
func keptETag(old *entry) string {
	if old != nil && mutated(mutateETag) {
		return old.etag()
	}
	return ""
}

// succeeds says that no version after that of e, which an event set, can have
// been missed: the one before it is known to have been current when the
// generation began, and the events since then have come. A version alone does
// not say that. The event may be late, and a later one lost before it.
//
// The TTL goes on counting from the origin's last word (C10).
func (e *entry) succeeds(old *entry) bool {
	return old != nil && e.is(versioned) && old.is(versioned) && !old.is(provisional|stub) &&
		old.generation == e.generation && e.generation.begun() && e.verified < old.expires
}

// remove makes the entry absent, to be confirmed at the origin.
func (t *Tenant) remove(s *store, old *entry, c *Change) {
	e := t.announced(s, old, c)
	e = e.fill(content{key: c.Key})
	e.flags |= negative | provisional
	if c.Versioned {
		e.flags |= versioned
	}
	if t.put(s, e) {
		t.schedule(s, c.Key, s.kind.ConfirmAfter)
	}
}

// announced returns an entry as an event makes it, without content.
func (t *Tenant) announced(s *store, old *entry, c *Change) *entry {
	now := t.cache.clock.now()
	e := &entry{
		version: c.Version, floor: max(old.known(), c.Version), generation: t.generation(),
		verified: now, expires: now.add(jitter(s.ttl())), hash: t.cache.hash(c.Key), flags: fromEvent,
	}
	if old != nil {
		e.marks.Store(old.marks.Load() & visited)
	}
	return e
}

// invalidate makes what is kept known old. Where nothing is kept it leaves a
// stub if absence could otherwise be concluded, or a floor was announced. An
// invalidation without a version may announce any: nothing succeeds it.
func (t *Tenant) invalidate(s *store, old *entry, c *Change) {
	switch {
	case old != nil:
		e := old.with(invalidated, provisional|low)
		if e.floor = max(old.known(), c.Version); mutated(mutateFloor) {
			e.floor = old.floor
		}
		if !c.Versioned || old.is(provisional) {
			e.generation = 0
		}
		t.put(s, e)
	case (c.Versioned || s.mustMark()) && !mutated(mutateCompleteness):
		e := t.announced(s, nil, c)
		e = e.fill(content{key: c.Key})
		e.flags |= stub
		t.put(s, e)
	}
}
