package shard

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/subscriber"
)

func TestANodeOwnsWhatTheRingGivesIt(t *testing.T) {
	crewInBubble(t, 4, Config{}, func(c *crew) {
		all, outside := c.hands[:3], c.hands[3]
		outside.see(all...)
		c.see(all...)
		c.wait(time.Second)
		count := map[string]int{}
		for _, tenant := range names(300) {
			owners := c.owners(tenant, all...)
			for _, h := range c.hands {
				at := slices.Index(owners, h.peer.Name)
				if h.node.Owns(tenant) != (at >= 0) {
					c.Fatalf("%s says that it owns %s: %v, owners are %v", h.peer.Name, tenant, h.node.Owns(tenant), owners)
				}
				var others, want []string
				for _, p := range h.node.Others(tenant) {
					others = append(others, p.Name)
				}
				for _, name := range owners {
					if name != h.peer.Name {
						want = append(want, name)
					}
				}
				if !slices.Equal(others, want) {
					c.Fatalf("%s: the others of %s are %v, want %v", h.peer.Name, tenant, others, want)
				}
				if at == 0 {
					count[h.peer.Name]++
				}
			}
		}
		for _, h := range all {
			if n := count[h.peer.Name]; n < 70 || n > 135 || !h.node.Within() || len(h.node.Peers()) != 2 {
				t.Errorf("%s is the primary of %d of 300 tenants, within the ring: %v, peers %v", h.peer.Name, n, h.node.Within(), h.node.Peers())
			}
		}
		if outside.node.Within() || len(outside.node.Peers()) != 3 || outside.node.Epoch() != all[0].node.Epoch() {
			t.Errorf("outside: within %v, peers %v", outside.node.Within(), outside.node.Peers())
		}
	})
}

// Without any member that owns tenants a node serves everything: ownership is
// advice (C8).
func TestWithoutARingANodeOwnsEverything(t *testing.T) {
	crewInBubble(t, 1, Config{}, func(c *crew) {
		h := c.hands[0]
		h.see()
		c.wait(time.Second)
		r, members, _ := h.node.Ring()
		if !h.node.Owns("t1") || h.node.Others("t1") != nil || r != nil || members != nil || h.node.Epoch() != 0 {
			t.Error("there is a ring without members")
		}
		h.want("t1", "cost", "a", "1 fresh origin")
		c.wait(time.Second)
		h.wantState("t1", Live)
	})
}

// Reads of what others own are answered by the origin each time, and leave nothing.
func TestWhatOthersOwnIsReadThrough(t *testing.T) {
	crewInBubble(t, 3, Config{}, func(c *crew) {
		c.wait(time.Second)
		first := c.hands[0]
		tenant := c.tenant("of others", func(name string) bool { return !slices.Contains(c.owners(name, c.hands...), "n1") })
		for range 5 {
			first.want(tenant, "cost", "a", "1 fresh origin")
			first.want(tenant, "user", "u", "1 fresh origin")
			first.want(tenant, "cost", "none", "absent fresh origin")
			if _, ok, err := first.node.Recall(tenant, "cost", "a", cache.ReadOptions{}); ok || err != nil {
				t.Errorf("recalled %v, %v", ok, err)
			}
		}
		c.wait(10 * time.Second)
		if n := first.origin.reads(); n != 15 {
			t.Errorf("%d reads of the origin, want 15", n)
		}
		if lists := first.origin.listed(); lists != nil {
			t.Errorf("lists %v", lists)
		}
		first.checkNothingIsLeft()
		if words := c.mates.words(); words != nil {
			t.Errorf("told %v", words)
		}
	})
}

// Whatever is read where and however the members change meanwhile: in the end each
// node holds and follows what it owns, and nothing else.
func TestActivationsBesideChangesOfTheRing(t *testing.T) {
	cfg := Config{ActivationsPerSecond: 1_000_000, IdleTimeout: time.Hour}
	crewInBubble(t, 4, cfg, func(c *crew) {
		all := names(100)
		var busy sync.WaitGroup
		ctx, cancel := context.WithCancel(c.Context())
		for range 6 {
			busy.Go(func() {
				for ctx.Err() == nil {
					h := c.hands[rand.IntN(len(c.hands))]
					_, _ = h.node.Read(ctx, all[rand.IntN(len(all))], "cost", "a", cache.ReadOptions{})
					time.Sleep(rand.N(20 * time.Millisecond))
				}
			})
		}
		busy.Go(func() {
			for ctx.Err() == nil {
				h, tenant := c.hands[rand.IntN(len(c.hands))], all[rand.IntN(len(all))]
				h.bus.do(func() { h.node.Event(&subscriber.Event{Tenant: tenant, TenantDeleted: true}) })
				time.Sleep(rand.N(20 * time.Millisecond))
			}
		})
		for range 20 {
			some := slices.Clone(c.hands)
			rand.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
			for _, h := range c.hands { // not all hear at once
				h.see(some[:1+rand.IntN(len(some))]...)
				time.Sleep(rand.N(100 * time.Millisecond))
			}
			time.Sleep(rand.N(400 * time.Millisecond))
		}
		cancel()
		busy.Wait()
		c.see(c.hands[2:]...) // so that the next is another ring for all
		c.wait(2 * time.Second)
		c.see(c.hands[:3]...)
		c.wait(20 * time.Second)
		held := 0
		for _, h := range c.hands {
			h.checkFollowed()
			h.node.tenants.Range(func(tenant string, _ *tenant) bool {
				if held++; !h.node.Owns(tenant) {
					t.Errorf("%s holds %s, which it does not own", h.peer.Name, tenant)
				}
				return true
			})
		}
		if n := c.hands[3].node.Active(); n != 0 {
			t.Errorf("a node that is not in the ring holds %d tenants", n)
		}
		var active []string
		for _, tenant := range all {
			if len(c.active(tenant)) > 0 {
				active = append(active, tenant)
			}
		}
		if len(active) < 75 {
			t.Errorf("%d of 100 tenants are active", len(active))
		}
		c.heldByOwners(active, c.hands[:3]...)
	})
}

// A node holds those of the tenants to preload that it owns, at the start and after
// each change; while it has no place in a ring, none.
func TestOnlyWhatIsOwnedIsPreloaded(t *testing.T) {
	all := names(60)
	crewInBubble(t, 3, Config{Preload: all, IdleTimeout: 10 * time.Second}, func(c *crew) {
		c.wait(3 * time.Second)
		c.heldByOwners(all, c.hands...)
		for _, h := range c.hands {
			for _, l := range h.origin.listed() {
				if !slices.Contains(c.owners(l.tenant, c.hands...), h.peer.Name) {
					c.Fatalf("%s read the lists of %s, which it does not own", h.peer.Name, l.tenant)
				}
			}
		}
		c.see(c.hands[:2]...)
		c.wait(15 * time.Second)
		c.heldByOwners(all, c.hands[:2]...)
		c.see(c.hands...)
		c.wait(15 * time.Second)
		c.heldByOwners(all, c.hands...)
		c.wait(time.Minute) // they are never idle
		c.heldByOwners(all, c.hands...)
	})
}

func TestNothingIsPreloadedBeforeThereIsARing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, crewRing)
		h := c.add(peerOf(1), Config{Preload: names(10)})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := h.start(ctx)
		c.wait(10 * time.Second)
		if n := h.node.Active(); n != 0 {
			t.Errorf("%d tenants are active", n)
		}
		h.see(h)
		c.wait(time.Second)
		if n := h.node.Active(); n != 10 {
			t.Errorf("%d tenants are active, want 10", n)
		}
		cancel()
		<-ended
	})
}

func TestReadinessInACluster(t *testing.T) {
	crewInBubble(t, 2, Config{}, func(c *crew) {
		h, other := c.hands[0], c.hands[1]
		check := func(ready bool, reasons, degraded []string) {
			t.Helper()
			gotReady, gotReasons, gotDegraded := h.node.Readiness()
			if gotReady != ready || !slices.Equal(gotReasons, reasons) || !slices.Equal(gotDegraded, degraded) {
				t.Errorf("%v, reasons %q, degraded %q", gotReady, gotReasons, gotDegraded)
			}
		}
		bus := func(live bool) {
			h.bus.mu.Lock()
			defer h.bus.mu.Unlock()
			h.bus.status = subscriber.ConnStatus{Live: live, Since: time.Now()}
		}
		othersBus := func(live bool) {
			other.peer.BusLive = live
			c.see(c.hands...)
		}
		const lost = "bus connection 0 is not live"
		h.warm()
		c.wait(time.Second)
		check(true, nil, nil)
		c.see(other)
		c.wait(time.Second)
		check(false, []string{"not in the ring yet"}, nil)
		c.see(c.hands...)
		c.wait(time.Second)
		check(true, nil, nil)

		bus(false) // and not the other's
		c.wait(4 * time.Second)
		check(true, nil, []string{lost})
		c.wait(2 * time.Second)
		check(false, []string{lost}, nil)
		if !h.node.MayOwn() {
			t.Error("losing the bus costs it its place in the ring")
		}
		bus(true)
		check(true, nil, nil)

		bus(false) // and the other's
		othersBus(false)
		c.wait(time.Minute)
		check(true, nil, []string{lost})
		othersBus(true) // which is back a little earlier
		c.wait(4 * time.Second)
		check(true, nil, []string{lost})
		c.wait(2 * time.Second)
		check(false, []string{lost}, nil)
		c.see(h) // nobody else is there any longer
		c.wait(time.Second)
		check(true, nil, []string{lost})
	})
}

// A node may own tenants once its bus has been live, whatever becomes of it.
func TestMayOwn(t *testing.T) {
	for _, test := range []struct {
		status subscriber.ConnStatus
		want   bool
	}{
		{subscriber.ConnStatus{}, false},
		{subscriber.ConnStatus{Err: errDown}, false},
		{subscriber.ConnStatus{Live: true, Since: time.Unix(1, 0)}, true},
		{subscriber.ConnStatus{Since: time.Unix(1, 0), Err: errDown}, true},
	} {
		crewInBubble(t, 1, Config{}, func(c *crew) {
			h := c.hands[0]
			h.bus.mu.Lock()
			h.bus.status = test.status
			h.bus.mu.Unlock()
			ctx, cancel := context.WithCancel(c.Context())
			warming := make(chan struct{})
			go func() { defer close(warming); h.node.Warm(ctx, time.Second) }()
			c.wait(time.Minute)
			if h.node.MayOwn() != test.want {
				t.Errorf("%+v: %v", test.status, !test.want)
			}
			cancel()
			<-warming
			if h.node.Drain(); h.node.MayOwn() {
				t.Error("it is about to end")
			}
		})
	}
}
