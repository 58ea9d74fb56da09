package subscriber

import (
	"encoding/json"
	"time"
)

// Event is one decoded message of the bus.
type Event struct {
	// Tenant and Topic come from the channel; the message agrees with them.
	Tenant, Topic string
	// ID is for logs and for counting duplicates, never for suppressing.
	ID, Type string
	// Version is meaningful when Versioned is set; likewise Sequence, which
	// rises by one with each event of Source on this tenant and topic.
	Version   uint64
	Versioned bool
	Source    string
	Sequence  uint64
	Sequenced bool
	// Deleted says that the item was removed: the type ends in "-deleted" or
	// the message has deleted: true.
	Deleted bool
	// TenantDeleted says that everything of the tenant is to be dropped.
	TenantDeleted bool
	// OccurredAt is the publisher's clock; zero if not given.
	OccurredAt time.Time
	// Raw is the whole message; Data its "data" member.
	Raw, Data json.RawMessage
	// Changes is what the event says of entries, by the kinds of its topic.
	Changes []Change
}

// Effect is what an event does to an entry.
type Effect uint8

const (
	// Set carries the whole canonical value.
	Set Effect = iota
	// Invalidate says that the value changed, not to what.
	Invalidate
	// Remove says that the item is gone.
	Remove
)

// Change is what an event says of one entry. Its version is the event's.
type Change struct {
	Kind   string
	Key    string
	Effect Effect
	// Value is the canonical JSON value of a Set.
	Value []byte
}

// Kinds maps decoded events to changes. It is consulted from the goroutine of
// each connection and must be safe for concurrent use.
type Kinds interface {
	// Topics lists the names of every topic, aliases included: a tenant's
	// channels are these.
	Topics() []string
	// Changes returns what the event, whose Changes are still empty, says of
	// the entries of each kind on its topic. A *RefusedError refuses the event.
	Changes(e *Event) ([]Change, error)
}

// RefusedError says why an event was not applied.
type RefusedError struct {
	// Reason is one of a fixed set of words, fit for a metric label:
	// oversized, malformed, too_deep, wrong_type, no_key, bad_key,
	// foreign_tenant, unknown_topic.
	Reason string
	// Detail is for the log: which member, what was found.
	Detail string
}

func (e *RefusedError) Error() string { return "event refused: " + e.Reason + ": " + e.Detail }

// Handler receives what the bus says. For one connection its methods are
// called from one goroutine in the order in which the server sent their causes
// (Doubt may come from any goroutine, and earlier than its place); they must
// return quickly and never wait for I/O.
type Handler interface {
	// Confirmed says that every channel of a followed tenant is subscribed on
	// the live connection (C1): after the first Follow, after each reconnect,
	// and again when a tenant that is already confirmed is followed anew.
	Confirmed(conn int, tenant string)
	// Event delivers an event of a followed tenant.
	Event(e *Event)
	// Refused reports a message on a followed tenant's channel that was not
	// applied; it may have announced anything (C5).
	Refused(tenant, topic string, err *RefusedError)
	// Gap says that events of the tenant may have been lost: a sequence of the
	// topic jumped, and the numbers between did not come within 200 ms, or it
	// fell (C5).
	Gap(tenant, topic string)
	// Doubt says that events of any tenant of the connection may have been
	// lost (C5). The connection's proofs so far are void.
	Doubt(conn int, cause Cause)
	// Proof says that everything the server sent on the connection up to sent
	// has been handled. No proof is given from a Doubt by a lost connection
	// until all tenants followed when it was re-established are confirmed.
	Proof(conn int, sent time.Time)
}

// Cause names a sign that events may have been lost, as the doubts metric
// spells it.
type Cause string

// The causes of doubt (C5).
const (
	CauseConnection Cause = "connection" // an error or EOF
	CauseReconnect  Cause = "reconnect"  // a confirmation nobody asked for
	CausePong       Cause = "pong"       // a PING not answered in time
	CauseBeat       Cause = "beat"       // a beat published but not received in time
	CauseOverflow   Cause = "overflow"   // the inbound queue was full
	CauseRefused    Cause = "refused"    // an event that was not applied
	CauseSequence   Cause = "sequence"   // a sequence that jumped or fell
)
