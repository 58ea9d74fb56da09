package cache

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errDown = &FaultError{Reason: "connect", Err: errors.New("refused")}

func TestFreshByProofOrByBound(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("2.5", 1))
		b.want(b.cost, "a", "2.5 fresh origin")
		b.live(30 * time.Minute)
		b.want(b.cost, "a", "2.5 fresh memory") // (a): the bus vouches
		if n := b.origin.count("cost", "a"); n != 1 {
			b.Fatalf("%d origin reads, want 1", n)
		}
		time.Sleep(3001 * time.Millisecond) // no proof: the node was frozen, or the bus is gone
		b.want(b.cost, "a", "2.5 fresh origin")
		time.Sleep(4 * time.Second)
		b.want(b.cost, "a", "2.5 fresh memory") // (b): the origin vouched 4 s ago
		time.Sleep(1)
		b.want(b.cost, "a", "2.5 fresh origin")
	})
}

func TestEventValueNeedsAProof(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("2.5", 1))
		time.Sleep(3 * time.Second)
		b.set("a", "3.0", 2) // handled late, after a freeze: its successor may be behind it
		time.Sleep(1)
		b.origin.put("cost", "a", doc("4.0", 3))
		b.want(b.cost, "a", "4.0 fresh origin")
	})
}

func TestNoGenerationBeforeConfirmation(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		cold := b.cache.NewTenant("cold", b.link)
		b.origin.put("cost", "a", doc("2.5", 1))
		if _, err := cold.Read(b.Context(), b.cost, "a", ReadOptions{}); err != nil {
			b.Fatal(err)
		}
		b.live(5 * time.Second)
		a, err := cold.Read(b.Context(), b.cost, "a", ReadOptions{})
		if got := describe(a, err); got != "2.5 fresh origin" {
			b.Fatalf("got %q: a value was trusted that nothing watched over", got)
		}
	})
}

func TestDoubtMeansRevalidate(t *testing.T) {
	for name, doubt := range map[string]func(b *bench){
		"of the link":   func(b *bench) { b.link.Doubt() },
		"of the tenant": func(b *bench) { b.tenant.Doubt() },
		"reconfirmed":   func(b *bench) { b.tenant.Confirmed() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(b *bench) {
				b.origin.put("cost", "a", doc("2.5", 1))
				b.want(b.cost, "a", "2.5 fresh origin")
				b.live(5 * time.Second)
				doubt(b)
				b.live(0)
				b.want(b.cost, "a", "2.5 fresh origin")
				b.live(5 * time.Second)
				b.want(b.cost, "a", "2.5 fresh memory")
				if r := b.origin.reads[1]; r.etag == "" {
					b.Error("the revalidation was not conditional")
				}
			})
		})
	}
}

func TestDoubtDuringAReadIsNotCleared(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.delay(time.Second)
		b.origin.put("cost", "a", doc("2.5", 1))
		go func() {
			time.Sleep(500 * time.Millisecond)
			b.link.Doubt()
		}()
		b.want(b.cost, "a", "2.5 fresh origin")
		b.live(4 * time.Second) // the read began before the doubt: only the bound vouches for it
		b.want(b.cost, "a", "2.5 fresh origin")
	})
}

func TestEventBeatsFill(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		for i := range 1000 {
			key := fmt.Sprint("u", i)
			b.origin.put("user", key, doc(`"old"`, 0))
			b.origin.delay(50 * time.Millisecond)
			var waiting sync.WaitGroup
			waiting.Go(func() { b.want(b.user, key, `"old" fresh origin`) })
			time.Sleep(25 * time.Millisecond)
			b.origin.put("user", key, doc(`"new"`, 0))
			b.invalidate(b.user, key, 0)
			b.want(b.user, key, `"new" fresh origin`) // arrived after the event: may not join
			waiting.Wait()
			b.live(0)
			b.want(b.user, key, `"new" fresh memory`)
		}
	})
}

func TestOneReadForAllWaiters(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.delay(50 * time.Millisecond)
		b.origin.put("cost", "a", doc("2.5", 1))
		var waiting sync.WaitGroup
		for range 1000 {
			waiting.Go(func() { b.want(b.cost, "a", "2.5 fresh origin") })
		}
		waiting.Wait()
		if n := b.origin.count("cost", "a"); n != 1 {
			b.Errorf("%d origin reads, want 1", n)
		}
	})
}

func TestNewerWins(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("2.5", 5))
		b.want(b.cost, "a", "2.5 fresh origin")
		steps := []struct {
			apply func() Outcome
			want  Outcome
			read  string
		}{
			{func() Outcome { return b.set("a", "3.0", 6) }, OutcomeSet, "3.0 fresh event"},
			{func() Outcome { return b.set("a", "2.0", 4) }, OutcomeIgnoredOld, "3.0 fresh event"},
			{func() Outcome { return b.set("a", "3.0", 6) }, OutcomeIgnoredOld, "3.0 fresh event"},
			{func() Outcome { return b.invalidate(b.cost, "a", 6) }, OutcomeIgnoredOld, "3.0 fresh event"},
			{func() Outcome { return b.set("a", "9.9", 6) }, OutcomeSet, "9.9 provisional event"},
			{func() Outcome { return b.set("a", "4.0", 7) }, OutcomeSet, "4.0 provisional event"},
		}
		for i, s := range steps {
			if got := s.apply(); got != s.want {
				b.Fatalf("step %d: outcome %s, want %s", i, got, s.want)
			}
			b.want(b.cost, "a", s.read)
		}
		b.origin.put("cost", "a", doc("5.0", 8))
		b.invalidate(b.cost, "a", 8)
		b.want(b.cost, "a", "5.0 fresh origin")
	})
}

func TestDocumentBelowTheFloor(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("2.5", 5))
		b.invalidate(b.cost, "a", 7)
		b.want(b.cost, "a", "2.5 stale origin") // answers, but is not kept
		b.want(b.cost, "a", "2.5 stale origin")
		b.live(150 * time.Millisecond)
		if n := b.origin.count("cost", "a"); n != 2 {
			b.Fatalf("%d origin reads, want 2", n)
		}
		b.live(100 * time.Millisecond) // re-read after confirm_after: the origin insists
		b.want(b.cost, "a", "2.5 fresh memory")
		if n := b.origin.count("cost", "a"); n != 3 {
			b.Errorf("%d origin reads, want 3", n)
		}
	})
}

func TestDocumentBelowTheFloorCatchesUp(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("2.5", 5))
		b.invalidate(b.cost, "a", 7)
		b.want(b.cost, "a", "2.5 stale origin")
		b.origin.put("cost", "a", doc("3.5", 7))
		b.live(300 * time.Millisecond)
		b.want(b.cost, "a", "3.5 fresh memory")
	})
}

func TestUnversionedIsProvisionalUntilConfirmed(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("2.5", 0))
		b.want(b.cost, "a", "2.5 fresh origin")
		b.set("a", "3.0", 0)
		b.want(b.cost, "a", "3.0 provisional event")
		b.live(199 * time.Millisecond)
		b.set("a", "3.1", 0) // does not put the confirmation off
		if n := b.origin.count("cost", "a"); n != 1 {
			b.Fatalf("%d origin reads before confirm_after", n)
		}
		b.live(2 * time.Millisecond)
		synctest.Wait()
		b.want(b.cost, "a", "2.5 fresh memory") // the origin's word stands
		if r := b.origin.reads[1]; r.etag != "" {
			b.Errorf("the confirmation was conditional on %s, which the event's value never had", r.etag)
		}
	})
}

func TestConfirmationIsRepeatedWhileTheOriginIsDown(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.fail(errDown)
		b.set("a", "3.0", 0)
		b.live(time.Minute)
		b.want(b.cost, "a", "3.0 provisional event")
		n := b.origin.count("cost", "a")
		if n < 5 || n > 12 {
			b.Errorf("%d attempts in a minute: want a back-off", n)
		}
		b.origin.put("cost", "a", doc("2.5", 0))
		b.origin.fail(nil)
		b.live(31 * time.Second)
		b.want(b.cost, "a", "2.5 fresh memory")
	})
}

func TestManyConfirmationsBecomeOneList(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		for i := range 25 {
			key := fmt.Sprint("k", i)
			b.origin.put("cost", key, doc("2.5", 0))
			b.set(key, "3.0", 0)
		}
		b.live(time.Second)
		for i := range 25 {
			b.want(b.cost, fmt.Sprint("k", i), "2.5 fresh memory")
		}
		if lists, all := b.origin.count("cost", ""), len(b.origin.reads); lists != 1 || all != 1 {
			b.Errorf("%d lists and %d reads in all, want one list", lists, all)
		}
	})
}

func TestVouchedOrderIsFresh(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.cost.ConfirmAfter = 0
		b.set("a", "3.0", 0)
		b.want(b.cost, "a", "3.0 fresh event")
		b.live(time.Minute)
		if n := len(b.origin.reads); n != 0 {
			b.Errorf("%d origin reads, want none", n)
		}
	})
}

func TestRemovalIsConfirmed(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("2.5", 1))
		b.want(b.cost, "a", "2.5 fresh origin")
		b.tenant.Apply(Change{Kind: b.cost, Key: "a", Effect: Remove, Version: 2, Versioned: true})
		b.want(b.cost, "a", "absent provisional event")
		b.live(time.Second)
		b.want(b.cost, "a", "2.5 fresh memory") // the origin insists, twice: it was never removed
		if n := b.origin.count("cost", "a"); n != 3 {
			b.Errorf("%d origin reads, want 3", n)
		}
	})
}

func TestOriginDown(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("2.5", 1))
		b.origin.put("user", "u", doc("{}", 0))
		b.want(b.cost, "a", "2.5 fresh origin")
		b.want(b.user, "u", "{} fresh origin")
		b.live(time.Minute)
		b.origin.fail(errDown)
		b.want(b.cost, "a", "2.5 fresh memory") // the bus vouches: nothing needs the origin
		b.want(b.cost, "new", "*cache.UnavailableError")
		b.invalidate(b.user, "u", 0)
		b.want(b.user, "u", "{} stale memory") // known old, but reference
		b.link.Doubt()
		b.want(b.cost, "a", "2.5 stale memory")
		time.Sleep(5*time.Minute + time.Second)
		b.want(b.cost, "a", "*cache.UnavailableError") // beyond max_stale
		b.wantWith(b.user, "u", ReadOptions{HasMaxAge: true, MaxAge: time.Minute}, "*cache.UnavailableError")
		b.origin.fail(nil)
		b.want(b.cost, "a", "2.5 fresh origin")
		b.live(0)
		b.tenant.Confirmed()
		b.invalidate(b.cost, "a", 0)
		b.origin.fail(errDown)
		b.want(b.cost, "a", "*cache.UnavailableError") // critical and known old: never
	})
}

func TestStaleCountsFromLastKnownCurrent(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("2.5", 1))
		b.want(b.cost, "a", "2.5 fresh origin")
		b.live(30 * time.Minute)
		b.origin.fail(errDown)
		b.link.Doubt() // the bus restarts
		b.live(0)
		b.tenant.Confirmed()
		b.want(b.cost, "a", "2.5 stale memory") // verified long ago, current until the doubt
		b.live(5*time.Minute + time.Second)
		b.want(b.cost, "a", "*cache.UnavailableError")
	})
}

func TestNegative(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.want(b.cost, "a", "absent fresh origin")
		b.want(b.cost, "a", "absent fresh memory")
		b.origin.put("cost", "a", doc("2.5", 1))
		b.live(34 * time.Second)
		b.want(b.cost, "a", "2.5 fresh origin")
	})
}

func TestTTLSpreads(t *testing.T) {
	low, high := time.Hour, time.Duration(0)
	for range 10_000 {
		d := jitter(time.Hour)
		low, high = min(low, d), max(high, d)
	}
	if low < 54*time.Minute || low > 55*time.Minute || high > 66*time.Minute || high < 65*time.Minute {
		t.Errorf("the TTL spreads from %v to %v, want 54 to 66 minutes", low, high)
	}
}

func TestClosedTenantKeepsNothing(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.delay(10 * time.Millisecond)
		b.origin.put("cost", "a", doc("2.5", 1))
		go func() {
			time.Sleep(5 * time.Millisecond)
			b.tenant.Close()
			b.tenant.Close()
		}()
		b.want(b.cost, "a", "2.5 fresh origin")
		b.want(b.cost, "a", "2.5 fresh origin")
		b.set("a", "3.0", 0)
		if err := b.tenant.Load(b.Context(), b.cost); err != nil {
			b.Error(err)
		}
		if n := b.cache.Bytes(); n != 0 {
			b.Errorf("%d bytes are left", n)
		}
	})
}
