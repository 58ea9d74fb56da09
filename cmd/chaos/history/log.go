package history

import (
	"slices"
	"sync"
	"time"
)

// Clock tells times of a run.
type Clock struct{ start time.Time }

// NewClock starts a run's time.
func NewClock() Clock { return Clock{time.Now()} }

// Now returns the time since the run began.
func (c Clock) Now() Time { return time.Since(c.start) }

// Fault is one fault of the run.
type Fault struct {
	Type       string
	Start, End Time
	// Loses says that events may be lost or late meanwhile.
	Loses bool
	// Node names the node that it struck; empty: not one of several.
	Node string
	// Note tells what it did, for people.
	Note string
}

// Log is the history of a run. Kinds, Items and Entries do not change.
type Log struct {
	Clock
	Kinds   []Kind
	Items   []*Item
	Entries []Entry

	mu     sync.Mutex
	owners []int32 // items of the commits, by number - 1
	faults []Fault
	downs  []span         // when the bus was down
	outs   map[int][]span // when a node was out of service, by its number
	reads  []Read
}

// span is a part of the run; an open one ends Never.
type span struct {
	start, end Time
	// finished says that what was asked before is answered all the same.
	finished bool
}

// NewLog returns the empty history of a run that begins now.
func NewLog(kinds []Kind) *Log { return &Log{Clock: NewClock(), Kinds: kinds} }

// Add adds an item and its views, before the run.
func (l *Log) Add(i *Item, views ...Entry) (item int) {
	l.Items = append(l.Items, i)
	for _, v := range views {
		v.Item = len(l.Items) - 1
		l.Entries = append(l.Entries, v)
	}
	return len(l.Items) - 1
}

// Commit commits the next state of an item and returns it and its index.
func (l *Log) Commit(item int, version uint64, absent bool) (c Commit, index int) {
	l.mu.Lock()
	l.owners = append(l.owners, int32(item))
	c = Commit{Number: uint32(len(l.owners)), Version: version, Absent: absent}
	l.mu.Unlock()
	return l.Items[item].commit(l.Clock, c)
}

// Find returns the item that a commit is of.
func (l *Log) Find(number uint32) (item int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if number == 0 || int(number) > len(l.owners) {
		return 0, false
	}
	return int(l.owners[number-1]), true
}

// Announcing notes that an event of an item is about to be published.
func (l *Log) Announcing(item int, e Event) { l.Items[item].announcing(e) }

// Announced notes an event of an item that was acknowledged. First attempted
// while the bus was down, that attempt is what counts.
func (l *Log) Announced(item int, e Event) {
	if e.Acked != Never && l.downAt(e.First) {
		e.Acked = e.First
	}
	l.Items[item].announced(e)
}

func (l *Log) downAt(t Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.downs, func(s span) bool { return s.start <= t && t < s.end })
}

// BusDown notes that the bus is down from now on, until the function returned
// is called.
func (l *Log) BusDown() (up func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := len(l.downs)
	l.downs = append(l.downs, span{start: l.Now(), end: Never})
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.downs[at].end = l.Now()
	}
}

// Out notes that a node is out of service from now on, until the function returned
// is called: whoever asks it, or waits for an answer, cannot expect one.
func (l *Log) Out(node int) (back func()) { return l.out(node, span{start: l.Now(), end: Never}) }

// Closed notes that a node has taken no requests since a time, until the function
// returned is called. Whoever had asked it before must be answered.
func (l *Log) Closed(node int, since Time) (open func()) {
	return l.out(node, span{start: since, end: Never, finished: true})
}

func (l *Log) out(node int, s span) (back func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.outs == nil {
		l.outs = make(map[int][]span)
	}
	at := len(l.outs[node])
	l.outs[node] = append(l.outs[node], s)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.outs[node][at].end = l.Now()
	}
}

// underway is how long a request may be on its way before it is taken.
const underway = 50 * time.Millisecond

// strikes says that a read whose node is out of service for the span may have no answer.
func (s span) strikes(r *Read) bool {
	asked := r.Done
	if s.finished {
		asked = r.Sent + underway
	}
	return s.start <= asked && r.Sent <= s.end
}

// Struck says that the node that a read was sent to was out of service meanwhile.
func (l *Log) Struck(r *Read) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.outs[int(r.Node)], func(s span) bool { return s.strikes(r) })
}

// Begin notes that a fault begins, until the function returned is called.
func (l *Log) Begin(f Fault) (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := len(l.faults)
	f.Start, f.End = l.Now(), Never
	l.faults = append(l.faults, f)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.faults[at].End = l.Now()
	}
}

// Faults returns the faults so far, in the order of their starts.
func (l *Log) Faults() []Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.faults)
}

// Lossless says that no fault that loses events was active in a part of the run.
func (l *Log) Lossless(from, to Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !slices.ContainsFunc(l.faults, func(f Fault) bool { return f.Loses && f.Start <= to && from <= f.End })
}

// Calm says that no fault was active in a part of the run.
func (l *Log) Calm(from, to Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !slices.ContainsFunc(l.faults, func(f Fault) bool { return f.Start <= to && from <= f.End })
}

// Append adds reads that have ended.
func (l *Log) Append(reads []Read) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads = append(l.reads, reads...)
}

// Reads returns the reads so far, from the given one on. They are not to be
// changed.
func (l *Log) Reads(from int) []Read {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reads[from:len(l.reads):len(l.reads)]
}
