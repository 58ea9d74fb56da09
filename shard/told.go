package shard

import "time"

// told is what other owners know of a tenant: that it is active, as of so many
// reads here.
type told struct {
	audience uint32 // of the view whose owners know, or are being told; 0: nobody
	pending  int32  // words on their way to owners
	reads    uint64
	at       time.Duration
}

// tellable reports whether other owners, so many, are to be told: of a view whose
// owners do not know yet, or of reads since they were told, not more often than
// seldom. They are then being told.
func (t *tenant) tellable(now time.Duration, audience uint32, seldom time.Duration, owners int) bool {
	reads := t.cache.Reads()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == Draining || t.told.audience == audience && (t.told.reads == reads || now-t.told.at < seldom) {
		return false
	}
	t.told.audience, t.told.reads, t.told.at = audience, reads, now
	t.told.pending += int32(owners)
	return true
}

// answered notes that an owner was told, or could not be.
func (t *tenant) answered(knows bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told.pending--
	if !knows {
		t.told.audience = 0
	}
}

// heard notes that it was others who told of the tenant.
func (t *tenant) heard(audience uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told.audience = audience
}
