package cache

import (
	"errors"
	"time"
)

// State says how far an answer can be trusted (C0, C4, C9).
type State uint8

const (
	// Fresh answers are known current.
	Fresh State = iota
	// Provisional answers were announced by an unversioned event that the
	// origin has not confirmed yet.
	Provisional
	// Stale answers may be out of date.
	Stale
)

// String returns the state as the Tenantry-Freshness header spells it.
func (s State) String() string { return [...]string{"fresh", "provisional", "stale"}[s] }

// Via says where an answer came from.
type Via uint8

const (
	// FromMemory is a kept value that an origin read verified.
	FromMemory Via = iota
	// FromEvent is a kept value that an event carried.
	FromEvent
	// FromPeer is a value another node answered with.
	FromPeer
	// FromOrigin is a value that this read fetched or revalidated.
	FromOrigin
)

// Answer is the result of a read.
type Answer struct {
	// Value is the canonical JSON value, shared with the cache: not to be
	// written to.
	Value []byte
	State State
	Via   Via
	// Age is the time since the value was last verified.
	Age time.Duration
	// Version is meaningful when Versioned is set.
	Version   uint64
	Versioned bool
	// Position is the instant, on this process's monotonic clock, that the
	// value is known to have been current at: the start of the request that
	// verified it, or the arrival of the event that set it. It tells the answers
	// of one node for one entry apart.
	Position time.Duration
	// Settled is an instant by which the value had been read, or announced: what
	// is verified by a request that begins later is no older.
	Settled time.Duration
	// Absent is set, with an empty Value, when the item does not exist.
	Absent bool
}

// ReadOptions narrow what a read may be answered with.
type ReadOptions struct {
	// MaxAge bounds the time since the value was verified, when HasMaxAge is
	// set; 0 reads the origin.
	MaxAge    time.Duration
	HasMaxAge bool
	// MinVersion refuses versions below it; 0 is no bound.
	MinVersion uint64
	// Position and Settled are those of an earlier answer, than which no older
	// value is wanted; 0 is no bound. What has another position is refused if it
	// may be older: its request began before Settled, so that the two may have
	// overtaken each other, or an event whose order nobody knows announced it.
	Position, Settled time.Duration
}

// ErrTooOld says that the origin itself still answers with a value older than
// the read's MinVersion: retry later, or ask without it.
var ErrTooOld = errors.New("the origin's value is older than the read asks for")

// UnavailableError says that there is no value that may be served: the origin
// could not be read, and nothing kept is recent enough. Retry after RetryAfter.
type UnavailableError struct {
	RetryAfter time.Duration
	// Err is the fault of the origin read.
	Err error
}

func (e *UnavailableError) Error() string { return "no value that may be served: " + e.Err.Error() }

// Unwrap returns the fault of the origin read.
func (e *UnavailableError) Unwrap() error { return e.Err }
