package cache

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// A value is not known current beyond its TTL, whatever the bus says: it is served
// STALE until max_stale after that.
func TestStaleCountsFromTheTTL(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.user.TTL, b.user.MaxStale = time.Minute, time.Minute
		b.cost.TTL, b.cost.MaxStale = time.Minute, time.Minute
		b.origin.put("user", "u", doc("1", 0))
		b.want(b.user, "u", "1 fresh origin")
		b.load() // of nothing: complete
		b.origin.fail(errDown)
		b.live(107 * time.Second)
		b.want(b.user, "u", "1 stale memory")
		b.want(b.cost, "none", "absent stale memory")
		b.live(20 * time.Second)
		b.want(b.user, "u", "*cache.UnavailableError")
		b.want(b.cost, "none", "*cache.UnavailableError")
	})
}

func turns(n *int, fail error) func(context.Context) error {
	return func(context.Context) error { *n++; return fail }
}

// What a list has told of in this generation is not read again one by one; what the
// list did not bring is.
func TestRevalidateWhatNoListToldOf(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		for i := range 5 {
			b.origin.put("cost", fmt.Sprint(i), doc("1", 1))
		}
		b.load()
		b.link.Doubt()
		b.live(time.Second)
		b.load()
		asked := 0
		if more, err := b.tenant.Revalidate(b.Context(), 10, turns(&asked, nil)); more || err != nil || asked != 0 {
			b.Errorf("after a list: %v, %v, %d turns", more, err, asked)
		}
		b.link.Doubt()
		b.live(time.Second)
		more, err := b.tenant.Revalidate(b.Context(), 3, turns(&asked, nil))
		if !more || err != nil || asked != 3 {
			b.Errorf("without a list: %v, %v, %d turns", more, err, asked)
		}
		if more, err := b.tenant.Revalidate(b.Context(), 3, turns(&asked, nil)); more || err != nil || asked != 5 {
			b.Errorf("the rest: %v, %v, %d turns", more, err, asked)
		}
		b.live(10 * time.Second)
		b.want(b.cost, "3", "1 fresh memory")
	})
}

// A turn that does not come, and an origin that does not answer, end it.
func TestRevalidateEnds(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.cost.Listed = false
		for i := range 5 {
			b.origin.put("cost", fmt.Sprint(i), doc("1", 1))
			b.want(b.cost, fmt.Sprint(i), "1 fresh origin")
		}
		b.link.Doubt()
		b.live(time.Second)
		asked, over := 0, errors.New("over")
		if _, err := b.tenant.Revalidate(b.Context(), 10, turns(&asked, over)); !errors.Is(err, over) || asked != 1 {
			b.Errorf("%v, %d turns", err, asked)
		}
		b.origin.fail(errDown)
		if _, err := b.tenant.Revalidate(b.Context(), 10, turns(&asked, nil)); !errors.Is(err, errDown) || asked != 2 {
			b.Errorf("%v, %d turns", err, asked)
		}
	})
}

// Each request of a list waits for its turn: pages and repeated tries as well.
func TestLoadsArePaced(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		for i := range 6 {
			b.origin.put("cost", fmt.Sprint(i), doc("1", 1))
		}
		b.origin.page = 2
		asked, over := 0, errors.New("over")
		if err := b.tenant.LoadPaced(b.Context(), b.cost, turns(&asked, nil)); err != nil || asked != 3 {
			b.Errorf("%v, %d turns for 3 pages", err, asked)
		}
		asked = 0
		if err := b.tenant.LoadPaced(b.Context(), b.cost, turns(&asked, over)); !errors.Is(err, over) || asked != 1 {
			b.Errorf("%v, %d turns", err, asked)
		}
	})
}
