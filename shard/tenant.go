package shard

import (
	"errors"
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
// is called. Times are those of [Node.Now], 0 is never. Who moves the state on:
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
	failures   uint16        // loads in a row
	missing    []*cache.Kind // to load; shared, not written to
	generation uint64        // under which the last complete load began; 0: none yet
	round      uint64        // under which the load that is not complete began; 0: it has not
	loadedAt   time.Duration // when the last load began
	retryAt    time.Duration // when a failed load is repeated; 0: none is
	since      time.Duration // when the state was entered
	fault      string        // why the last load failed, in the origin reader's words
	recent     *recent       // the last events; nil: none yet
	verified   uint64        // the generation for which entries that no list tells of were read anew
	readsAt    uint64        // reads when the tenant was last queued to be read anew
	told       told          // what other owners know of it
	move       *move         // from node to node; nil: it does not
}

func newTenant(name string, entries *cache.Tenant, now time.Duration) *tenant {
	return &tenant{name: name, cache: entries, state: Subscribing, since: now}
}

// enter moves the state on. Callers hold mu.
func (t *tenant) enter(s State, now time.Duration) { t.state, t.since = s, now }

// confirmed notes that every channel is subscribed, so that the given kinds are
// to be loaded, and reports whether the tenant is to be queued.
func (t *tenant) confirmed(now time.Duration, kinds []*cache.Kind) (enqueue bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == Draining {
		return false
	}
	if t.state == Subscribing {
		t.enter(Loading, now)
	}
	return t.want(kinds)
}

// outdated reports whether the tenant is to be queued because what was loaded is
// older than refresh, or of an older generation. That has to wait until the
// connection is proven again: the generation does not outlive its coming back.
func (t *tenant) outdated(now, refresh time.Duration, proven bool, kinds []*cache.Kind) (enqueue bool) {
	current := t.cache.Generation()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != Live || t.queued || (t.generation == current || !proven) && now-t.loadedAt < refresh {
		return false
	}
	return t.want(kinds)
}

// want sets what is to be loaded. One that waits to be retried is in nobody's
// hands. Callers hold mu.
func (t *tenant) want(kinds []*cache.Kind) (enqueue bool) {
	enqueue = !t.queued || t.retryAt != 0
	t.missing, t.queued, t.retryAt, t.round = kinds, true, 0, 0
	return enqueue
}

// loadedBefore reports whether there was a complete load.
func (t *tenant) loadedBefore() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state == Live
}

// unverified reports whether the tenant is to be queued because entries that no
// list tells of may be of an older generation. Its lists come first.
func (t *tenant) unverified() (enqueue bool) {
	current := t.cache.Generation()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != Live || t.queued || t.generation != current || t.verified == current {
		return false
	}
	t.queued = true
	return true
}

// revalidated notes that entries were read anew, and reports whether the tenant is
// to be queued because there is more, and no doubt came that makes lists due. After
// a fault the caretaker queues it.
func (t *tenant) revalidated(generation uint64, more, failed bool) (enqueue bool) {
	current := t.cache.Generation()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !more && !failed {
		t.verified = generation
	}
	t.queued = more && t.state == Live && generation == current && len(t.missing) == 0
	return t.queued
}

// lately returns how much the tenant was read since this was last asked.
func (t *tenant) lately() uint64 {
	reads := t.cache.Reads()
	t.mu.Lock()
	defer t.mu.Unlock()
	lately := reads - t.readsAt
	t.readsAt = reads
	return lately
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

// attempt is one try to load what is missing.
type attempt struct {
	began      time.Duration
	generation uint64        // when it began
	failed     []*cache.Kind // to be repeated later
	fault      string        // why, of the last of them
}

// loaded notes how an attempt ended. A load of several counts from the first.
func (t *tenant) loaded(now time.Duration, a *attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == Draining {
		return
	}
	if t.round == 0 {
		t.round, t.loadedAt = a.generation, a.began
	}
	t.fault = a.fault
	if len(a.failed) > 0 {
		t.missing = a.failed
		t.retryAt = now + min(firstRetry<<min(t.failures, 10), lastRetry)
		t.failures = min(t.failures+1, 1<<15)
		return
	}
	t.missing, t.failures, t.queued = nil, 0, false
	t.generation, t.round = t.round, 0
	if t.state == Loading {
		t.enter(Live, now)
		t.verified = t.generation // what was read before is read anew by who asks for it
	}
}

// faultOf returns why a list could not be read: a word of the origin reader's,
// which names no address.
func faultOf(err error) string {
	if f, ok := errors.AsType[*cache.FaultError](err); ok {
		return f.Reason
	}
	if errors.Is(err, cache.ErrOverflow) {
		return "overflow"
	}
	return "failed"
}

// retry reports whether a failed load is due to be repeated.
func (t *tenant) retry(now time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == Draining || t.retryAt == 0 || now < t.retryAt {
		return false
	}
	t.retryAt = 0
	return true
}

// doubtful reports whether lists that are kept were read under an older
// generation.
func (t *tenant) doubtful() bool {
	current := t.cache.Generation()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.isDoubtful(current)
}

// isDoubtful is doubtful with the generation that is current. Callers hold mu.
func (t *tenant) isDoubtful(current uint64) bool {
	if t.state == Live {
		return t.generation != current
	}
	return t.round != 0 && t.round != current
}

// settled reports whether the tenant is live and not in doubt.
func (t *tenant) settled() bool {
	current := t.cache.Generation()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state == Live && t.generation == current
}

// note remembers what an event said of an entry. Only the first entry of an
// event counts it.
func (t *tenant) note(m *remembered, first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.recent == nil {
		t.recent = new(recent)
	}
	if first {
		t.recent.total++
	}
	t.recent.add(m)
}

// drain moves to Draining and reports whether the tenant was not there yet.
func (t *tenant) drain(now time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := t.state != Draining
	if first {
		t.enter(Draining, now)
	}
	return first
}
