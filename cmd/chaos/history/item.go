package history

import (
	"math"
	"sync"
	"time"
)

// Time is the time since the run began.
type Time = time.Duration

// Never is later than everything, by so much that differences still fit.
const Never = Time(math.MaxInt64 / 4)

// Kind is what the promise says of a kind of data.
type Kind struct {
	Name     string
	Critical bool
	TTL      time.Duration
	MaxStale time.Duration
}

// Entry is what reads name: a view of an item. A change of the item changes all
// of its views.
type Entry struct {
	Item int
	Kind int
	Key  string
}

// Commit is a state of an item at the origin.
type Commit struct {
	At Time
	// Number is unique in the run, from 1, and part of the value: an answer
	// names the commit it comes from.
	Number uint32
	// Version is what the document says; 0: it says none.
	Version uint64
	// Absent says that the item does not exist.
	Absent bool
	// First is when the first event of this commit was first attempted to be
	// published, Acked when one was acknowledged (first attempted, while the bus
	// was down); Never, if none was.
	First, Acked Time
}

// Event is one event published, or attempted to be.
type Event struct {
	// Commit is the index of the commit that it tells of.
	Commit       int
	First, Acked Time
	// Sets says that it carries the whole value, or that there is none any more.
	Sets bool
	What string
}

// Item is a thing of a tenant that changes as a whole.
type Item struct {
	Tenant, Name string

	mu      sync.Mutex
	commits []Commit
	events  []Event
}

// commit commits the next state. The time is taken inside.
func (i *Item) commit(clock Clock, c Commit) (committed Commit, index int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c.At, c.First, c.Acked = clock.Now(), Never, Never
	i.commits = append(i.commits, c)
	return c, len(i.commits) - 1
}

// Current returns the state that the origin has now.
func (i *Item) Current() Commit {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.commits[len(i.commits)-1]
}

// announcing notes an event before it is published.
func (i *Item) announcing(e Event) {
	i.mu.Lock()
	defer i.mu.Unlock()
	e.Acked = Never
	i.events = append(i.events, e)
	c := &i.commits[e.Commit]
	c.First = min(c.First, e.First)
}

// announced notes that an event was acknowledged.
func (i *Item) announced(e Event) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := &i.commits[e.Commit]
	c.Acked = min(c.Acked, e.Acked)
	for k := range i.events {
		if old := &i.events[k]; old.Commit == e.Commit && old.First == e.First {
			old.Acked = e.Acked
		}
	}
}

// View calls see with what is recorded. It must keep neither slice.
func (i *Item) View(see func(commits []Commit, events []Event)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	see(i.commits, i.events)
}
