package cache

import (
	"errors"
	"slices"
	"time"
)

// Form says what is handed over of an item.
type Form uint8

const (
	// HandedValue is a value.
	HandedValue Form = iota
	// HandedAbsent is an absence: the origin said that there is no such item.
	HandedAbsent
	// HandedStub says that there may be such an item, whose value is not kept, or known
	// old: completeness does not make it absent, and its floor counts.
	HandedStub
)

// Handed is an entry as one node hands it to another. Its durations are as of when it
// was exported.
type Handed struct {
	Key  string
	Form Form
	// Value is the canonical JSON value of a HandedValue. [Tenant.Import] copies it.
	Value []byte
	// Age is the time since it was verified, Lag that from then to when the value had
	// been read, and Left that until it expires.
	Age, Lag, Left time.Duration
	// Version is meaningful when Versioned is set.
	Version   uint64
	Versioned bool
	// Floor is the lowest version that may be kept; 0: there is none.
	Floor uint64
	ETag  string
	// Provisional values were announced by an event without a version, and are not
	// confirmed; FromEvent values came with an event.
	Provisional, FromEvent bool
	// KnownOld values, of reference kinds, may be served STALE alone: an event said
	// that they changed.
	KnownOld bool
	// Current says that it was verified under the exporter's generation.
	Current bool
}

// Whole is a kind of which every entry was handed over, so that absence means no.
type Whole struct {
	Kind *Kind
	// Age is the time since the list was asked for that it comes from.
	Age time.Duration
}

// End is how an export ended.
type End struct {
	// Kinds are those that were handed over.
	Kinds []*Kind
	// Whole are those of them that are complete.
	Whole []Whole
	// Undoubted says that no doubt arose from the fence to here. Otherwise nothing of
	// what was handed over is known current.
	Undoubted bool
}

// ErrClosed says that the tenant's activation ended: what was handed over is not all.
var ErrClosed = errors.New("the tenant is no longer active")

// Export hands over what is kept of some kinds, in pages of about so many bytes, of
// which page must keep nothing. Behind is the generation of before the fence. Errors:
// [ErrClosed], or that of page, which ends it.
func (t *Tenant) Export(kinds []*Kind, behind uint64, pageBytes int, page func(*Kind, []Handed) error) (End, error) {
	e := &export{Tenant: t, generation: generation(behind), pageBytes: pageBytes, page: page}
	end := End{}
	for _, k := range kinds {
		if k.Class == OnDemand {
			continue
		}
		w, ok, err := e.kind(k)
		if err != nil {
			return End{}, err
		}
		end.Kinds = append(end.Kinds, k)
		if ok {
			end.Whole = append(end.Whole, w)
		}
	}
	if t.isClosed() {
		return End{}, ErrClosed
	}
	if end.Undoubted = t.generation() == e.generation; !end.Undoubted {
		end.Whole = nil
	}
	return end, nil
}

// Keeps reports whether there is any entry of some kinds.
func (t *Tenant) Keeps(kinds []*Kind) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.ContainsFunc(kinds, func(k *Kind) bool {
		s := t.store(k)
		return s != nil && s.table.Load().live > 0
	})
}

func (t *Tenant) isClosed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}

// export is one export in work.
type export struct {
	*Tenant
	generation generation
	pageBytes  int
	page       func(*Kind, []Handed) error
}

// handedSize is about what an entry takes beside key, value and ETag.
const handedSize = 64

// kind hands over one kind, and reports whether that was all of it. The table is
// read as readers do, without a lock. A key that is added meanwhile may be missing in
// it; completeness still holds at the receiver, as it does here for whoever has just
// been told that the key is absent: the event of that change was published after the
// fence was asked for, and comes to the receiver itself. A removal without the
// origin's word voids completeness, which then is another.
func (e *export) kind(k *Kind) (w Whole, whole bool, err error) {
	s := e.store(k)
	if s == nil {
		return w, false, nil
	}
	complete := s.complete.Load()
	now := e.cache.clock.now()
	var pending []Handed
	size := 0
	send := func() error {
		some := pending
		pending, size = nil, 0
		if len(some) == 0 {
			return nil
		}
		return e.page(k, some)
	}
	for one := range s.table.Load().all {
		if n := int(one.size) + handedSize; size > 0 && size+n > e.pageBytes {
			if err := send(); err != nil {
				return w, false, err
			}
			now = e.cache.clock.now()
		}
		size += int(one.size) + handedSize
		pending = append(pending, e.hand(k, one, now))
	}
	if err := send(); err != nil {
		return w, false, err
	}
	if complete == nil || complete != s.complete.Load() || complete.generation != e.generation || now >= complete.expires {
		return w, false, nil
	}
	return Whole{Kind: k, Age: e.cache.clock.now().sub(complete.verified)}, true, nil
}

// hand returns an entry as it is handed over. What may no longer be served, not even
// STALE, is a stub.
func (e *export) hand(k *Kind, one *entry, now instant) Handed {
	if !e.isServed(k, one, now) {
		return Handed{Key: one.key(), Form: HandedStub, Floor: one.known(), Current: true}
	}
	h := Handed{
		Key: one.key(), Age: max(0, now.sub(one.verified)), Lag: time.Duration(one.lag) * time.Millisecond, Left: max(0, one.expires.sub(now)),
		Version: one.version, Versioned: one.is(versioned), Floor: one.floor, ETag: one.etag(),
		Provisional: one.is(provisional), FromEvent: one.is(fromEvent), KnownOld: one.is(invalidated),
		Current: one.generation == e.generation && !one.is(invalidated) && now < one.expires,
	}
	if one.is(negative) {
		h.Form = HandedAbsent
	} else {
		h.Value = one.value()
	}
	return h
}

// isServed says that an entry may be served, as STALE at least.
func (e *export) isServed(k *Kind, one *entry, now instant) bool {
	switch {
	case one.is(stub), one.is(invalidated) && (k.Class == Critical || one.is(negative)):
		return false
	case one.is(invalidated), now >= one.expires:
		return !one.is(negative) && now.sub(one.verified) <= k.MaxStale
	}
	return true
}
