package history

import "time"

// Result is how a read ended.
type Result uint8

// The results of reads.
const (
	Value       Result = iota // a value was answered
	Absent                    // the origin has no such item, it was answered
	Unavailable               // nothing may be served now
	Timeout                   // the reader did not wait any longer
	Unreachable               // no connection, or it broke
	Limited                   // a limit was met
	Malformed                 // the answer is not what any value looks like
	Unexpected                // any other code: none of these reads deserves it
)

// String returns the word for tables.
func (r Result) String() string {
	return [...]string{"value", "absent", "unavailable", "timeout", "unreachable", "limited", "malformed", "unexpected"}[r]
}

// State says how far an answer may be trusted, as the answer says.
type State uint8

// The states of answers.
const (
	NoState State = iota
	Fresh
	Provisional
	Stale
)

// String returns the word for tables.
func (s State) String() string { return [...]string{"-", "fresh", "provisional", "stale"}[s] }

// Source says where an answer came from, as the answer says. REST does not.
type Source uint8

// The sources of answers.
const (
	NoSource Source = iota
	FromMemory
	FromEvent
	FromPeer
	FromOrigin
)

// String returns the word for tables.
func (s Source) String() string { return [...]string{"-", "memory", "event", "peer", "origin"}[s] }

// Way is how a read was asked.
type Way uint8

// The ways of reading.
const (
	REST Way = iota
	Connect
	GRPC
	Batch
)

// String returns the word for tables.
func (w Way) String() string { return [...]string{"rest", "connect", "grpc", "batch"}[w] }

// NoMaxAge is the MaxAge of a read without one.
const NoMaxAge = time.Duration(-1)

// Read is one read of one entry. It is kept small: there are millions.
type Read struct {
	Sent, Done Time
	// MaxAge is that of the request, or NoMaxAge.
	MaxAge time.Duration
	// Age is at least the time since the value was verified, as the answer says.
	Age time.Duration
	// MinVersion is that of the request; 0: none.
	MinVersion uint32
	// Version is that of the answer; 0: none.
	Version uint32
	// After is the number of the commit whose answer's token was given; 0: none.
	After  uint32
	Entry  int32
	Number uint32 // of the commit whose value was answered; 0: none
	Result Result
	State  State
	Source Source
	Way    Way
	// Node is the number of the node that was asked, from 0, By that of the one
	// that answered, from 1; 0: not known.
	Node, By uint8
}

// Answered says whether the read has a value or an absence.
func (r *Read) Answered() bool { return r.Result == Value || r.Result == Absent }

// Plain says whether the read asked for nothing but the entry.
func (r *Read) Plain() bool { return r.MaxAge == NoMaxAge && r.MinVersion == 0 && r.After == 0 }
