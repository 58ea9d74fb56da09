package cache

import (
	"context"
	"slices"
)

// Revalidate reads anew what no list has told of in this generation and what may
// be out of date after a doubt (C6): at most n entries, those read lately first, one after the other,
// each once turn has returned. Of reference kinds only what was read lately:
// nobody may ever ask for the rest. It reports whether there is more. An error is
// that of turn, or says why the origin did not answer, and ends it.
func (t *Tenant) Revalidate(ctx context.Context, n int, turn func(context.Context) error) (more bool, err error) {
	keys := t.doubtful(n + 1)
	for _, k := range keys[:min(n, len(keys))] {
		if err := turn(ctx); err != nil {
			return false, err
		}
		if err := t.verify(ctx, k); err != nil {
			return false, err
		}
	}
	return len(keys) > n, nil
}

// doubtful returns up to n entries to be revalidated.
func (t *Tenant) doubtful(n int) (keys []flightKey) {
	var rest []flightKey
	for _, k := range t.cache.kinds {
		s := t.store(k)
		if s == nil || s.listed.Load() == uint64(t.generation()) {
			continue
		}
		for e := range s.table.Load().all {
			switch read := e.marks.Load()&visited != 0; {
			case len(keys) == n:
				return keys
			case !t.outlives(e):
			case read:
				keys = append(keys, flightKey{k, e.key()})
			case k.Class == Critical && len(rest) < n:
				rest = append(rest, flightKey{k, e.key()})
			}
		}
	}
	return append(keys, rest[:min(len(rest), n-len(keys))]...)
}

// isDoubtful says that something in a store is to be revalidated.
func (t *Tenant) isDoubtful(s *store) bool {
	for e := range s.table.Load().all {
		if t.outlives(e) {
			return true
		}
	}
	return false
}

// outlives says that an entry would be served, were it not for a doubt.
func (t *Tenant) outlives(e *entry) bool {
	return !e.is(negative|stub|invalidated|provisional) && e.generation != t.generation() && t.cache.clock.now() < e.expires
}

// verify has an entry read from the origin, and waits for that. Where too many
// reads of it are in flight already, it waits for one of them first.
func (t *Tenant) verify(ctx context.Context, k flightKey) error {
	for {
		f, verifies := t.verifying(k)
		switch {
		case f == nil:
			return nil
		case !f.wait(ctx, nil):
			return ctx.Err()
		case verifies || f.err != nil:
			return f.err
		}
	}
}

// verifying returns a read of the origin to wait for, and whether it revalidates
// the entry; nil if that is not needed any more.
func (t *Tenant) verifying(k flightKey) (f *flight, verifies bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.store(k.kind)
	if s == nil || t.closed {
		return nil, false
	}
	if e := s.entry(t.cache.hash(k.key), k.key); e == nil || !t.outlives(e) {
		return nil, false
	}
	flights := t.flights[k]
	if i := slices.IndexFunc(flights, func(f *flight) bool { return f.generation == t.generation() }); i >= 0 {
		return flights[i], true
	}
	if len(flights) >= flightsPerKey {
		return flights[0], false
	}
	return t.launch(context.Background(), k.kind, k.key, nil), true
}
