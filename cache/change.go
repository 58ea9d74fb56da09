package cache

// Effect is what an event does to an entry.
type Effect uint8

const (
	// Set replaces the value with the whole canonical value of the event.
	Set Effect = iota
	// Invalidate makes the kept value known old.
	Invalidate
	// Remove makes the entry absent, to be confirmed at the origin.
	Remove
)

// Change is what one event says of one entry.
type Change struct {
	Kind   *Kind
	Key    string
	Effect Effect
	// Value is the canonical JSON value of a Set. The cache copies it.
	Value []byte
	// Version is meaningful when Versioned is set.
	Version   uint64
	Versioned bool
}

// Outcome is what became of a [Change], in the words of the events metric.
type Outcome string

// The outcomes of [Tenant.Apply].
const (
	OutcomeSet         Outcome = "set"
	OutcomeInvalidated Outcome = "invalidated"
	OutcomeRemoved     Outcome = "removed"
	OutcomeIgnoredOld  Outcome = "ignored_old"
)
