package cache

import "time"

// Class decides how an entry is kept and how its reads fail.
type Class uint8

const (
	// Critical entries are pushed by events, loaded as lists, evicted last,
	// and never served once an event has said that they are old.
	Critical Class = iota
	// Reference entries are read through on demand and invalidated by events.
	Reference
	// OnDemand values pass through and are never kept.
	OnDemand
)

// String returns the class as configuration and metrics spell it.
func (c Class) String() string {
	return [...]string{"critical", "reference", "on-demand"}[c]
}

// Kind is what the cache knows of a kind of data. Kinds are compared by
// pointer; a [Cache] is built with all of its kinds.
type Kind struct {
	// ID is the kind's index in [Config.Kinds].
	ID int
	// Name is the configured name, such as "credit-config".
	Name  string
	Class Class
	// TTL bounds the time since an entry was last verified, with a jitter of
	// ± 10 % (C10).
	TTL time.Duration
	// NegativeTTL is the TTL of an absence that the origin stated.
	NegativeTTL time.Duration
	// MaxStale is how long after it was last known current an entry may be
	// served STALE while the origin cannot be read, or not soon enough (C9).
	MaxStale time.Duration
	// ConfirmAfter is the time from the first unversioned event of an entry to
	// the origin read that confirms it (C4). Zero: the publisher vouches for
	// its order, and unversioned values are never provisional.
	ConfirmAfter time.Duration
	// Listed says that the origin lists the kind's entries of a tenant.
	Listed bool
	// Snapshot says that a list of several pages is one consistent view, so
	// that it gives completeness (C10).
	Snapshot bool
	// Definition is a hash of everything that decides the kind's canonical values:
	// its topics, its expressions and its origin. Nodes exchange entries only of
	// kinds with the same.
	Definition uint64
}
