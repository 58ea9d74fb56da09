package shard

import (
	"sync"
	"time"

	"github.com/tenantry/tenantry/cache"
)

// State is where a tenant is in its life on this node.
type State uint8

// The states of a tenant, in their order. Cold is never stored: a cold tenant
// is one that the node does not have.
const (
	Cold        State = iota
	Subscribing       // followed; its channels are not all confirmed
	Loading           // confirmed; the lists of its critical kinds are being read
	Live              // every list has been kept
	Draining          // let go; it only serves the reads that found it before
)

// String returns the state as tables and metrics spell it.
func (s State) String() string {
	return [...]string{"cold", "subscribing", "loading", "live", "draining"}[s]
}

// tenant is one activation of a tenant. Its entries are always readable, in
// every state: the state decides only what is done for it.
//
// The mutex guards the fields below it and is never held while anything else
// is called. Who moves the state on:
//
//   - the bus handler: Subscribing → Loading, when the channels are confirmed
//   - a loader: Loading → Live
//   - whoever lets go (idle, dropped, shutdown): any → Draining, once
//
// A tenant that is confirmed anew after a reconnect stays Live and is loaded
// again; want counts its confirmations.
type tenant struct {
	name  string
	cache *cache.Tenant

	mu      sync.Mutex
	state   State
	since   time.Time // in this state
	queued  bool      // in the loaders' queue, in a loader's hands, or waiting to be retried
	want    uint32
	missing []*cache.Kind // not loaded since the last confirmation; shared, not written to
	retries int
	retryAt time.Time // when a failed load is repeated; zero: none is
}

func newTenant(name string, entries *cache.Tenant) *tenant {
	return &tenant{name: name, cache: entries, state: Subscribing, since: time.Now()}
}

// moveTo changes the state. Callers hold mu.
func (t *tenant) moveTo(s State) { t.state, t.since = s, time.Now() }

// confirmed notes that every channel is subscribed, so that the given kinds are
// to be loaded, and reports whether the tenant is to be put into the loaders'
// queue.
func (t *tenant) confirmed(kinds []*cache.Kind) (enqueue bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == Draining {
		return false
	}
	if t.state == Subscribing {
		t.moveTo(Loading)
	}
	t.want++
	t.missing = kinds
	enqueue = !t.queued
	t.queued = true
	return enqueue
}

// loading returns the confirmation that a load now begins under, the kinds to
// load, and whether there was a load before; ok is false for a tenant that was
// let go.
func (t *tenant) loading() (want uint32, kinds []*cache.Kind, again, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.want, t.missing, t.state == Live, t.state != Draining
}

// Bounds of the delay before a failed load is repeated: it doubles.
const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// loaded notes how a load ended, with the kinds that failed, and reports
// whether the tenant goes straight back into the queue, because it was
// confirmed anew meanwhile.
func (t *tenant) loaded(want uint32, failed []*cache.Kind) (enqueue bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.state == Draining:
		return false
	case t.want != want:
		return true
	case len(failed) > 0:
		t.missing = failed
		t.retryAt = time.Now().Add(min(firstRetry<<min(t.retries, 10), lastRetry))
		t.retries++
		return false
	}
	t.missing, t.retries, t.queued = nil, 0, false
	if t.state == Loading {
		t.moveTo(Live)
	}
	return false
}

// retry reports whether a failed load is due to be repeated.
func (t *tenant) retry(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == Draining || t.retryAt.IsZero() || now.Before(t.retryAt) {
		return false
	}
	t.retryAt = time.Time{}
	return true
}

// drain moves to Draining and reports whether the tenant was not there yet.
func (t *tenant) drain() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := t.state != Draining
	if first {
		t.moveTo(Draining)
	}
	return first
}
