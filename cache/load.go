package cache

import (
	"context"
	"errors"
	"fmt"
)

// load is a list read in flight: a lease of every key it may hold (C2).
// Guarded by the tenant's mutex.
type load struct {
	done       chan struct{}
	marks      map[string]bool // keys that events named meanwhile; true: without a version
	overflow   bool            // more than maxMarks
	incomplete bool            // an entry was removed without the origin's word
	generation generation
	start      instant    // of the list
	pageStart  instant    // of the page in flight
	pageGen    generation // when it began
	pages      int
	etag       string              // of the earlier list that was asked about
	edits      uint64              // of the store when the last page was kept
	mixed      bool                // something of the list was not kept as it is
	keys       map[string]struct{} // listed so far
}

// maxMarks bounds the keys marked during a load; beyond, it is restarted.
const maxMarks = 4096

// loadTries bounds how often a load that overflowed is restarted before it
// goes without completeness.
const loadTries = 3

// ErrOverflow says that so many events came during each try of a list read
// that what it brought could no longer be told from what they made old.
var ErrOverflow = errors.New("too many events during the list read")

// Load reads the list of a kind from the origin, keeps what it brings, and,
// where the kind allows, gains completeness. Loads of one kind follow one
// another. Errors: [ErrAbsent] if the origin has no such list, which says
// nothing of single items; a [*FaultError], [ErrOverflow], or that of ctx.
func (t *Tenant) Load(ctx context.Context, kind *Kind) error {
	return t.LoadPaced(ctx, kind, func(context.Context) error { return nil })
}

// LoadPaced is Load, but waits for a turn before it asks the origin, and for
// another for each further page. An error of turn ends it.
func (t *Tenant) LoadPaced(ctx context.Context, kind *Kind, turn func(context.Context) error) error {
	for range loadTries {
		if err := turn(ctx); err != nil {
			return err
		}
		l, s, err := t.beginLoad(ctx, kind, 1)
		if err != nil || l == nil {
			return err
		}
		etag, err := t.cache.source.List(ctx, t.name, kind, l.etag, func(docs []Document) error {
			if l.pages > 0 {
				if err := turn(ctx); err != nil {
					return err
				}
			}
			return t.page(s, l, docs)
		})
		if again := t.endLoad(s, l, etag, err); !again {
			return listFault(t.name, kind, err)
		}
	}
	return ErrOverflow
}

func listFault(tenant string, kind *Kind, err error) error {
	if err == nil || errors.Is(err, ErrNotModified) {
		return nil
	}
	return fmt.Errorf("list %s of tenant %s: %w", kind.Name, tenant, err)
}

// beginLoad takes the store's turn to load, which begins with so many requests of the
// origin; nil if the tenant is closed.
func (t *Tenant) beginLoad(ctx context.Context, kind *Kind, requests uint64) (*load, *store, error) {
	for {
		l, s, other := t.tryLoad(kind, requests)
		if other == nil {
			return l, s, nil
		}
		select {
		case <-other:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

func (t *Tenant) tryLoad(kind *Kind, requests uint64) (l *load, s *store, other <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s = t.storeFor(kind)
	if s == nil {
		return nil, nil, nil
	}
	if s.load != nil {
		return nil, nil, s.load.done
	}
	now, g := t.cache.clock.now(), t.generation()
	l = &load{
		done: make(chan struct{}), marks: map[string]bool{}, keys: map[string]struct{}{},
		generation: g, start: now, pageStart: now, pageGen: g, etag: s.listETag(),
	}
	s.load = l
	t.requests += requests
	return l, s, nil
}

// page keeps one page of the list. The request of the next one begins when it
// returns.
func (t *Tenant) page(s *store, l *load, docs []Document) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return context.Canceled
	case l.overflow:
		return ErrOverflow
	}
	for i := range docs {
		l.keys[docs[i].Key] = struct{}{}
		t.keepListed(s, l, &docs[i])
	}
	if l.pages++; l.pages > 1 {
		t.requests++
	}
	l.pageStart, l.pageGen, l.edits = t.cache.clock.now(), t.generation(), s.edits
	return nil
}

// keepListed keeps one document of a page. A marked key is filled only by a
// higher version than its events left, and not at all if one of them had none.
func (t *Tenant) keepListed(s *store, l *load, d *Document) {
	f := fill{
		content: content{key: d.Key, value: d.Value, etag: d.ETag}, hash: t.cache.hash(d.Key),
		version: d.Version, versioned: d.Versioned, start: l.pageStart, generation: l.pageGen,
	}
	if unordered, marked := l.marks[d.Key]; marked {
		old := s.entry(f.hash, d.Key)
		if !unordered && f.precedes(old) {
			old = t.vouched(s, old, &f)
		}
		if unordered || !f.versioned || f.version <= old.known() {
			return
		}
	}
	kept, below := t.keep(s, f)
	l.mixed = l.mixed || !kept
	if !kept && !below && s.entry(f.hash, d.Key) == nil {
		l.incomplete = true // it does not fit
	}
	t.followUp(s, d.Key, false)
}

// precedes says that the value of an event is known current because the origin
// still had a lower version when the read began, after which the event came:
// none since then, in this generation, can have been missed.
func (f *fill) precedes(e *entry) bool {
	return f.versioned && e != nil && e.is(versioned) && e.is(provisional) && !e.is(negative) &&
		f.version < e.version && f.start < e.verified && f.generation == e.generation && e.generation.begun()
}

// vouched makes an entry FRESH that a fill precedes.
func (t *Tenant) vouched(s *store, old *entry, f *fill) *entry {
	t.settled(old)
	e := old.with(0, provisional)
	e.expires = min(old.expires, f.start.add(jitter(s.ttl())))
	t.put(s, e)
	return e
}

// endLoad ends the load and reports whether it must be restarted.
func (t *Tenant) endLoad(s *store, l *load, etag string, err error) (again bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.load = nil
	close(l.done)
	whole := err == nil && (l.pages <= 1 || s.kind.Snapshot)
	switch {
	case t.closed:
		return false
	case l.overflow:
		return err == nil || errors.Is(err, ErrOverflow)
	case errors.Is(err, ErrNotModified) && s.listETag() == "":
		return true // no longer what was asked about
	case errors.Is(err, ErrNotModified):
		t.reverify(s, l)
	case !whole:
		return false
	default:
		t.listed(s, l, etag)
	}
	s.listed.Store(uint64(l.generation))
	if !l.incomplete {
		s.complete.Store(&completeness{
			generation: l.generation, verified: l.start, settled: t.cache.clock.now(), expires: l.start.add(jitter(s.kind.TTL)),
		})
	}
	return false
}

// removeUnlisted removes what was verified before the start of a list that does
// not have it: by the origin's word it does not exist.
func (t *Tenant) removeUnlisted(s *store, l *load, start instant) {
	table := s.table.Load()
	for at := range table.slots {
		e := table.slots[at].Load()
		if e == nil || e == tombstone || e.verified >= start {
			continue
		}
		_, listed := l.keys[e.key()]
		_, marked := l.marks[e.key()]
		if !listed && !marked {
			t.settled(e)
			t.removeAt(s, table, at)
		}
	}
	t.shrink(s)
}

// mark notes that an event named a key while a list is in flight.
func (s *store) mark(key string, versioned bool) {
	switch l := s.load; {
	case l == nil:
	case len(l.marks) >= maxMarks:
		l.overflow = true
	default:
		l.marks[key] = l.marks[key] || !versioned
	}
}
