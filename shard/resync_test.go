package shard

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// inDoubt activates tenants t0, t1, … of which each is read once more than the
// one before, and brings their connection in doubt.
func (r *rig) inDoubt(tenants int) {
	for i := range tenants {
		for range 2 * (i + 1) {
			r.read(fmt.Sprint("t", i), "user", "u")
		}
	}
	time.Sleep(5 * time.Second)
	synctest.Wait()
	r.origin.listed()
	r.node.Doubt(0, "pong")
}

// After a doubt the most read are read again first, each list in its turn: never
// more in a second than configured.
func TestTheMostReadAreReadAgainFirst(t *testing.T) {
	const perSecond, tenants = 20, 30
	inBubble(t, Config{ResyncPerSecond: perSecond}, func(r *rig) {
		r.inDoubt(tenants)
		time.Sleep(10 * time.Second)
		lists := r.origin.listed()
		if len(lists) != 2*tenants {
			r.Fatalf("%d lists, want those of %d tenants", len(lists), tenants)
		}
		if first, last := lists[0], lists[len(lists)-1]; first.tenant != fmt.Sprint("t", tenants-1) && first.tenant != fmt.Sprint("t", tenants-2) || !slices.Contains([]string{"t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8"}, last.tenant) {
			r.Errorf("the first is %s, the last %s", first.tenant, last.tenant)
		}
		for i := range lists {
			n := 0
			for _, other := range lists[i:] {
				if other.at < lists[i].at+time.Second {
					n++
				}
			}
			if n > perSecond {
				r.Errorf("%d lists in the second from %v", n, lists[i].at)
			}
		}
		if n := r.node.doubtful(); n != 0 {
			r.Errorf("%d tenants are doubtful", n)
		}
	})
}

// What no list tells of is read anew in the background, too, after the lists: what
// was read lately, each once.
func TestEntriesAreReadAnewAfterTheLists(t *testing.T) {
	inBubble(t, Config{ResyncPerSecond: 100}, func(r *rig) {
		for i := range 100 {
			r.read("acme", "user", fmt.Sprint("hot", i))
			r.read("acme", "user", fmt.Sprint("hot", i))
			r.read("acme", "user", fmt.Sprint("cold", i))
		}
		time.Sleep(5 * time.Second)
		before := r.origin.reads()
		r.origin.listed()
		r.node.Doubt(0, "pong")
		time.Sleep(time.Second + 500*time.Millisecond)
		if n := len(r.origin.listed()); n != 2 {
			r.Errorf("%d lists", n)
		}
		time.Sleep(5 * time.Second)
		if n := r.origin.reads() - before; n != 100 {
			r.Errorf("%d entries were read, want those read lately", n)
		}
		time.Sleep(5 * time.Second) // beyond the bound, within which any read is fresh
		r.want("acme", "user", "hot7", "1 fresh memory")
		r.want("acme", "user", "cold7", "1 fresh origin")
	})
}

// An origin that does not answer is not asked for one entry after the other, but now
// and then until it does.
func TestEntriesAreNotReadFromABrokenOrigin(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		for i := range 100 {
			r.read("acme", "user", fmt.Sprint(i))
			r.read("acme", "user", fmt.Sprint(i))
		}
		time.Sleep(5 * time.Second)
		before := r.origin.reads()
		r.origin.fail("", errDown)
		r.node.Doubt(0, "pong")
		time.Sleep(10 * time.Second)
		if n := r.origin.reads() - before; n < 2 || n > 10 {
			r.Errorf("%d entries were asked for in 10 s", n)
		}
		r.origin.fail("", nil)
		time.Sleep(10 * time.Second)
		r.want("acme", "user", "99", "1 fresh memory")
	})
}

// While the bus is away nothing is read in the background: what would be is in doubt
// again once the bus is back.
func TestNothingIsReadAnewWhileTheBusIsAway(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		r.read("acme", "user", "u")
		r.read("acme", "user", "u")
		r.wait(5 * time.Second)
		r.origin.listed()
		before := r.origin.reads()
		r.bus.hush(true)
		r.wait(time.Second)
		r.bus.do(func() { r.node.Doubt(0, "connection") })
		r.wait(time.Minute)
		if lists, reads := len(r.origin.listed()), r.origin.reads()-before; lists+reads > 0 {
			r.Errorf("%d lists and %d entries were read", lists, reads)
		}
		r.bus.hush(false)
		r.bus.reconnect()
		r.wait(5 * time.Second)
		if lists, reads := len(r.origin.listed()), r.origin.reads()-before; lists != 2 || reads != 1 {
			r.Errorf("%d lists and %d entries were read once it was back", lists, reads)
		}
	})
}

func TestPacer(t *testing.T) {
	p, now := newPacer(100), time.Now()
	first := p.turn(now)
	last := first
	for range 1000 {
		at := p.turn(now)
		if gap := at.Sub(last); gap < 10*time.Millisecond || gap > 12*time.Millisecond {
			t.Fatalf("a gap of %v", gap)
		}
		last = at
	}
	if late := last.Add(time.Hour); p.turn(late) != late {
		t.Error("who comes late has to wait")
	}
	if first != now {
		t.Errorf("the first waits for %v", first.Sub(now))
	}
}

func TestQueueOrder(t *testing.T) {
	var q queue
	q.init()
	name := func(n string) *tenant { return &tenant{name: n} }
	q.add(task{tenant: name("entries, hot"), entries: true, reads: 9})
	q.add(task{tenant: name("cold")})
	q.add(task{tenant: name("cold too")})
	q.add(task{tenant: name("hot"), reads: 5})
	var got []string
	for next, ok := q.take(); ok; next, ok = q.take() {
		got = append(got, next.tenant.name)
	}
	if want := []string{"hot", "cold", "cold too", "entries, hot"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
