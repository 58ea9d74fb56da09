package cache

import (
	"sync/atomic"
	"time"
)

// tally counts the reads of a store. It is part of the store, which a read
// touches anyway: a counter of the whole node would be a cache line that every
// read of every core fights for.
type tally struct {
	n [resultPassthrough]atomic.Uint64 // by result
	// waited is the time of reads beyond memory in nanoseconds, sampled that of
	// the samples among reads from memory.
	waited, sampled, samples atomic.Int64
}

// Results of a read. The first two are answers from memory.
const (
	resultHit         = iota
	resultNegative    // no such item
	resultMiss        // the origin's value
	resultRevalidated // the origin said that what is kept still holds
	resultStale       // what is kept, because the origin gave no answer in time
	resultFailed      // no answer
	resultPassthrough // the origin's value, of what is not kept: in no store
	results
)

// resultName is a result as the metric spells it.
func resultName(result int) string {
	return [...]string{"hit", "negative", "miss", "revalidated", "stale", "failed", "passthrough"}[result]
}

// sampleEvery is how many reads from memory there are to one whose time is
// measured: a look at the clock costs as much as the read.
const sampleEvery = 64

// begin returns the instant at which a read begins whose time is measured if
// memory answers it, 0 for the others.
func (t *tally) begin(c *clock) instant {
	if (t.n[resultHit].Load()+t.n[resultNegative].Load())%sampleEvery != 0 {
		return 0
	}
	return c.now()
}

// recalled counts an answer from memory, which began at start if it is sampled.
func (t *tally) recalled(absent bool, start, now instant) {
	if start != 0 {
		t.sampled.Add(int64(now.sub(start)))
		t.samples.Add(1)
	}
	result := resultHit
	if absent {
		result = resultNegative
	}
	t.n[result].Add(1)
}

// spent estimates the time of all reads, those from memory by their samples.
func (t *tally) spent(recalled uint64) time.Duration {
	each := t.sampled.Load() / max(t.samples.Load(), 1)
	return time.Duration(t.waited.Load() + each*int64(recalled))
}

// counts are numbers of reads by result.
type counts [results]uint64

// addTo adds the tally to the counts of its kind.
func (t *tally) addTo(n *counts) {
	for i := range t.n {
		n[i] += t.n[i].Load()
	}
}

// hits returns the reads answered from memory, misses those that were not.
func (n *counts) hits() uint64 { return n[resultHit] + n[resultNegative] }
func (n *counts) misses() uint64 {
	return n[resultMiss] + n[resultRevalidated] + n[resultStale] + n[resultFailed]
}

// Reads returns how many reads there were since the activation.
func (t *Tenant) Reads() (n uint64) {
	for i := range t.stores {
		if s := t.stores[i].Load(); s != nil {
			for result := range s.tally.n {
				n += s.tally.n[result].Load()
			}
		}
	}
	return n
}

// Stats are the figures of a tenant since its activation.
type Stats struct {
	// Kinds is by [Kind.ID]; a kind that was never used is zero but for its TTL.
	Kinds []KindStats
	// Evictions are the entries removed for a memory budget, OriginRequests the
	// items, lists and further pages of lists asked for.
	Evictions, OriginRequests uint64
	// MeanRead is the mean time of a read, those that waited for the origin
	// included. The time of reads from memory is that of one in 64.
	MeanRead time.Duration
}

// KindStats are the figures of one kind of a tenant.
type KindStats struct {
	// Entries are those kept, stubs left out; Negative of them are absences.
	Entries, Negative int
	// Bytes are charged for entries and table.
	Bytes int64
	// Complete says that absence from memory means that the item does not exist.
	Complete bool
	// Hits were answered from memory, absences included; Misses had to ask the
	// origin, whether it answered or not.
	Hits, Misses uint64
	// TTL is the one in effect: the kind's, or what the tenant's reads made of it.
	TTL time.Duration
}

// Stats returns the tenant's figures. It goes through all entries, with no lock
// held: what changes meanwhile is counted as it was or as it is.
func (t *Tenant) Stats() Stats {
	all := Stats{Kinds: make([]KindStats, len(t.stores))}
	t.mu.Lock()
	all.Evictions, all.OriginRequests = t.evictions, t.requests
	for i, k := range t.cache.kinds {
		all.Kinds[i].TTL = k.TTL
		if s := t.store(k); s != nil {
			all.Kinds[i].TTL = s.ttl()
		}
	}
	t.mu.Unlock()
	var spent time.Duration
	var reads uint64
	for i := range all.Kinds {
		s := t.stores[i].Load()
		if s == nil {
			continue
		}
		k := &all.Kinds[i]
		s.count(k)
		k.Complete = t.isComplete(s)
		spent += s.tally.spent(k.Hits)
		reads += k.Hits + k.Misses
	}
	all.MeanRead = spent / time.Duration(max(reads, 1))
	return all
}

// count adds up what the store holds and was asked.
func (s *store) count(k *KindStats) {
	var n counts
	s.tally.addTo(&n)
	k.Hits, k.Misses = n.hits(), n.misses()
	table := s.table.Load()
	k.Bytes = table.charge()
	for e := range table.all {
		k.Bytes += e.charge()
		if !e.is(stub) {
			k.Entries++
		}
		if e.is(negative) {
			k.Negative++
		}
	}
}

// isComplete says that absence from memory means that an item does not exist.
func (t *Tenant) isComplete(s *store) bool {
	c := s.complete.Load()
	return c != nil && c.generation == t.generation() && t.cache.clock.now() < c.expires
}
