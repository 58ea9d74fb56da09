package cache

// The ETag of a list stands for the content of a store as long as nothing
// edits that: then 304 verifies all of it at once. Events edit it, and so do fills
// with another value or version; what is revalidated one by one stays the same.

// listETag returns the ETag of the list whose content the store has, empty if
// there is none.
func (s *store) listETag() string {
	if s.etagAt != s.edits {
		return ""
	}
	return s.etag
}

// renew puts an entry that an origin read brought. One that says what the store
// said already is no edit. Callers hold mu.
func (t *Tenant) renew(s *store, old, e *entry) (kept bool) {
	etag, edits := s.listETag(), s.edits
	kept = t.put(s, e)
	if etag != "" && kept && s.edits == edits+1 && e.repeats(old) {
		s.etagAt = s.edits
	}
	return kept
}

// repeats says that an entry has the value and the version of the one before.
func (e *entry) repeats(old *entry) bool {
	return old != nil && e.version == old.version && (e.flags^old.flags)&(versioned|negative|stub) == 0 && e.sameValue(old.value())
}

// listed removes what a list does not have, and remembers the ETag of one that
// the store now has the content of. Callers hold mu.
func (t *Tenant) listed(s *store, l *load, etag string) {
	exact := l.pages == 1 && !l.mixed && !l.incomplete && len(l.marks) == 0 && s.edits == l.edits
	t.removeUnlisted(s, l, l.start)
	if !exact || len(etag) > maxETag || !s.holdsOnly(l.keys) {
		etag = ""
	}
	t.charge(int64(len(etag) - len(s.etag)))
	s.etag, s.etagAt = etag, s.edits
}

// holdsOnly says that the store has values of these keys alone.
func (s *store) holdsOnly(keys map[string]struct{}) bool {
	for e := range s.table.Load().all {
		if _, listed := keys[e.key()]; !listed && !e.is(negative) {
			return false
		}
	}
	return true
}

// reverify notes that the list is what it was: everything that is kept of it is
// verified by the read that said so, but for keys that events named meanwhile,
// and absences, of which it said nothing. Callers hold mu.
func (t *Tenant) reverify(s *store, l *load) {
	table := s.table.Load()
	for at := range table.slots {
		e := table.slots[at].Load()
		if e == nil || e == tombstone || e.is(negative) || e.verified >= l.start {
			continue
		}
		if _, marked := l.marks[e.key()]; marked {
			continue
		}
		n := e.with(0, 0)
		n.verified, n.generation, n.expires = l.start, l.generation, l.start.add(jitter(s.ttl()))
		n.lag = lagOf(l.start, t.cache.clock.now())
		t.charge(n.charge() - e.charge())
		table.slots[at].Store(n)
	}
}
