package cache

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// importing is one import in work: a lease of every key of some kinds (C2), as the
// read of a list is one, so that events leave marks. What comes is kept, and known
// current only once it has ended well.
type importing struct {
	*Tenant
	stores map[*Kind]*importedStore
}

type importedStore struct {
	*store
	*load
	// handed are the entries that the exporter knew to be current, as they were put:
	// one that is another by the end was replaced by something newer.
	handed []*entry
	// oldest is the greatest age of those that it did.
	oldest time.Duration
}

// Import takes what another node hands over of some kinds. It is ready to be
// told before pull is called, which asks for it, gives each page to keep, and returns
// how the export ended. Nothing of one that broke off, or ended in doubt, is known
// current. Returned are the kinds that are here now as they are there, none if that is
// not known, and the age of what is oldest of it. Errors: that of pull, [ErrOverflow] if more events came meanwhile than can be
// told apart, [ErrClosed], or that of ctx.
func (t *Tenant) Import(ctx context.Context, kinds []*Kind, pull func(keep func(*Kind, []Handed) error) (End, error)) (taken []*Kind, oldest time.Duration, err error) {
	i := &importing{Tenant: t, stores: make(map[*Kind]*importedStore)}
	if err := i.begin(ctx, kinds); err != nil {
		return i.end(End{}, err)
	}
	end, err := pull(i.keep)
	return i.end(end, err)
}

// begin takes the turns of all stores, in the order of their kinds, so that two imports
// cannot wait for each other.
func (i *importing) begin(ctx context.Context, kinds []*Kind) error {
	kinds = slices.SortedFunc(slices.Values(kinds), func(a, b *Kind) int { return cmp.Compare(a.ID, b.ID) })
	for _, k := range kinds {
		if k.Class == OnDemand {
			continue
		}
		l, s, err := i.beginLoad(ctx, k, 0)
		if err != nil {
			return err
		}
		if l == nil {
			return ErrClosed
		}
		i.stores[k] = &importedStore{store: s, load: l}
	}
	return nil
}

// keep keeps one page.
func (i *importing) keep(k *Kind, entries []Handed) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := i.stores[k]
	switch {
	case s == nil:
		return nil // not asked for
	case i.closed:
		return ErrClosed
	case s.overflow:
		return ErrOverflow
	}
	for n := range entries {
		s.keys[entries[n].Key] = struct{}{}
		i.keepHanded(s, &entries[n])
	}
	return nil
}

// keepHanded keeps one entry, unless what is here knows better.
func (i *importing) keepHanded(s *importedStore, h *Handed) {
	old := s.entry(i.cache.hash(h.Key), h.Key)
	if h.Current {
		s.oldest = max(s.oldest, h.Age)
	}
	switch {
	case i.knowsBetter(s, old, h):
	case h.Form == HandedStub:
		i.keepStub(s, old, h)
	default:
		i.putHanded(s, old, h)
	}
}

// knowsBetter says that an event that came since the import began, or what is kept
// here, is newer than what was handed over, or may be.
func (i *importing) knowsBetter(s *importedStore, old *entry, h *Handed) bool {
	newer := h.Versioned && h.Version > old.known()
	if unordered, marked := s.marks[h.Key]; marked && (unordered || !newer) {
		return true
	}
	if old == nil {
		return false
	}
	switch later := old.verified >= s.start.add(-h.Age); {
	case i.holds(old), h.below(old):
		return true
	case h.Current, h.Form == HandedStub:
		return later && !newer && h.contradicts(old)
	default: // what made it old here may have been missed there
		return old.is(invalidated) || later
	}
}

// contradicts says that the origin gave something else to this node. If that was later,
// it is newer, though no event has told the exporter so yet.
func (h *Handed) contradicts(e *entry) bool {
	return h.Form != HandedStub && !e.is(invalidated|stub|provisional|fromEvent) && !h.repeats(e)
}

// repeats says that what is handed over has the value and the version of an entry.
func (h *Handed) repeats(e *entry) bool {
	return e.flags&(versioned|negative|stub) == h.flags()&(versioned|negative) && (!h.Versioned || h.Version == e.version) && e.sameValue(h.Value)
}

// below says that a version handed over is one that an event, or a document, has
// replaced here.
func (h *Handed) below(e *entry) bool {
	return h.Versioned && h.Form == HandedValue && h.Version < e.known()
}

// holds says that an entry is known current here: what another node has can say
// nothing that is newer, and what is put in its place is not known current yet.
func (i *importing) holds(e *entry) bool {
	return e.generation == i.generation() && e.generation.begun() && !e.is(invalidated|stub|provisional) && i.cache.clock.now() < e.expires
}

// keepStub notes that there is an item of which nobody knows the value.
func (i *importing) keepStub(s *importedStore, old *entry, h *Handed) {
	switch {
	case old == nil:
		e := &entry{floor: h.Floor, verified: s.start, expires: s.start.add(jitter(s.ttl())), hash: i.cache.hash(h.Key), flags: stub}
		s.incomplete = !i.put(s.store, e.fill(content{key: h.Key})) || s.incomplete
	case old.known() < h.Floor:
		e := old.with(invalidated, provisional|low)
		e.floor, e.generation = h.Floor, 0
		i.put(s.store, e)
	}
}

// putHanded puts one entry. It is not known current yet: its generation is none.
func (i *importing) putHanded(s *importedStore, old *entry, h *Handed) {
	e := i.imported(s, old, h)
	if !e.is(provisional) {
		i.settled(old)
	}
	if !i.put(s.store, e) {
		s.incomplete = true
		return
	}
	if h.Current {
		s.handed = append(s.handed, e)
	}
	if e.is(provisional) {
		i.schedule(s.store, h.Key, cmp.Or(s.kind.ConfirmAfter, recheckAfter))
	} else {
		s.settleConfirm(h.Key)
	}
}

// imported returns an entry that was handed over as it is kept here. It was verified
// no earlier than its age before the question, and expires no later than there: a
// handoff prolongs nothing.
func (i *importing) imported(s *importedStore, old *entry, h *Handed) *entry {
	e := &entry{verified: s.start.add(-min(h.Age, beforeStart/2)), hash: i.cache.hash(h.Key), flags: h.flags()}
	if h.Versioned {
		e.version = h.Version
	}
	ttl := s.ttl()
	if h.Form == HandedAbsent {
		ttl = s.kind.NegativeTTL
	}
	e.floor = max(old.known(), h.Floor, e.version)
	e.expires = min(s.start.add(h.Left), e.verified.add(jitter(ttl)))
	e.lag = lagOf(s.start.add(-h.Lag), i.cache.clock.now())
	e = e.fill(content{key: h.Key, value: h.Value, etag: h.ETag})
	if old != nil && old.verified > e.verified && !old.is(invalidated|provisional|fromEvent) && !e.is(provisional|fromEvent) && h.repeats(old) {
		e.verified, e.expires, e.lag = old.verified, old.expires, old.lag // this node has asked later
	}
	return e
}

func (h *Handed) flags() (f flags) {
	if h.Versioned {
		f |= versioned
	}
	if h.Form == HandedAbsent {
		f |= negative
	}
	if h.Provisional {
		f |= provisional
	}
	if h.FromEvent {
		f |= fromEvent
	}
	if h.KnownOld {
		f |= invalidated
	}
	return f
}

// end gives the turns back. What was handed over well is known current from now on.
func (i *importing) end(end End, err error) (taken []*Kind, oldest time.Duration, _ error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, s := range i.stores {
		if s.store.load = nil; s.overflow && err == nil {
			err = ErrOverflow
		}
		close(s.done)
	}
	if i.closed && err == nil {
		err = ErrClosed
	}
	if err != nil || !end.Undoubted {
		return nil, 0, err
	}
	for _, s := range i.stores {
		i.promote(s)
	}
	for _, w := range end.Whole {
		if s := i.stores[w.Kind]; s != nil {
			i.complete(s, w.Age)
			s.oldest = w.Age
		}
	}
	for _, k := range end.Kinds {
		if s := i.stores[k]; s != nil {
			taken, oldest = append(taken, k), max(oldest, s.oldest)
		}
	}
	return taken, oldest, nil
}

// promote makes the entries that were handed over as current, and are still there,
// known current in the generation in which the import began.
func (i *importing) promote(s *importedStore) {
	table := s.table.Load()
	for _, e := range s.handed {
		at, found := table.slot(e.hash, e.key())
		if !found || table.slots[at].Load() != e {
			continue
		}
		n := e.with(0, 0)
		n.generation = s.generation
		i.charge(n.charge() - e.charge())
		table.slots[at].Store(n)
	}
}

// complete gives the store completeness, unless something did not fit, and removes
// what the exporter, which had all there is, did not have. What this node has read since
// the list that the exporter had it from stays.
func (i *importing) complete(s *importedStore, age time.Duration) {
	verified := s.start.add(-min(age, beforeStart/2))
	i.removeUnlisted(s.store, s.load, verified)
	if !i.isDoubtful(s.store) {
		s.listed.Store(uint64(s.generation))
	}
	if s.incomplete {
		return
	}
	s.complete.Store(&completeness{
		generation: s.generation, verified: verified, settled: i.cache.clock.now(), expires: verified.add(jitter(s.kind.TTL)),
	})
}
