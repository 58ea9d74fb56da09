package cache

// Apply applies what an event says of one entry and reports what became of it.
// It neither waits nor reads the origin.
func (t *Tenant) Apply(c Change) Outcome {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.storeFor(c.Kind)
	if s == nil || c.Kind.Class == OnDemand {
		return OutcomeIgnoredOld
	}
	old := s.entry(t.cache.hash(c.Key), c.Key)
	if c.isOld(old) {
		return OutcomeIgnoredOld
	}
	t.revoke(c.Kind, c.Key)
	s.mark(c.Key, c.Versioned)
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

// set puts the value of an event. It is FRESH if its version is higher than
// any known, else PROVISIONAL until the origin confirms it (C4).
func (t *Tenant) set(s *store, old *entry, c *Change) {
	e := t.announced(s.kind, old, c)
	e.fill(content{key: c.Key, value: c.Value})
	contradicts := c.Versioned && old != nil && c.Version == old.known() && !old.is(invalidated|stub)
	if c.Versioned && !contradicts {
		e.flags |= versioned
	} else if s.kind.ConfirmAfter > 0 {
		e.flags |= provisional
	}
	if t.put(s, e) && e.is(provisional) {
		t.schedule(s, c.Key, s.kind.ConfirmAfter)
	}
}

// remove makes the entry absent, to be confirmed at the origin.
func (t *Tenant) remove(s *store, old *entry, c *Change) {
	e := t.announced(s.kind, old, c)
	e.fill(content{key: c.Key})
	e.flags |= negative | provisional
	if c.Versioned {
		e.flags |= versioned
	}
	if t.put(s, e) {
		t.schedule(s, c.Key, s.kind.ConfirmAfter)
	}
}

// announced returns an entry as an event makes it, without content.
func (t *Tenant) announced(k *Kind, old *entry, c *Change) *entry {
	now := t.cache.clock.now()
	e := &entry{
		version: c.Version, floor: max(old.known(), c.Version), generation: t.generation(),
		verified: now, expires: now.add(jitter(k.TTL)), hash: t.cache.hash(c.Key), flags: fromEvent,
	}
	if old != nil {
		e.visited.Store(old.visited.Load())
	}
	return e
}

// invalidate makes what is kept known old. Where nothing is kept it leaves a
// stub if absence could otherwise be concluded, or a floor was announced.
func (t *Tenant) invalidate(s *store, old *entry, c *Change) {
	switch {
	case old != nil:
		e := old.with(invalidated, provisional|low)
		e.floor = max(old.known(), c.Version)
		t.put(s, e)
	case c.Versioned || s.mustMark():
		e := t.announced(s.kind, nil, c)
		e.fill(content{key: c.Key})
		e.flags |= stub
		t.put(s, e)
	}
}
