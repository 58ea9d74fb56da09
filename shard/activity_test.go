package shard

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/cache"
)

// pair returns a tenant of the first node with the node that shares it.
func (c *crew) pair() (tenant string, first, second *hand) {
	c.Helper()
	tenant = c.tenant("of n1 and n2", func(name string) bool {
		return cmp.Equal(c.owners(name, c.hands...), []string{"n1", "n2"})
	})
	return tenant, c.hands[0], c.hands[1]
}

// All owners activate a tenant soon after the first read at one of them; the others
// never do.
func TestOwnersActivateTogether(t *testing.T) {
	crewInBubble(t, 5, Config{}, func(c *crew) {
		c.wait(time.Second)
		tenant, _, second := c.pair()
		second.want(tenant, "cost", "a", "1 fresh origin")
		took := c.within(500*time.Millisecond, "all owners have it", func() bool { return len(c.active(tenant)) == 2 })
		t.Logf("after %v", took)
		c.wait(time.Minute)
		c.heldByOwners([]string{tenant}, c.hands...)
		for _, h := range c.hands[:2] {
			h.wantState(tenant, Live)
			h.want(tenant, "role", "none", "absent fresh memory")
		}
	})
}

// Reads at one owner keep a tenant with all of them, whatever the idle time. After
// the last read all let go of it together, and little is said.
func TestOwnersIdleTogether(t *testing.T) {
	for _, idle := range []time.Duration{4 * time.Second, 10 * time.Second, time.Minute, 15 * time.Minute} {
		t.Run(fmt.Sprint(idle), func(t *testing.T) {
			crewInBubble(t, 3, Config{IdleTimeout: idle}, func(c *crew) {
				c.wait(time.Second)
				tenant, first, second := c.pair()
				for begun := time.Now(); time.Since(begun) < 5*idle; c.wait(idle / 20) {
					first.read(tenant, "cost", "a")
					if time.Since(begun) > time.Second && len(c.active(tenant)) != 2 {
						c.Fatalf("after %v only %v have it", time.Since(begun), c.active(tenant))
					}
				}
				if n := len(c.mates.words()); n > 1+int(5*idle/min(idle/4, time.Minute)) {
					t.Errorf("%d words", n)
				}
				c.wait(idle*3/4 - 2*time.Second)
				if len(c.active(tenant)) != 2 && idle > 4*time.Second {
					c.Fatalf("only %v have it, before it is idle", c.active(tenant))
				}
				c.wait(idle/2 + 2*time.Second)
				if active := c.active(tenant); active != nil {
					t.Errorf("%v still have it", active)
				}
				if n := len(c.mates.words()); n > 1 {
					t.Errorf("%d words after the last read", n)
				}
				c.wait(3 * idle)
				if words := c.mates.words(); words != nil || c.active(tenant) != nil {
					t.Errorf("%v have it again, told %v", c.active(tenant), words)
				}
				second.checkNothingIsLeft()
			})
		})
	}
}

// What both read is told by both, and it ends with the reads: neither keeps it alive
// for the other.
func TestNoPingPong(t *testing.T) {
	const idle = time.Minute
	crewInBubble(t, 3, Config{IdleTimeout: idle}, func(c *crew) {
		c.wait(time.Second)
		c.mates.delay("n1-1", 300*time.Millisecond) // a word is late, and tells of a read as younger than it is
		c.mates.delay("n2-1", 300*time.Millisecond)
		tenant, first, second := c.pair()
		for range 100 {
			first.read(tenant, "cost", "a")
			c.wait(1300 * time.Millisecond)
			second.read(tenant, "cost", "a")
			c.wait(1100 * time.Millisecond)
		}
		for i := range 20 { // and the ring changes again and again
			c.see(c.hands[:2+i%2]...)
			c.wait(idle / 4 / 5)
		}
		c.wait(idle / 4)
		if active := c.active(tenant); active != nil {
			t.Errorf("%v have it 1.25 idle times after the last read", active)
		}
		c.mates.words()
		c.wait(3 * idle)
		if words := c.mates.words(); words != nil || c.active(tenant) != nil {
			t.Errorf("%v have it again, told %v", c.active(tenant), words)
		}
	})
}

// Moving from owner to owner keeps nothing alive that nobody reads.
func TestMovingIsNoRead(t *testing.T) {
	const idle = time.Minute
	crewInBubble(t, 4, Config{IdleTimeout: idle}, func(c *crew) {
		c.wait(time.Second)
		all := names(50)
		for _, tenant := range all {
			c.hands[0].node.activate(tenant)
			c.hands[1].node.activate(tenant)
			c.hands[2].node.activate(tenant)
		}
		for i := range 15 {
			c.see(slices.Concat(c.hands[:i%4], c.hands[i%4+1:])...)
			c.wait(idle / 12)
		}
		for _, tenant := range all {
			if active := c.active(tenant); active != nil {
				t.Errorf("%v have %s 1.25 idle times after the last read", active, tenant)
			}
		}
	})
}

// A tenant that the origin does not know is told of once for each time that a read
// makes it active, not by one owner to the other for ever.
func TestAnUnknownTenantIsNotToldForEver(t *testing.T) {
	crewInBubble(t, 3, Config{}, func(c *crew) {
		for _, h := range c.hands {
			h.origin.fail("cost", cache.ErrAbsent)
			h.origin.fail("role", cache.ErrAbsent)
		}
		c.hands[1].origin.delay = 700 * time.Millisecond // it learns it later
		c.wait(time.Second)
		tenant, first, _ := c.pair()
		for range 100 {
			first.read(tenant, "cost", "none")
			c.wait(100 * time.Millisecond)
		}
		words := c.mates.words()
		if len(words) > 1 || c.active(tenant) != nil {
			t.Errorf("active %v, told %v", c.active(tenant), words)
		}
		c.wait(5 * time.Minute)
		if words := c.mates.words(); words != nil || c.active(tenant) != nil {
			t.Errorf("active %v, told %v", c.active(tenant), words)
		}
		if n := len(c.hands[0].origin.listed()) + len(c.hands[1].origin.listed()); n > 4 {
			t.Errorf("%d lists", n)
		}
	})
}

// Who could not be told is told again, until it knows or the tenant is idle.
func TestToldAgain(t *testing.T) {
	crewInBubble(t, 3, Config{}, func(c *crew) {
		c.wait(time.Second)
		tenant, first, second := c.pair()
		plug := c.mates.unplug(second.peer.ID)
		first.read(tenant, "cost", "a")
		c.wait(30 * time.Second)
		if words := c.mates.words(); len(words) < 4 || len(words) > 8 {
			t.Errorf("tried %d times in 30 s", len(words))
		}
		plug()
		c.within(6*time.Second, "it has it", func() bool { return len(c.active(tenant)) == 2 })
		c.wait(30 * time.Second)
		if words := c.mates.words(); len(words) != 1 {
			t.Errorf("told %v", words)
		}
	})
}

// A node that came back under its name, in the same ring, has nothing of what it had,
// and is told.
func TestWhoRestartedIsToldAgain(t *testing.T) {
	crewInBubble(t, 3, Config{}, func(c *crew) {
		c.wait(time.Second)
		tenant, first, second := c.pair()
		first.read(tenant, "cost", "a")
		c.wait(2 * time.Second)
		c.mates.words()
		second.node.Drop(tenant) // as if it had ended
		c.mates.unplug(second.peer.ID)
		second.peer.ID = "n2-2"
		c.mates.nodes["n2-2"] = second.node
		epoch := first.node.Epoch()
		c.see(c.hands...)
		c.within(time.Second, "it has it again", func() bool { return len(c.active(tenant)) == 2 })
		if first.node.Epoch() != epoch {
			t.Error("it is another ring")
		}
		c.wait(10 * time.Second)
		if words := c.mates.words(); len(words) > 2 { // by either to the other
			t.Errorf("told %v", words)
		}
	})
}

// A node may hear of its tenants before it hears of the ring that gives it them.
func TestAWordThatComesBeforeTheRing(t *testing.T) {
	crewInBubble(t, 4, Config{}, func(c *crew) {
		old, joined := c.hands[:3], c.hands[3]
		c.see(old...)
		c.wait(time.Second)
		tenant := c.tenant("whose second owner becomes n4", func(name string) bool {
			now := c.owners(name, c.hands...)
			return now[0] == "n1" && now[1] == "n4" && c.owners(name, old...)[0] == "n1"
		})
		c.hands[0].read(tenant, "cost", "a")
		c.wait(2 * time.Second)
		for _, h := range old {
			h.see(c.hands...)
		}
		c.wait(2 * time.Second) // they have told it, and it does not know why
		if joined.node.State(tenant) != Cold {
			c.Fatal("it took what it does not own")
		}
		joined.see(c.hands...)
		c.wait(500 * time.Millisecond)
		c.heldByOwners([]string{tenant}, c.hands...)

		c.see(old...) // and what was said long ago is forgotten
		c.wait(time.Second)
		joined.node.Hear([]Activity{{Tenant: tenant, Idle: time.Second}})
		c.wait(30 * time.Second)
		joined.see(c.hands...)
		c.wait(time.Second)
		if joined.node.State(tenant) != Cold {
			t.Error("it took a word that was half a minute old")
		}
	})
}

// A node that answers nobody does not keep the others from being told in time.
func TestANodeThatHangsHoldsUpNobody(t *testing.T) {
	crewInBubble(t, 3, Config{}, func(c *crew) {
		c.wait(time.Second)
		c.mates.delay("n3-1", -1)
		hanging := c.tenant("of n1 and n3", func(name string) bool {
			return cmp.Equal(sorted(c.owners(name, c.hands...)), []string{"n1", "n3"})
		})
		c.hands[0].read(hanging, "cost", "a")
		c.wait(300 * time.Millisecond) // n3 is being told
		for i := range 10 {
			tenant := c.tenant("of n1 and n2", func(name string) bool {
				return cmp.Equal(sorted(c.owners(name, c.hands...)), []string{"n1", "n2"}) && c.active(name) == nil
			})
			c.hands[0].read(tenant, "cost", "a")
			c.wait(500 * time.Millisecond)
			if len(c.active(tenant)) != 2 {
				c.Fatalf("word %d was held up", i)
			}
		}
	})
}

// However many there are, a word has at most MaxActivities, and each is told of once.
func TestWordsAreBounded(t *testing.T) {
	tenants := make([]*tenant, 2*MaxActivities+5000)
	for i := range tenants {
		tenants[i] = new(tenant)
	}
	var s sharing
	if !s.post(&post{to: peerOf(2), waiting: tenants[:12_000]}) {
		t.Error("the first has no courier")
	}
	if s.post(&post{to: peerOf(2), waiting: tenants[12_000:]}) {
		t.Error("another courier, although one is under way")
	}
	if !s.post(&post{to: peerOf(3), waiting: tenants[:1]}) {
		t.Error("another node has no courier")
	}
	var sizes []int
	told := make(map[*tenant]int)
	for word := s.next("n2-1"); word != nil; word = s.next("n2-1") {
		sizes = append(sizes, len(word))
		for _, one := range word {
			told[one]++
		}
	}
	if !slices.Equal(sizes, []int{MaxActivities, MaxActivities, 5000}) || len(told) != len(tenants) {
		t.Errorf("words of %v tenants, %d different", sizes, len(told))
	}
	if !s.post(&post{to: peerOf(2), waiting: tenants[:3]}) {
		t.Error("no courier after the last has ended")
	}
	if left := s.giveUp("n2-1"); len(left) != 3 || s.posts["n2-1"] != nil {
		t.Errorf("%d are given up", len(left))
	}
}

// Thousands become active at once at one owner, and the other has them a little later.
func TestManyAreToldOfTogether(t *testing.T) {
	const tenants = 1500
	crewInBubble(t, 2, Config{ActivationsPerSecond: 1_000_000}, func(c *crew) {
		c.wait(time.Second)
		for _, tenant := range names(tenants) {
			c.hands[0].node.tenant(tenant)
		}
		c.wait(time.Second)
		if words := c.mates.words(); len(words) != 1 || len(words[0].tenants) != tenants || c.hands[1].node.Active() != tenants {
			t.Errorf("%d words, the other has %d", len(words), c.hands[1].node.Active())
		}
	})
}
