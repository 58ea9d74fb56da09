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
// What was loaded under an older generation, or long ago, is loaded again; the
// tenant stays Live meanwhile. The caretaker compares, whatever the reason was.
type tenant struct {
	name  string
	cache *cache.Tenant

	mu         sync.Mutex
	state      State
	queued     bool          // in a queue, in a loader's hands, or waiting to be retried
	missing    []*cache.Kind // to load; shared, not written to
	generation uint64        // under which the last complete load began
	loadedAt   time.Time     // when it began
	retries    int
	retryAt    time.Time // when a failed load is repeated; zero: none is
}

func newTenant(name string, entries *cache.Tenant) *tenant {
	return &tenant{name: name, cache: entries, state: Subscribing}
}

// confirmed notes that every channel is subscribed, so that the given kinds are
// to be loaded, and reports whether the tenant is to be queued.
func (t *tenant) confirmed(kinds []*cache.Kind) (enqueue bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == Draining {
		return false
	}
	if t.state == Subscribing {
		t.state = Loading
	}
	return t.want(kinds)
}

// outdated reports whether the tenant is to be queued because what was loaded is
// of an older generation, or older than refresh.
func (t *tenant) outdated(now time.Time, refresh time.Duration, kinds []*cache.Kind) (enqueue bool) {
	current := t.cache.Generation()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != Live || t.queued || t.generation == current && now.Sub(t.loadedAt) < refresh {
		return false
	}
	return t.want(kinds)
}

// want sets what is to be loaded. One that waits to be retried is in nobody's
// hands. Callers hold mu.
func (t *tenant) want(kinds []*cache.Kind) (enqueue bool) {
	enqueue = !t.queued || !t.retryAt.IsZero()
	t.missing, t.queued, t.retryAt = kinds, true, time.Time{}
	return enqueue
}

// loadedBefore reports whether there was a complete load.
func (t *tenant) loadedBefore() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state == Live
}

// loading returns the kinds to load; ok is false for a tenant that was let go.
func (t *tenant) loading() (kinds []*cache.Kind, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.missing, t.state != Draining
}

// Bounds of the delay before a failed load is repeated: it doubles.
const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// loaded notes how a load ended that began at the given time and generation,
// with the kinds that failed: those are repeated later.
func (t *tenant) loaded(began time.Time, generation uint64, failed []*cache.Kind) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == Draining {
		return
	}
	if len(failed) > 0 {
		t.missing = failed
		t.retryAt = time.Now().Add(min(firstRetry<<min(t.retries, 10), lastRetry))
		t.retries++
		return
	}
	t.missing, t.retries, t.queued = nil, 0, false
	t.generation, t.loadedAt = generation, began
	if t.state == Loading {
		t.state = Live
	}
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
		t.state = Draining
	}
	return first
}
