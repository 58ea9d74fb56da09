package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// later does something after a random while.
func (w *world) later(do func()) {
	whiles := []time.Duration{0, 10 * time.Millisecond, 500 * time.Millisecond, 6 * time.Second, 15 * time.Second}
	d := rapid.SampledFrom(whiles).Draw(w.r, "while")
	w.reads.Go(func() {
		time.Sleep(d)
		w.mu.Lock()
		defer w.mu.Unlock()
		do()
	})
}

// lose breaks the connection for a while: what was under way is lost, and the
// doubt comes at once; then the tenant's channels are confirmed anew.
func (w *world) lose() {
	kept := rapid.IntRange(0, 3).Draw(w.r, "kept")
	w.mu.Lock()
	if w.connected {
		for _, m := range w.inbox[:min(kept, len(w.inbox))] { // what had been received is handled, the doubt after it
			m.handle(w.tenant)
		}
		w.connected, w.inbox = false, nil
		w.link.Doubt()
	}
	w.mu.Unlock()
	w.later(func() {
		if !w.connected {
			w.connected = true
			w.tenant.Confirmed()
		}
	})
}

// overflow drops one waiting event and doubts in its place, while those before it wait.
func (w *world) overflow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.inbox); n > 0 {
		at := rapid.IntRange(0, n-1).Draw(w.r, "dropped")
		w.inbox = slices.Delete(w.inbox, at, at+1)
		w.tenant.Doubt()
	}
}

func (w *world) evict() {
	w.tenant.mu.Lock()
	defer w.tenant.mu.Unlock()
	w.tenant.evict(Critical)
}

// silence stops the handling of the bus for a while.
func (w *world) silence() {
	w.mu.Lock()
	w.stopped++
	w.mu.Unlock()
	w.later(func() { w.stopped-- })
}

// down makes the origin fail for a while.
func (w *world) down() {
	w.origin.fail(errDown)
	w.later(func() { w.origin.fail(nil) })
}

func (w *world) pass() {
	time.Sleep(rapid.SampledFrom([]time.Duration{
		time.Millisecond, 30 * time.Millisecond, 150 * time.Millisecond, 250 * time.Millisecond, time.Second,
		3500 * time.Millisecond, 5 * time.Second, 20 * time.Second,
	}).Draw(w.r, "passes"))
	w.readAll()
	w.check()
}

func (w *world) check() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.broken) > 0 {
		w.r.Fatalf("the promise is broken:\n%s", strings.Join(w.broken, "\n"))
	}
}

// settle lets everything become well, after which nothing may be unconfirmed.
func (w *world) settle() {
	time.Sleep(time.Minute) // longer than anything takes
	w.readAll()
	time.Sleep(time.Minute)
	w.check()
	w.tenant.mu.Lock()
	defer w.tenant.mu.Unlock()
	for _, h := range w.items {
		s := w.tenant.store(h.kind)
		if s == nil {
			continue
		}
		if e := s.entry(w.cache.hash(h.key), h.key); e != nil && e.is(provisional|low) || s.confirm != nil {
			w.r.Fatalf("%s %s is not confirmed", h.kind.Name, h.key)
		}
	}
	if n := len(w.tenant.flights); n > 0 {
		w.r.Fatalf("%d flights are left", n)
	}
	if n := len(w.cache.confirms.queue); n > 0 {
		w.r.Fatalf("%d confirmations are left", n)
	}
}

func newWorld(t *testing.T, r *rapid.T) *world {
	w := &world{r: r, connected: true, mu: new(sync.Mutex)}
	w.other = &Kind{ID: 2, Name: "other", Class: Critical, TTL: 20 * time.Second, NegativeTTL: 5 * time.Second,
		MaxStale: time.Minute, ConfirmAfter: 200 * time.Millisecond, Listed: true}
	w.bench = newBench(t, func(c *Config) {
		c.Kinds = append(c.Kinds, w.other)
		c.TenantBytes = func(string) int64 { return 6 << 10 }
		c.SoftTimeout = rapid.SampledFrom([]time.Duration{0, 50 * time.Millisecond, 200 * time.Millisecond}).Draw(r, "soft time-out")
		if rapid.Bool().Draw(r, "adaptive") {
			c.AdaptiveTTL = AdaptiveTTL{Min: 0.25, Max: longest}
		}
		seed := rapid.Uint64().Draw(r, "seed")
		c.Source = &slow{fakeOrigin: c.Source.(*fakeOrigin), rnd: rand.New(rand.NewPCG(seed, 0))}
	})
	w.cost.TTL, w.user.TTL = time.Minute, 30*time.Second
	w.cost.Listed, w.other.Listed = rapid.Bool().Draw(r, "cost is listed"), rapid.Bool().Draw(r, "other is listed")
	for _, k := range []*Kind{w.cost, w.cost, w.user, w.other} {
		h := &item{kind: k, key: fmt.Sprint("k", len(w.items)), commits: []commit{{at: time.Now(), acked: time.Now(), version: 1}}}
		w.items = append(w.items, h)
	}
	return w
}

// run plays a history in a bubble.
func (w *world) run(actions []func()) {
	ctx, cancel := context.WithCancel(context.Background())
	reading, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	for v := w; v != nil; v = v.twin {
		v.begin(ctx, reading, &running)
	}
	defer func() {
		stop()
		cancel()
		running.Wait()
		for v := w; v != nil; v = v.twin {
			v.reads.Wait()
		}
	}()
	for range rapid.IntRange(1, 100).Draw(w.r, "steps") {
		actions[rapid.IntRange(0, len(actions)-1).Draw(w.r, "action")]()
	}
	stop()
	for v := w; v != nil; v = v.twin {
		v.settle()
	}
}

// begin starts a node, and a reader of it until reading ends.
func (w *world) begin(ctx, reading context.Context, running *sync.WaitGroup) {
	running.Go(func() { _ = w.cache.Run(ctx) })
	running.Go(func() { w.deliver(ctx) })
	if pause := rapid.SampledFrom([]time.Duration{0, 20 * time.Millisecond, 300 * time.Millisecond}).Draw(w.r, "pause of a reader"); pause > 0 {
		running.Go(func() {
			for ; reading.Err() == nil; time.Sleep(pause) {
				w.readAll()
			}
		})
	}
	w.tenant.Confirmed()
}

// inRapidBubble runs a test in a bubble and hands what rapid panics with, to
// stop or to shrink, on to rapid.
func inRapidBubble(t *testing.T, test func(t *testing.T)) {
	var stop any
	synctest.Test(t, func(t *testing.T) {
		defer func() { stop = recover() }()
		test(t)
	})
	if stop != nil {
		panic(stop)
	}
}

// Whatever happens to events, connections, the origin and the node, no FRESH
// answer breaks the promise.
func TestThePromiseIsKept(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		inRapidBubble(t, func(t *testing.T) {
			w := newWorld(t, r)
			w.run([]func(){
				w.commit, w.commit, w.race, w.race, w.readOne, w.readOne, w.readAll, w.pass, w.pass, w.pass, w.pass,
				w.load, w.lose, w.overflow, w.evict, w.silence, w.down,
			})
		})
	})
}
