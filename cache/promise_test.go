package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"pgregory.net/rapid"
)

// The promise, checked from outside against random histories. Nothing here
// knows how the cache works: it knows when each change was committed, when
// its event was acknowledged, and when each read began. The histories are
// played in a bubble (synctest.Test, in promise_history_test.go).

// commit is a version of an item at the origin, or its absence.
type commit struct {
	at      time.Time
	acked   time.Time // zero: its event has not been published
	value   string    // "" is absence
	version uint64
}

// item is the history of an item.
type item struct {
	kind    *Kind
	key     string
	commits []commit
}

// bound of the promise and of everything else, as the defaults say.
const promised = 4 * time.Second

// longest is what the TTL of a reference kind may grow by.
const longest = 2

// breaks says that a FRESH answer with a value breaks the promise to a client
// that asked at the given time. Of several commits with one value the last
// counts.
func (h *item) breaks(value string, asked time.Time) (why string, broken bool) {
	last := -1
	for i, c := range h.commits {
		if c.value == value && !c.at.After(time.Now()) {
			last = i
		}
	}
	if last < 0 {
		return fmt.Sprintf("%q never was", value), true
	}
	if last == len(h.commits)-1 {
		return "", false
	}
	next := h.commits[last+1]
	ttl := h.kind.TTL
	if h.kind.Class == Reference {
		ttl *= longest
	}
	until := next.at.Add(ttl*11/10 + promised)
	for _, later := range h.commits[last+1:] {
		if later.acked.IsZero() {
			continue
		}
		if t := laterOf(next.at, later.acked).Add(promised); t.Before(until) {
			until = t
		}
	}
	return fmt.Sprintf("%q was allowed until %v before", value, asked.Sub(until)), asked.After(until)
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// message is an event on its way: applied by the bus's goroutine when due.
type message struct {
	due    time.Time
	change Change
	fence  chan struct{} // to be closed instead, if there is one
}

func (m *message) handle(t *Tenant) {
	if m.fence != nil {
		close(m.fence)
		return
	}
	t.Apply(m.change)
}

// world is a random history as it goes.
type world struct {
	*bench
	r     *rapid.T
	items []*item
	other *Kind  // critical, without versions in its documents
	n     int    // values so far: each is another
	twin  *world // another node of the same tenant, to which events come as well

	mu        *sync.Mutex // the twin's too
	inbox     []message   // of a live connection, in the order of arrival
	connected bool
	stopped   int // causes why nothing of the bus is handled
	reads     sync.WaitGroup
	broken    []string
}

// slow is the origin at a distance: a read takes a while to get there, and the
// answer a while to come back.
type slow struct {
	*fakeOrigin
	mu  sync.Mutex
	rnd *rand.Rand
}

var travels = []time.Duration{0, 0, time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond, 2 * time.Second}

func (o *slow) travel() {
	o.mu.Lock()
	d := travels[o.rnd.IntN(len(travels))]
	o.mu.Unlock()
	time.Sleep(d)
}

func (o *slow) One(ctx context.Context, tenant string, k *Kind, key, etag string) (Document, error) {
	o.travel()
	defer o.travel()
	return o.fakeOrigin.One(ctx, tenant, k, key, etag)
}

func (o *slow) List(ctx context.Context, tenant string, k *Kind, etag string, page func([]Document) error) (string, error) {
	o.travel()
	return o.fakeOrigin.List(ctx, tenant, k, etag, func(docs []Document) error {
		o.travel()
		return page(docs)
	})
}

// publish acknowledges the event of a commit now: what is connected gets it.
func (w *world) publish(h *item, i int, c Change, travels ...time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h.commits[i].acked.IsZero() {
		h.commits[i].acked = time.Now()
	}
	for v := w; v != nil; v = v.twin {
		if v.connected {
			v.inbox = append(v.inbox, message{due: time.Now().Add(travels[0]), change: c})
		}
		travels = travels[1:]
	}
}

// travels draws how long an event travels to each node.
func (w *world) travels() (ds []time.Duration) {
	for v := w; v != nil; v = v.twin {
		ds = append(ds, rapid.SampledFrom([]time.Duration{0, time.Millisecond, 90 * time.Millisecond}).Draw(w.r, "travel"))
	}
	return ds
}

// handling is the time that the bus's goroutine takes for an event.
const handling = 20 * time.Millisecond

// deliver is the bus's goroutine: it applies what has arrived, in order, and
// proves the link by what it sent a moment ago, as a PONG behind the events would.
func (w *world) deliver(ctx context.Context) {
	for sent := time.Now(); ctx.Err() == nil; time.Sleep(handling) {
		w.mu.Lock()
		if w.stopped > 0 || !w.connected {
			w.mu.Unlock()
			sent = time.Now()
			continue
		}
		if len(w.inbox) > 0 && !w.inbox[0].due.After(time.Now()) { // one at a time: reads come between
			w.inbox[0].handle(w.tenant)
			w.inbox = w.inbox[1:]
		}
		if len(w.inbox) == 0 && time.Since(sent) >= 500*time.Millisecond {
			w.link.Prove(sent)
			sent = time.Now()
		}
		w.mu.Unlock()
	}
}

// event makes the event of a commit.
func (w *world) event(h *item, c *commit) Change {
	change := Change{Kind: h.kind, Key: h.key, Value: []byte(c.value), Version: c.version, Effect: Set}
	change.Versioned = c.version > 0 && rapid.IntRange(0, 3).Draw(w.r, "versioned") > 0
	switch invalidates := rapid.IntRange(0, 2).Draw(w.r, "invalidates") == 0; {
	case c.value == "" && rapid.Bool().Draw(w.r, "removes"):
		change.Effect = Remove
	case c.value == "" || invalidates:
		change.Effect = Invalidate
	}
	if !change.Versioned {
		change.Version = 0
	}
	return change
}

func (w *world) item() *item { return w.items[rapid.IntRange(0, len(w.items)-1).Draw(w.r, "item")] }

// commit changes an item at the origin, and publishes: at once, late, never or twice.
func (w *world) commit() { w.commitTo(w.item()) }

// race commits while reads of the item are on their way.
func (w *world) race() {
	h := w.item()
	for range rapid.IntRange(1, 3).Draw(w.r, "reads") {
		w.read(h, ReadOptions{HasMaxAge: true})
		time.Sleep(rapid.SampledFrom(travels).Draw(w.r, "between"))
	}
	w.commitTo(h)
}

func (w *world) commitTo(h *item) {
	w.n++
	c := commit{at: time.Now(), value: fmt.Sprint(w.n)}
	if rapid.IntRange(0, 5).Draw(w.r, "deletes") == 0 {
		c.value = ""
	}
	w.mu.Lock()
	i := len(h.commits)
	c.version = h.commits[i-1].version + 1
	h.commits = append(h.commits, c)
	w.mu.Unlock()
	w.store(h, &c)
	change := w.event(h, &c)
	for range rapid.SampledFrom([]int{1, 1, 1, 1, 0, 2, 3}).Draw(w.r, "times published") {
		late := []time.Duration{0, 0, 0, 5 * time.Millisecond, 300 * time.Millisecond, 7 * time.Second, 40 * time.Second}
		after := rapid.SampledFrom(late).Draw(w.r, "late")
		travels := w.travels()
		w.reads.Go(func() {
			time.Sleep(after)
			w.publish(h, i, change, travels...)
		})
	}
}

// store puts a commit's document into the origin.
func (w *world) store(h *item, c *commit) {
	if c.value == "" {
		w.origin.delete(h.kind.Name, h.key)
		return
	}
	d := doc(c.value, c.version)
	d.Versioned = h.kind != w.other
	w.origin.put(h.kind.Name, h.key, d)
}

// read reads now, and judges the answer when it comes.
func (w *world) read(h *item, o ReadOptions) {
	asked := time.Now()
	w.reads.Go(func() {
		a, err := w.tenant.Read(context.Background(), h.kind, h.key, o)
		if err != nil || a.State != Fresh {
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if why, broken := h.breaks(string(a.Value), asked); broken {
			w.broken = append(w.broken, fmt.Sprintf("%s %s: %s (via %d, age %v)", h.kind.Name, h.key, why, a.Via, a.Age))
		}
	})
}

func (w *world) readOne() {
	h := w.item()
	ages := []time.Duration{-1, 0, 100 * time.Millisecond, 20 * time.Second}
	age := rapid.SampledFrom(ages).Draw(w.r, "max age")
	w.read(h, ReadOptions{MaxAge: age, HasMaxAge: age >= 0})
}

func (w *world) readAll() {
	for _, h := range w.items {
		w.read(h, ReadOptions{})
	}
}

func (w *world) load() {
	k := rapid.SampledFrom([]*Kind{w.cost, w.other}).Draw(w.r, "kind")
	w.reads.Go(func() { _ = w.tenant.Load(context.Background(), k) })
}
