package shard

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// become has every node see the members as they are, of which some own nothing: they
// join or leave.
func (c *crew) become(idle ...*hand) {
	var alive []Peer
	for _, h := range c.hands {
		p := h.peer
		p.Ready = !slices.Contains(idle, h)
		alive = append(alive, p)
	}
	for _, h := range c.hands {
		h.members.be(alive...)
	}
}

// settle reads every tenant through an owner until all owners are live.
func (c *crew) settle(tenants []string, members ...*hand) {
	c.Helper()
	for _, tenant := range tenants {
		first := c.hand(c.owners(tenant, members...)[0])
		first.read(tenant, "cost", "a")
	}
	c.within(10*time.Second, "all owners are live", func() bool { return c.liveOnOwners(tenants, members...) })
	for _, tenant := range tenants { // now that it would be known if they changed
		first := c.hand(c.owners(tenant, members...)[0])
		first.read(tenant, "user", "only-"+first.peer.Name)
	}
}

// joining has the last node join, and so many tenants live on the others, their owners.
func (c *crew) joining(many int) (old []*hand, joins *hand, tenants []string) {
	c.Helper()
	last := len(c.hands) - 1
	old, joins, tenants = c.hands[:last], c.hands[last], names(many)
	c.become(joins)
	c.wait(time.Second)
	c.settle(tenants, old...)
	return old, joins, tenants
}

func (c *crew) hand(name string) *hand {
	return c.hands[slices.IndexFunc(c.hands, func(h *hand) bool { return h.peer.Name == name })]
}

func (c *crew) liveOnOwners(tenants []string, members ...*hand) bool {
	return !slices.ContainsFunc(tenants, func(tenant string) bool {
		return slices.ContainsFunc(c.owners(tenant, members...), func(name string) bool { return c.hand(name).node.State(tenant) != Live })
	})
}

func (c *crew) liveSomewhere(tenants []string) {
	c.Helper()
	for _, tenant := range tenants {
		if !slices.ContainsFunc(c.hands, func(h *hand) bool { return h.node.State(tenant) == Live }) {
			c.Fatalf("%s is live nowhere", tenant)
		}
	}
}

// asked returns the origin's reads and lists of all nodes, and forgets the lists.
func (c *crew) asked() (reads, lists int) {
	for _, h := range c.hands {
		reads += h.origin.reads()
		lists += len(h.origin.listed())
	}
	return reads, lists
}

// wantKept checks that each tenant is answered from memory by its primary, with what
// another had read alone.
func (c *crew) wantKept(tenants []string, before []*hand, members ...*hand) {
	c.Helper()
	for _, tenant := range tenants {
		first := c.hand(c.owners(tenant, members...)[0])
		first.want(tenant, "cost", "a", "1 fresh memory")
		first.want(tenant, "role", "none", "absent fresh memory")
		first.want(tenant, "user", "only-"+c.owners(tenant, before...)[0], "1 fresh memory")
	}
}

// A node that leaves hands over all it has, also what it alone has read, and is done
// when every tenant is live on its owners.
func TestALeaveCostsTheOriginNothing(t *testing.T) {
	crewInBubble(t, 4, Config{}, func(c *crew) {
		leaves, rest := c.hands[0], c.hands[1:]
		c.wait(time.Second)
		tenants := names(200)
		c.settle(tenants, c.hands...)
		reads, _ := c.asked()
		before := c.hands
		leaves.node.Drain()
		c.become(leaves)
		took := c.within(5*time.Second, "handed over", leaves.node.HandedOver)
		t.Logf("after %v", took)
		if !c.liveOnOwners(tenants, rest...) {
			t.Error("done, and a tenant is not live on an owner")
		}
		c.heldByOwners(tenants, rest...)
		c.wantKept(tenants, before, rest...)
		if again, lists := c.asked(); again != reads || lists > 0 {
			t.Errorf("the origin was asked for %d items and %d lists", again-reads, lists)
		}
	})
}

// Of a node that dies, its other owner hands over what it has.
func TestAfterADeathTheOtherOwnerHandsOver(t *testing.T) {
	crewInBubble(t, 4, Config{}, func(c *crew) {
		c.wait(time.Second)
		tenants := names(100)
		c.settle(tenants, c.hands...)
		c.asked()
		rest := c.hands[1:]
		c.mates.unplug(c.hands[0].peer.ID)
		for _, h := range rest {
			h.see(rest...)
		}
		c.within(3*time.Second, "live again", func() bool { return c.liveOnOwners(tenants, rest...) })
		for _, h := range rest {
			if lists := h.origin.listed(); lists != nil {
				t.Errorf("%s read %d lists of the origin", h.peer.Name, len(lists))
			}
		}
	})
}

// What a node may not take, the origin gives: an export that breaks off, one that
// never begins, one of a node in doubt.
func TestWithoutAnExportTheOriginIsRead(t *testing.T) {
	for name, spoil := range map[string]func(c *crew){
		"broken": func(c *crew) { c.each(func(h *hand) { c.mates.broken[h.peer.ID] = true }) },
		"frozen": func(c *crew) { c.each(func(h *hand) { c.mates.delay(h.peer.ID, -1) }) },
		"doubts": func(c *crew) {
			c.each((*hand).loseBus)
			c.wait(100 * time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			crewInBubble(t, 3, Config{}, func(c *crew) {
				_, joins, tenants := c.joining(20)
				spoil(c)
				c.mates.delay(joins.peer.ID, 0)
				c.become()
				for _, tenant := range tenants { // as a client's reads do, if nobody tells
					if joins.node.Owns(tenant) {
						joins.read(tenant, "cost", "a")
					}
				}
				c.wait(time.Second)
				c.within(time.Minute, "live all the same", func() bool {
					return !slices.ContainsFunc(tenants, func(tenant string) bool {
						return joins.node.Owns(tenant) && joins.node.State(tenant) != Live
					})
				})
				if lists := joins.origin.listed(); len(lists) == 0 {
					t.Error("the origin was not asked")
				}
			})
		})
	}
}

func (c *crew) each(do func(h *hand)) {
	for _, h := range c.hands {
		do(h)
	}
}

// A word that is lost leaks no subscription, and loses no tenant: an owner that cannot
// be asked is asked again, and what it has to take over is held until it has.
func TestNothingIsLetGoOfUnseen(t *testing.T) {
	crewInBubble(t, 4, Config{}, func(c *crew) {
		old, joins, tenants := c.joining(50)
		c.mates.delay(joins.peer.ID, -1)
		c.become()
		c.wait(parting - 5*time.Second)
		for _, tenant := range tenants {
			before, now := c.owners(tenant, old...), c.owners(tenant, c.hands...)
			if active := c.active(tenant); slices.Contains(now, "n4") && !cmp.Equal(active, sorted(before)) {
				c.Fatalf("%s is active on %v, before %v", tenant, active, before)
			}
		}
		c.mates.delay(joins.peer.ID, 0)
		c.within(3*time.Second, "taken over", func() bool { return c.liveOnOwners(tenants, c.hands...) })
		c.wait(3 * time.Second) // questions that found no way end
		c.heldByOwners(tenants, c.hands...)
	})
}

// An owner that never takes a tenant is not waited for for ever.
func TestAnOwnerThatNeverTakes(t *testing.T) {
	crewInBubble(t, 3, Config{}, func(c *crew) {
		old, joins, tenants := c.joining(20)
		c.mates.delay(joins.peer.ID, -1)
		c.become()
		c.wait(parting + 5*time.Second)
		for _, h := range old {
			for _, tenant := range tenants {
				if !h.node.Owns(tenant) && h.node.State(tenant) != Cold {
					t.Errorf("%s still holds %s", h.peer.Name, tenant)
				}
			}
		}
	})
}

// Nothing is handed over twice: a new owner takes a tenant from its primary, and one that
// was live before only what the node that leaves has read besides.
func TestALeaveHandsOverWhatIsLacking(t *testing.T) {
	crewInBubble(t, 3, Config{}, func(c *crew) {
		before, leaves, rest := c.hands, c.hands[0], c.hands[1:]
		c.wait(time.Second)
		read, lists := names(60), []string{}
		c.settle(read, before...)
		for i := range 60 {
			tenant := fmt.Sprint("list", i)
			lists = append(lists, tenant)
			c.hand(c.owners(tenant, before...)[0]).read(tenant, "cost", "a")
		}
		c.within(10*time.Second, "all owners are live", func() bool { return c.liveOnOwners(lists, before...) })
		c.mates.exported()
		leaves.node.Drain()
		c.become(leaves)
		c.within(10*time.Second, "handed over", leaves.node.HandedOver)
		times := make(map[string]int)
		for _, e := range c.mates.exported() {
			times[strings.Fields(e)[3]]++
		}
		for _, tenant := range append(read, lists...) {
			want := 0
			switch owners := c.owners(tenant, before...); {
			case owners[0] == leaves.peer.Name && slices.Contains(read, tenant):
				want = 2 // both owners lack what it has read
			case slices.Contains(owners, leaves.peer.Name):
				want = 1
			}
			if times[tenant] != want {
				c.Errorf("%s of %v was exported %d times, want %d", tenant, c.owners(tenant, before...), times[tenant], want)
			}
		}
		c.wantKept(read, before, rest...)
	})
}

// However long it takes to hand over all a node has, nothing is given up for that.
func TestALongLeaveGivesNothingUp(t *testing.T) {
	crewInBubble(t, 3, Config{}, func(c *crew) {
		leaves, rest := c.hands[0], c.hands[1:]
		c.wait(time.Second)
		tenants := names(900)
		c.settle(tenants, c.hands...)
		c.asked()
		for _, h := range c.hands {
			c.mates.delay(h.peer.ID, 150*time.Millisecond)
		}
		leaves.node.Drain()
		c.become(leaves)
		if took := c.within(5*time.Minute, "handed over", leaves.node.HandedOver); took < parting+time.Second {
			t.Fatalf("%v is not long", took)
		}
		if !c.liveOnOwners(tenants, rest...) {
			t.Error("done, and a tenant is not live on an owner")
		}
		c.heldByOwners(tenants, rest...)
		if _, lists := c.asked(); lists > 0 {
			t.Errorf("the origin was asked for %d lists", lists)
		}
	})
}

// A node's reconnect costs the origin nothing where its co-owners are well.
func TestAReconnectCostsTheOriginNothing(t *testing.T) {
	crewInBubble(t, 3, Config{ResyncPerSecond: 100_000}, func(c *crew) {
		c.wait(time.Second)
		tenants := names(50)
		c.settle(tenants, c.hands...)
		c.wait(3 * time.Second)
		c.asked()
		doubts := c.hands[0]
		before := doubts.node.Describe(tenants[0]).Generation
		doubts.bus.reconnect()
		c.wait(5 * time.Second)
		if doubts.node.Describe(tenants[0]).Generation == before && doubts.node.Owns(tenants[0]) {
			t.Error("nothing was in doubt")
		}
		if n := doubts.node.doubtful(); n > 0 {
			t.Errorf("%d tenants are still in doubt", n)
		}
		for _, tenant := range tenants {
			if doubts.node.Owns(tenant) {
				doubts.want(tenant, "cost", "a", "1 fresh memory")
				doubts.want(tenant, "role", "none", "absent fresh memory")
			}
		}
		if _, lists := c.asked(); lists > 0 {
			t.Errorf("%d lists of the origin", lists)
		}
	})
}

// However members come and go, in the end each tenant is held by its owners, and at no
// time was one that is held by nobody who is live.
func TestFlapping(t *testing.T) {
	crewInBubble(t, 4, Config{}, func(c *crew) {
		c.wait(time.Second)
		tenants := names(60)
		c.settle(tenants, c.hands...)
		reads, _ := c.asked()
		flaps := c.hands[3]
		for i := range 20 {
			if i%2 == 0 {
				c.become(flaps)
			} else {
				c.become()
			}
			for begun := time.Now(); time.Since(begun) < 3*time.Second; c.wait(50 * time.Millisecond) {
				c.liveSomewhere(tenants)
			}
		}
		c.wait(5 * time.Second)
		c.heldByOwners(tenants, c.hands...)
		if again, lists := c.asked(); again != reads || lists > 0 {
			t.Errorf("the origin was asked for %d items and %d lists", again-reads, lists)
		}
	})
}

// All leave at once: nobody is left to hand over to, and nobody waits.
func TestAllLeaveAtOnce(t *testing.T) {
	crewInBubble(t, 3, Config{}, func(c *crew) {
		c.wait(time.Second)
		c.settle(names(20), c.hands...)
		c.each(func(h *hand) { h.node.Drain() })
		c.become(c.hands...)
		c.wait(time.Second)
		for _, h := range c.hands {
			if !h.node.HandedOver() {
				t.Errorf("%s waits", h.peer.Name)
			}
		}
	})
}

// Peeks leave no trace.
func TestPeek(t *testing.T) {
	inBubble(t, Config{IdleTimeout: time.Minute}, func(r *rig) {
		d, ok := r.node.Definition("cost")
		if !ok || r.node.Holds("t") {
			t.Fatalf("%v, %v", d, ok)
		}
		peek := func(d Definition, key string) string {
			a, ok := r.node.Peek("t", d, key)
			return fmt.Sprint(string(a.Value), " ", a.Absent, " ", ok)
		}
		if got := peek(d, "a"); got != " false false" || r.node.Active() > 0 {
			t.Errorf("a cold tenant: %s, %d active", got, r.node.Active())
		}
		r.read("t", "cost", "a")
		r.wait(time.Second)
		for key, want := range map[string]string{"a": "1 false true", "none": " true true"} {
			if got := peek(d, key); got != want {
				t.Errorf("%s: %s, want %s", key, got, want)
			}
		}
		if got := peek(Definition{"cost", d.Hash + 1}, "a"); got != " false false" {
			t.Errorf("another definition: %s", got)
		}
		for range 130 {
			r.wait(time.Second)
			peek(d, "a")
		}
		r.wantState("t", Cold)
	})
}
