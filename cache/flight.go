package cache

import (
	"context"
	"errors"
	"time"
)

// flight is one origin read of one item, and its lease: the right to fill the
// entry, which an event for the entry revokes (C2). It runs detached from
// those who wait for it, with a time-out of its own.
type flight struct {
	start      instant
	generation generation
	base       *entry        // what a 304 would confirm; nil: read without condition
	slot       chan struct{} // to free at the end, of a read that nobody waits for
	done       chan struct{}

	// Guarded by the tenant's mutex.
	revoked bool
	final   bool // confirms a document below the floor: its word stands (C3)

	// The result, written before done is closed.
	answer      Answer
	err         error
	kept        bool
	below       bool // the document is older than an event announced
	revalidated bool // the origin said that what is kept still holds
}

type flightKey struct {
	kind *Kind
	key  string
}

// flightsPerKey bounds the origin reads of one item at once. A read that may
// not join any of them waits for one to end: it may then join the next.
const flightsPerKey = 2

// join returns a flight to wait for: one that may answer the read (joined), a
// new one if there is none, or, where too many are in flight already, the
// newest, only to wait for its end. It returns no flight where memory can
// answer by now.
func (t *Tenant) join(ctx context.Context, kind *Kind, key string, o *ReadOptions, arrival instant) (f *flight, joined bool, a Answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.recall(kind, key, o, &a) {
		return nil, false, a
	}
	if flights := t.flights[flightKey{kind, key}]; len(flights) > 0 {
		newest := flights[len(flights)-1]
		if !newest.revoked && newest.start >= oldest(o, arrival, t.cache.bound) {
			return newest, true, Answer{}
		}
		if len(flights) >= flightsPerKey {
			return newest, false, Answer{}
		}
	}
	return t.launch(context.WithoutCancel(ctx), kind, key, nil), true, Answer{}
}

// launch starts an origin read of an item, with the values of a context that is
// not canceled: they say what it is traced as. A read that nobody waits for gives
// the slot that it holds, to be freed at the end. Callers hold mu.
func (t *Tenant) launch(ctx context.Context, kind *Kind, key string, slot chan struct{}) *flight {
	f := &flight{
		start: t.cache.clock.now(), generation: t.generation(), slot: slot, done: make(chan struct{}),
	}
	if s := t.storeFor(kind); s != nil {
		f.depart(s.entry(t.cache.hash(key), key))
	}
	if t.flights == nil {
		t.flights = make(map[flightKey][]*flight)
	}
	k := flightKey{kind, key}
	t.flights[k] = append(t.flights[k], f)
	t.requests++
	go t.fly(ctx, k, f) //nolint:gosec // detached on purpose: it serves whoever waits, and has its own time-out
	return f
}

// depart notes what is kept at the start of the flight.
func (f *flight) depart(e *entry) {
	if e != nil && e.etagLen > 0 && (!e.is(fromEvent|negative|stub) || mutated(mutateETag)) {
		f.base = e
	}
}

// wait waits for the flight to land, but not beyond ctx, nor beyond enough.
func (f *flight) wait(ctx context.Context, enough <-chan time.Time) (landed bool) {
	select {
	case <-f.done:
		return true
	case <-enough:
	case <-ctx.Done():
	}
	return false
}

// fly reads the origin and fills the entry.
func (t *Tenant) fly(ctx context.Context, k flightKey, f *flight) {
	_ = t.cache.flying.Acquire(context.Background(), 1) // never more than there is
	defer t.cache.flying.Release(1)
	ctx, cancel := context.WithTimeout(ctx, t.cache.fillTimeout)
	defer cancel()
	var etag string
	if f.base != nil {
		etag = f.base.etag()
	}
	doc, err := t.cache.source.One(ctx, t.name, k.kind, k.key, etag)
	t.settle(k, f, doc, err)
	close(f.done)
	if f.slot != nil {
		<-f.slot
	}
}

// settle takes the flight out, fills the entry if the lease still holds, and
// sees to it that what is unconfirmed will be confirmed.
func (t *Tenant) settle(k flightKey, f *flight, doc Document, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leave(k, f)
	fill, err := t.filling(k, f, doc, err)
	s := t.storeFor(k.kind)
	if err != nil {
		f.err = err
	} else {
		f.answer = fill.answer()
		if s != nil && !f.revoked {
			f.kept, f.below = t.keep(s, fill)
		} else if s != nil {
			f.below = fill.below(s.entry(fill.hash, k.key))
		}
	}
	if s != nil {
		t.followUp(s, k.key, err != nil)
	}
}

// leave takes a flight out of those under way. Callers hold mu.
func (t *Tenant) leave(k flightKey, f *flight) {
	flights := t.flights[k]
	for i := range flights {
		if flights[i] == f {
			flights = append(flights[:i:i], flights[i+1:]...)
			break
		}
	}
	if len(flights) == 0 {
		delete(t.flights, k)
	} else {
		t.flights[k] = flights
	}
	if len(t.flights) == 0 {
		t.flights = nil
	}
}

// filling makes a fill of what an origin read returned: 200, 304 and 404 alike.
func (t *Tenant) filling(k flightKey, f *flight, doc Document, err error) (fill, error) {
	fl := fill{
		content: content{key: k.key, value: doc.Value, etag: doc.ETag}, hash: t.cache.hash(k.key),
		version: doc.Version, versioned: doc.Versioned, start: f.start, generation: f.generation, final: f.final,
	}
	if mutated(mutateGeneration) {
		fl.generation = t.generation()
	}
	switch {
	case err == nil:
	case errors.Is(err, ErrAbsent):
		fl.absent, fl.content.value, fl.content.etag = true, nil, ""
	case errors.Is(err, ErrNotModified) && f.base != nil:
		fl.content.value, fl.content.etag = f.base.value(), f.base.etag()
		fl.version, fl.versioned = f.base.version, f.base.is(versioned)
		f.revalidated = true
	case errors.Is(err, ErrNotModified):
		return fill{}, &FaultError{Reason: "malformed", Err: err}
	default:
		return fill{}, err
	}
	return fl, nil
}

// defaultRetryAfter is the delay asked of clients when the origin named none.
const defaultRetryAfter = time.Second

func retryAfter(err error) time.Duration {
	if f, ok := errors.AsType[*FaultError](err); ok && f.RetryAfter > 0 {
		return f.RetryAfter
	}
	return defaultRetryAfter
}
