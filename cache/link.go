package cache

import (
	"sync"
	"sync/atomic"
	"time"
)

// A Link is a bus connection as the tenants that it carries see it: a
// generation, raised by every doubt, and the newest proof. Doubting all of its
// tenants is one increment.
type Link struct {
	clock      clock
	generation atomic.Uint32
	proof      atomic.Int64 // an instant; 0: none

	mu    sync.Mutex
	ended [endedGenerations]endedGeneration // a ring, newest at generation-1
}

// endedGenerations bounds how many past generations a link remembers. An entry
// of an older one counts as known current only when it was verified.
const endedGenerations = 16

// endedGeneration says until when what was verified in a generation was known
// current: the last proof before the doubt that ended it.
type endedGeneration struct {
	generation uint32
	until      instant
}

// NewLink returns a link without a proof. It starts in its first generation.
func (c *Cache) NewLink() *Link {
	l := &Link{clock: c.clock}
	l.generation.Store(1)
	return l
}

// Doubt raises the generation and voids the proof: what was verified before is
// no longer known current (C5).
func (l *Link) Doubt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.generation.Load()
	l.ended[g%endedGenerations] = endedGeneration{generation: g, until: instant(l.proof.Load())}
	l.generation.Store(g + 1)
	l.proof.Store(0)
}

// Prove records that everything sent on the connection up to sent has been
// handled. An older proof than the newest changes nothing.
func (l *Link) Prove(sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := int64(l.clock.at(sent)); p > l.proof.Load() {
		l.proof.Store(p)
	}
}

// proven returns the newest proof, 0 if there is none.
func (l *Link) proven() instant { return instant(l.proof.Load()) }

// provenUntil returns the last proof of a past generation, 0 if forgotten.
func (l *Link) provenUntil(generation uint32) instant {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.ended[generation%endedGenerations]; e.generation == generation {
		return e.until
	}
	return 0
}
