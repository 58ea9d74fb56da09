package cache

import (
	"fmt"
	"testing"
	"time"
)

// Confirmations that are never all done must not pile up.
func TestSteadyConfirmationsDoNotPileUp(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		for i := range 2000 {
			b.set(fmt.Sprint("k", i%50), fmt.Sprint(i), 0)
			time.Sleep(50 * time.Millisecond)
			if i%20 == 0 {
				b.link.Prove(time.Now())
			}
		}
		b.cache.confirms.mu.Lock()
		n := len(b.cache.confirms.queue)
		b.cache.confirms.mu.Unlock()
		if n > 20 {
			b.Errorf("%d confirmations are queued, 4 are pending", n)
		}
	})
}

func TestFailedListsAreNotRepeatedWithEachEvent(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.fail(errDown)
		for i := range 600 { // a minute of events of other keys
			b.set(fmt.Sprint("k", i), "1", 0)
			time.Sleep(100 * time.Millisecond)
		}
		if n := b.origin.count("cost", ""); n > 40 {
			b.Errorf("%d lists in a minute from an origin that is down", n)
		}
		if n := b.origin.total(); n > 6000 {
			b.Errorf("%d reads in a minute from an origin that is down", n)
		}
		b.cache.confirms.mu.Lock()
		n := len(b.cache.confirms.queue)
		b.cache.confirms.mu.Unlock()
		if n > 2*600 {
			b.Errorf("%d confirmations are queued for 600 keys", n)
		}
		b.origin.fail(nil)
		b.live(31 * time.Second)
		b.wantAllConfirmed(b.cost)
	})
}

// wantAllConfirmed checks that nothing of a kind is left to confirm.
func (b *bench) wantAllConfirmed(k *Kind) {
	b.Helper()
	b.tenant.mu.Lock()
	defer b.tenant.mu.Unlock()
	s := b.tenant.store(k)
	for e := range s.table.Load().all {
		if e.is(provisional | low) {
			b.Errorf("%s is not confirmed", e.key())
		}
	}
	if s.confirm != nil {
		b.Errorf("%d confirmations are left, %d of them due", len(s.confirm.alone), len(s.confirm.due))
	}
}

// A list that always fails must not keep its items from being confirmed.
func TestConfirmedOneByOneWhereTheListFails(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.listFault = errDown
		for i := range 25 {
			b.origin.put("cost", fmt.Sprint("k", i), doc("2.5", 0))
			b.set(fmt.Sprint("k", i), "3.0", 0)
		}
		b.live(2 * time.Second)
		for i := range 25 {
			b.want(b.cost, fmt.Sprint("k", i), "2.5 fresh memory")
		}
	})
}

// A short fault while many keys are pending puts none of them off for long.
func TestShortFaultIsOverSoon(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.fail(errDown)
		for i := range 20 {
			b.origin.put("cost", fmt.Sprint("k", i), doc("2.5", 0))
			b.set(fmt.Sprint("k", i), "3.0", 0)
		}
		b.live(300 * time.Millisecond)
		b.origin.fail(nil)
		b.live(time.Second)
		for i := range 20 {
			b.want(b.cost, fmt.Sprint("k", i), "2.5 fresh memory")
		}
	})
}

// Readers of an entry below its floor must not each lead to a confirmation.
func TestOneConfirmationBelowTheFloorAtATime(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("2.5", 5))
		b.invalidate(b.cost, "a", 7)
		b.want(b.cost, "a", "2.5 stale origin")
		b.origin.delay(2 * time.Second)
		b.live(300 * time.Millisecond) // the confirmation is under way
		for range 10 {
			go func() { _, _ = b.read(b.cost, "a", ReadOptions{HasMaxAge: true}) }()
			time.Sleep(150 * time.Millisecond)
			b.tenant.mu.Lock()
			b.tenant.followUp(b.tenant.store(b.cost), "a", false) // as if a read had landed
			b.tenant.mu.Unlock()
		}
		if n := b.origin.count("cost", "a"); n > 1+1+flightsPerKey {
			b.Errorf("%d reads of one key", n)
		}
		time.Sleep(5 * time.Second)
	})
}
