package origin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// check says what is wrong with the gate's books, with its lock held.
func (g *gate) check(slots int) error {
	inFlight, waiting, ready := 0, 0, 0
	for name, q := range g.tenants {
		inFlight += q.inFlight
		waiting += q.waiters.Len()
		switch {
		case q.tenant != name, q.inFlight == 0 && q.waiters.Len() == 0:
			return fmt.Errorf("%s: nothing is left of it", name)
		case q.inFlight < 0, q.waiters.Len() > g.maxTenantWaiting:
			return fmt.Errorf("%s: %d in flight, %d wait", name, q.inFlight, q.waiters.Len())
		case (q.waiters.Len() > 0 && q.inFlight < q.limit) != (q.turn != nil):
			return fmt.Errorf("%s: wrongly in the turns or not", name)
		}
		if q.turn != nil {
			ready++
		}
	}
	if g.free < 0 || g.free+inFlight != slots || g.waiting != waiting || waiting > g.maxWaiting || ready != g.turns.Len() {
		return fmt.Errorf("%d free, %d in flight of %d, %d wait, not %d, %d in the turns, not %d", g.free, inFlight, slots, waiting, g.waiting, ready, g.turns.Len())
	}
	if g.free > 0 && ready > 0 {
		return fmt.Errorf("%d slots are free, and %d tenants wait", g.free, ready)
	}
	return nil
}

// Whatever comes, waits, gives up and leaves: no slot is lost or used twice,
// none is free while somebody could use it, and the bounds hold.
func TestGateKeepsItsBooks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.IntRange(1, 4).Draw(t, "slots")
		g := newGate(slots, rapid.IntRange(1, 6).Draw(t, "waiting"), rapid.IntRange(1, 4).Draw(t, "tenant waiting"))
		type place = struct {
			q *queue
			c chan struct{}
			f func()
		}
		var in []string
		var waiting []place
		admitted := func() {
			waiting = slices.DeleteFunc(waiting, func(p place) bool {
				select {
				case <-p.c:
					in = append(in, p.q.tenant)
					return true
				default:
					return false
				}
			})
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch step := rapid.IntRange(0, 3).Draw(t, "step"); {
			case step <= 1:
				tenant := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "tenant")
				limit := rapid.IntRange(1, 3).Draw(t, "limit")
				q, e, err := g.line(tenant, limit)
				if e != nil {
					waiting = append(waiting, place{q, e.Value.(chan struct{}), func() { g.giveUp(q, e) }})
				} else if err == nil {
					in = append(in, tenant)
					if n := q.inFlight; n > limit {
						t.Fatalf("%d in flight, limit %d", n, limit)
					}
				}
			case step == 2 && len(in) > 0:
				i := rapid.IntRange(0, len(in)-1).Draw(t, "who")
				g.leave(in[i])
				in = slices.Delete(in, i, i+1)
			case step == 3 && len(waiting) > 0:
				i := rapid.IntRange(0, len(waiting)-1).Draw(t, "who")
				p := waiting[i]
				waiting = slices.Delete(waiting, i, i+1)
				p.f()
			}
			admitted()
			if err := g.check(slots); err != nil {
				t.Fatal(err)
			}
			if len(in) != slots-g.free || len(waiting) != g.waiting {
				t.Fatalf("%d in, %d wait; gate: %d free, %d wait", len(in), len(waiting), g.free, g.waiting)
			}
		}
		for _, p := range waiting {
			p.f()
		}
		for _, tenant := range in {
			g.leave(tenant)
		}
		if g.free != slots || len(g.tenants) != 0 {
			t.Fatalf("at the end %d of %d free, %d tenants", g.free, slots, len(g.tenants))
		}
	})
}

// Tenants take turns, the reads of each in order, however many there are.
func TestGateIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 100, 100)
		if err := g.enter(t.Context(), "z", 1); err != nil {
			t.Fatal(err)
		}
		var got []string
		queue := func(tenant string, n int) {
			for i := range n {
				go func() {
					if err := g.enter(t.Context(), tenant, 8); err != nil {
						t.Error(err)
					}
					got = append(got, fmt.Sprint(tenant, i))
					g.leave(tenant)
				}()
				synctest.Wait()
			}
		}
		queue("a", 5)
		queue("b", 2)
		queue("c", 1)
		g.leave("z")
		synctest.Wait()
		want := []string{"a0", "b0", "c0", "a1", "b1", "a2", "a3", "a4"}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// A tenant that holds all that it may leaves the other slots to others.
func TestGateBoundsATenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(4, 8, 2)
		ctx, cancel := context.WithCancel(t.Context())
		var greedy sync.WaitGroup
		results := make(chan error, 5)
		for range 5 {
			greedy.Go(func() { results <- g.enter(ctx, "greedy", 2) })
			synctest.Wait()
		}
		if err := <-results; err != nil {
			t.Error(err)
		}
		if err := errors.Join(<-results, <-results); !errors.Is(err, errQueueFull) {
			t.Errorf("more wait than may: %v", err)
		}
		for range 2 {
			if err := g.enter(t.Context(), "modest", 2); err != nil {
				t.Error(err)
			}
		}
		cancel()
		greedy.Wait()
		if err := errors.Join(<-results, <-results); !errors.Is(err, context.Canceled) || g.queued() != 0 {
			t.Errorf("%v, %d still wait", err, g.queued())
		}
		if err := g.check(4); err != nil {
			t.Error(err)
		}
	})
}

// Many at once, most of which give up: at the end nothing is held.
func TestGateUnderLoad(t *testing.T) {
	const slots, limit = 4, 2
	g := newGate(slots, 64, 32)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			tenant := fmt.Sprint(i % 5)
			for j := range 50 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(j%5)*100*time.Microsecond)
				if g.enter(ctx, tenant, limit) == nil {
					g.mu.Lock()
					if n := g.tenants[tenant].inFlight; n > limit {
						t.Errorf("%d in flight, limit %d", n, limit)
					}
					err := g.check(slots)
					g.mu.Unlock()
					if err != nil {
						t.Error(err)
					}
					g.leave(tenant)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if g.free != slots || g.waiting != 0 || len(g.tenants) != 0 {
		t.Errorf("%d free, %d wait, %d tenants", g.free, g.waiting, len(g.tenants))
	}
}
