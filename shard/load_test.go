package shard

import (
	"testing"
	"time"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/subscriber"
)

// A flood of what is refused costs the origin no more than a load a second.
func TestFloodOfRefusedEvents(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		r.want("acme", "cost", "a", "1 fresh origin")
		r.wait(time.Second)
		r.origin.listed()
		for range 1000 {
			r.bus.do(func() { r.node.Refused("acme", "costs", &subscriber.RefusedError{Reason: "malformed"}) })
			r.wait(10 * time.Millisecond)
		}
		if n := len(r.origin.listed()); n > 2*11 {
			r.Errorf("%d lists in 10 s", n)
		}
	})
}

func TestListsAreReadAnewBeforeTheirTTL(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		r.want("acme", "cost", "a", "1 fresh origin")
		for range 300 { // so that it does not idle
			r.wait(time.Minute)
			r.want("acme", "cost", "a", "1 fresh memory")
			r.want("acme", "cost", "none", "absent fresh memory")
		}
		if n := len(r.origin.listed()); n < 2*(1+300/49) || n > 2*(1+300/35) {
			r.Errorf("%d lists in 5 hours", n)
		}
	})
}

func TestStrangersAreForgotten(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		r.origin.fail("cost", cache.ErrAbsent)
		r.origin.fail("role", cache.ErrAbsent)
		r.want("ghost", "cost", "x", "absent fresh origin")
		r.wait(time.Second)
		if r.node.Active() != 0 || len(r.bus.names()) != 0 {
			r.Errorf("%d active, followed %v", r.node.Active(), r.bus.names())
		}
		r.want("ghost", "cost", "x", "absent fresh origin")
		r.wait(20 * time.Second)
		if n := len(r.origin.listed()); n != 2 {
			r.Errorf("%d lists of a tenant that does not exist", n)
		}
		r.origin.fail("cost", nil)
		r.origin.fail("role", nil)
		r.wait(11 * time.Second) // the origin's word has grown old
		r.want("ghost", "cost", "a", "1 fresh origin")
		r.wait(time.Second)
		if got := r.node.State("ghost"); got != Live {
			r.Errorf("it is %s", got)
		}
	})
}

func TestAKindWithoutAListIsReadThrough(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		r.origin.fail("cost", cache.ErrAbsent)
		r.want("acme", "role", "a", "1 fresh origin")
		r.wait(time.Second)
		if got := r.node.State("acme"); got != Live {
			r.Errorf("it is %s", got)
		}
		r.want("acme", "cost", "a", "1 fresh origin") // absent from no list
		r.want("acme", "role", "none", "absent fresh memory")
	})
}
