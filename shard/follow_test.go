package shard

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ringsOf notes when a node takes another ring, until the test's end.
func (c *crew) ringsOf(h *hand, begun time.Time, at *[]time.Duration) (stop func()) {
	end := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		epoch := h.node.Epoch()
		for {
			_, _, changed := h.node.Ring()
			if now := h.node.Epoch(); now != epoch {
				epoch = now
				*at = append(*at, time.Since(begun))
			}
			select {
			case <-changed:
			case <-end:
				return
			}
		}
	}()
	return func() { close(end); <-done }
}

// A burst of changes makes one ring, a tenth of a second after the last; one that does
// not end makes one a second.
func TestABurstOfChangesMakesOneRing(t *testing.T) {
	crewInBubble(t, 5, Config{}, func(c *crew) {
		h := c.hands[0]
		burst := func(changes int) (rings []time.Duration) {
			begun := time.Now()
			stop := c.ringsOf(h, begun, &rings)
			for i := range changes {
				h.see(slices.Concat(c.hands[:1+i%4], c.hands[2+i%4:])...)
				time.Sleep(60 * time.Millisecond)
			}
			c.wait(2 * time.Second)
			stop()
			return rings
		}
		c.wait(time.Second)
		for _, test := range []struct {
			changes int
			want    []time.Duration
		}{
			{1, []time.Duration{100 * time.Millisecond}},
			{10, []time.Duration{650 * time.Millisecond}},
			{45, []time.Duration{time.Second, 2 * time.Second, 2750 * time.Millisecond}},
		} {
			var got []time.Duration
			for _, at := range burst(test.changes) {
				got = append(got, at.Round(50*time.Millisecond))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%d changes: rings (-want +got):\n%s", test.changes, diff)
			}
			h.see(c.hands...)
			c.wait(time.Second)
		}
	})
}

// Same members, same ring, in whatever order they are told; and a change of what does
// not belong to the ring makes no other, but is known.
func TestAnotherOrderIsNoOtherRing(t *testing.T) {
	crewInBubble(t, 3, Config{}, func(c *crew) {
		a, b := c.hands[0], c.hands[1]
		b.see(c.hands[2], c.hands[1], c.hands[0])
		c.wait(time.Second)
		if a.node.Epoch() != b.node.Epoch() {
			t.Error("the same members make different rings")
		}
		epoch := a.node.Epoch()
		c.hands[2].peer.URL = "http://elsewhere"
		c.see(c.hands...)
		c.wait(time.Second)
		_, members, _ := a.node.Ring()
		if a.node.Epoch() != epoch || len(members) != 3 || members[2].URL != "http://elsewhere" {
			t.Errorf("members %v", members)
		}
	})
}

// What is not owned any longer is let go of as soon as its owners know of it, and they
// have it then.
func TestWhatIsNotOwnedIsHandedOver(t *testing.T) {
	crewInBubble(t, 4, Config{}, func(c *crew) {
		c.see(c.hands[:3]...)
		c.wait(time.Second)
		all := names(200)
		for _, tenant := range all {
			for _, h := range c.hands[:3] {
				if h.node.Owns(tenant) {
					h.read(tenant, "cost", "a")
					break
				}
			}
		}
		c.wait(2 * time.Second)
		c.heldByOwners(all, c.hands[:3]...)
		c.see(c.hands...)
		took := c.within(5*time.Second, "each is where it belongs", func() bool {
			for _, tenant := range all {
				if !cmp.Equal(c.active(tenant), sorted(c.owners(tenant, c.hands...))) {
					return false
				}
			}
			return true
		})
		t.Logf("handed over in %v", took)
		c.wait(2 * time.Second)
		c.heldByOwners(all, c.hands...)
	})
}

// Where the new owner cannot be asked, what it should have is held for a while.
func TestWhatCannotBeHandedOverIsLetGoOf(t *testing.T) {
	for _, way := range []string{"refuses", "hangs"} {
		t.Run(way, func(t *testing.T) {
			crewInBubble(t, 3, Config{}, func(c *crew) {
				c.see(c.hands[:2]...)
				c.wait(time.Second)
				first, third := c.hands[0], c.hands[2]
				tenant := c.tenant("that n1 loses", func(name string) bool {
					return !cmp.Equal(sorted(c.owners(name, c.hands...)), []string{"n1", "n2"}) && !first.ownsAmong(c, name, c.hands...)
				})
				first.want(tenant, "cost", "a", "1 fresh origin")
				c.wait(2 * time.Second)
				if way == "refuses" {
					c.mates.unplug(third.peer.ID)
				} else {
					c.mates.delay(third.peer.ID, -1)
				}
				c.see(c.hands...)
				c.wait(parting - 500*time.Millisecond)
				first.wantState(tenant, Live)
				c.within(4*time.Second, "it is let go of", func() bool { return first.node.State(tenant) == Cold })
				first.checkFollowed()
			})
		})
	}
}

func (h *hand) ownsAmong(c *crew, tenant string, members ...*hand) bool {
	return slices.Contains(c.owners(tenant, members...), h.peer.Name)
}

// Five seconds are given each time: having been without a tenant once does not
// shorten the next time.
func TestEachTimeFiveSeconds(t *testing.T) {
	crewInBubble(t, 3, Config{}, func(c *crew) {
		c.see(c.hands[:2]...)
		c.wait(time.Second)
		first := c.hands[0]
		tenant := c.tenant("that n1 loses", func(name string) bool { return !first.ownsAmong(c, name, c.hands...) })
		first.want(tenant, "cost", "a", "1 fresh origin")
		c.wait(2 * time.Second)
		c.mates.unplug(c.hands[2].peer.ID)
		for range 5 {
			c.see(c.hands...)
			c.wait(3 * time.Second)
			first.wantState(tenant, Live)
			c.see(c.hands[:2]...)
			c.wait(3 * time.Second)
			first.wantState(tenant, Live)
		}
	})
}
