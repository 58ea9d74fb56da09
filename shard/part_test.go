package shard

import (
	"slices"
	"testing"
	"time"
)

// coldOn counts the tenants that a node does not have.
func (h *hand) coldOn(tenants []string) (cold int) {
	for _, tenant := range tenants {
		if h.node.State(tenant) == Cold {
			cold++
		}
	}
	return cold
}

// Those tenants that one owner cannot take, however many they are and however often they
// are read, do not hold up those of the others.
func TestWhoTakesNothingHoldsUpNobody(t *testing.T) {
	for name, spoil := range map[string]func(c *crew, h *hand){
		"frozen":    func(c *crew, h *hand) { c.mates.delay(h.peer.ID, -1) },
		"at limits": func(_ *crew, h *hand) { h.node.limit = 0 },
		"bus lost":  func(_ *crew, h *hand) { h.loseBus() },
	} {
		t.Run(name, func(t *testing.T) {
			crewInBubble(t, 4, Config{}, func(c *crew) {
				leaves, bad, rest := c.hands[0], c.hands[3], c.hands[1:]
				c.wait(time.Second)
				tenants := names(1000)
				c.settle(tenants, c.hands...)
				var stuck, free []string
				for _, tenant := range tenants {
					switch owners := c.owners(tenant, rest...); {
					case leaves.node.State(tenant) == Cold:
					case slices.Contains(owners, bad.peer.Name):
						stuck = append(stuck, tenant)
						leaves.read(tenant, "cost", "a")
					default:
						free = append(free, tenant)
					}
				}
				if len(stuck) < 2*askAtOnce || len(free) < 50 {
					t.Fatalf("%d and %d are too few", len(stuck), len(free))
				}
				spoil(c, bad)
				leaves.node.Drain()
				c.become(leaves)
				took := c.within(parting/2, "the others are handed over", func() bool { return leaves.coldOn(free) == len(free) })
				t.Logf("%d handed over within %v, %d of %d others are held", len(free), took, len(stuck)-leaves.coldOn(stuck), len(stuck))
				if name == "frozen" && leaves.coldOn(stuck) > 0 {
					t.Errorf("%d were let go of untaken", leaves.coldOn(stuck))
				}
			})
		})
	}
}

// An owner that is in doubt is waited for, as long as there is something to hand over.
func TestAnOwnerInDoubtIsWaitedFor(t *testing.T) {
	for _, alike := range []bool{false, true} {
		crewInBubble(t, 3, Config{}, func(c *crew) {
			leaves, doubts := c.hands[0], c.hands[1]
			c.wait(time.Second)
			tenants := slices.DeleteFunc(names(50), func(tenant string) bool { return !leaves.ownsAmong(c, tenant, c.hands...) })
			c.settle(tenants, c.hands...)
			doubts.loseBus()
			if alike {
				leaves.loseBus()
			}
			leaves.node.Drain()
			c.become(leaves)
			if alike {
				c.within(time.Second, "it has nothing to give, and leaves", leaves.node.HandedOver)
				return
			}
			c.wait(2 * parting)
			if cold := leaves.coldOn(tenants); cold > 0 {
				t.Errorf("%d of %d are gone, and their owner's bus is lost", cold, len(tenants))
			}
			doubts.bus.hush(false)
			doubts.bus.reconnect()
			c.within(5*time.Second, "handed over", leaves.node.HandedOver)
			for _, tenant := range tenants {
				doubts.want(tenant, "cost", "a", "1 fresh memory")
			}
		})
	}
}

// A node that is told to leave while it joins lets go at once of what it was to own.
func TestWhoLeavesWhileItJoins(t *testing.T) {
	crewInBubble(t, 3, Config{}, func(c *crew) {
		_, joins, _ := c.joining(50)
		joins.node.Warm(c.Context(), 10*time.Second)
		if joins.node.Active() == 0 {
			t.Fatal("nothing is warm")
		}
		joins.node.Drain()
		c.become(joins)
		c.within(2*time.Second, "it has nothing left", joins.node.HandedOver)
	})
}

// A tenant that the origin did not give is taken from a node that has it after all.
func TestWhatTheOriginDoesNotGiveIsTakenOver(t *testing.T) {
	crewInBubble(t, 3, Config{}, func(c *crew) {
		old, joins, tenants := c.joining(20)
		c.each(func(h *hand) { c.mates.broken[h.peer.ID] = true })
		for _, kind := range []string{"cost", "role"} {
			joins.origin.fail(kind, errDown)
		}
		joins.node.Warm(c.Context(), 10*time.Second)
		c.become()
		c.wait(time.Second)
		c.each(func(h *hand) { c.mates.mu.Lock(); delete(c.mates.broken, h.peer.ID); c.mates.mu.Unlock() })
		c.within(2*time.Minute, "live", func() bool { return c.liveOnOwners(tenants, c.hands...) })
		c.wantKept(tenants, old, c.hands...)
	})
}

// Where a fence proves too little, what is handed over is read from the origin once more,
// though no node is asked in vain again.
func TestOnAClusterOfServersTheOriginIsRead(t *testing.T) {
	crewInBubble(t, 3, Config{}, func(c *crew) {
		_, joins, tenants := c.joining(20)
		c.each(func(h *hand) { h.bus.relay() })
		c.mates.exported()
		joins.node.Warm(c.Context(), 10*time.Second)
		c.become()
		c.within(time.Second, "live", func() bool { return c.liveOnOwners(tenants, c.hands...) })
		owned := len(tenants) - joins.coldOn(tenants)
		if lists := len(joins.origin.listed()); lists != 2*owned {
			t.Errorf("%d lists of %d tenants", lists, owned)
		}
		if n := len(c.mates.exported()); n > owned {
			t.Errorf("%d exports of %d tenants", n, owned)
		}
		if held, err := c.hands[0].node.Fence(t.Context(), tenants); held != nil || err != nil {
			t.Errorf("%v, %v", held, err)
		}
	})
}

// What a node has besides is taken from it also while the origin gives no lists, which
// would be read again.
func TestTakingNeedsNoOrigin(t *testing.T) {
	crewInBubble(t, 3, Config{}, func(c *crew) {
		before, leaves, rest := c.hands, c.hands[0], c.hands[1:]
		c.wait(time.Second)
		tenants := names(50)
		c.settle(tenants, before...)
		for _, h := range rest {
			h.origin.fail("cost", errDown)
			for _, tenant := range tenants {
				if live, ok := h.node.tenants.Load(tenant); ok {
					live.mu.Lock() // as a refresh that failed leaves it
					live.queued, live.retryAt = true, h.node.Now()+lastRetry
					live.mu.Unlock()
				}
			}
		}
		leaves.node.Drain()
		c.become(leaves)
		c.within(5*time.Second, "handed over", leaves.node.HandedOver)
		c.wantKept(tenants, before, rest...)
	})
}

// A node that holds a tenant does not have its owner ask a failing origin again and again.
func TestAQuestionIsNoRetry(t *testing.T) {
	crewInBubble(t, 3, Config{}, func(c *crew) {
		_, joins, tenants := c.joining(20)
		c.each(func(h *hand) { h.bus.relay() }) // nothing is to be had of others
		for _, kind := range []string{"cost", "role"} {
			joins.origin.fail(kind, errDown)
		}
		c.become()
		c.wait(20 * time.Second)
		owned := len(tenants) - joins.coldOn(tenants)
		if lists := len(joins.origin.listed()); owned == 0 || lists > 2*owned*12 {
			t.Errorf("%d lists were asked for of %d tenants", lists, owned)
		}
	})
}
