package cache

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// An event that says nothing new of the entry still says that a read under way
// may have begun before its change.
func TestOldEventBeatsAFill(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.delay(100 * time.Millisecond)
		var running sync.WaitGroup
		running.Go(func() { b.want(b.cost, "a", "absent fresh origin") })
		synctest.Wait()
		b.origin.put("cost", "a", doc("1", 1)) // after that read, before the next
		b.origin.delay(50 * time.Millisecond)
		running.Go(b.load)
		time.Sleep(75 * time.Millisecond)
		if got := b.set("a", "1", 1); got != OutcomeIgnoredOld {
			b.Errorf("outcome %s: the list has brought this version", got)
		}
		running.Wait()
		b.live(5 * time.Second)
		b.want(b.cost, "a", "1 fresh memory")
	})
}

// What does not fit leaves nothing to tell that its key exists.
func TestWhatDoesNotFitVoidsCompleteness(t *testing.T) {
	small := func(c *Config) { c.TenantBytes = func(string) int64 { return 4 << 10 } }
	inBubble(t, small, func(b *bench) {
		b.load()
		b.want(b.cost, "a", "absent fresh memory")
		large := strings.Repeat("9", 5000)
		b.origin.put("cost", "a", doc(large, 1))
		b.set("a", large, 1)
		b.want(b.cost, "a", large+" fresh origin")
	})
}

func TestWhatCannotFitEvictsNothing(t *testing.T) {
	small := func(c *Config) { c.TenantBytes = func(string) int64 { return 4 << 10 } }
	inBubble(t, small, func(b *bench) {
		b.origin.put("cost", "a", doc("1", 1))
		b.want(b.cost, "a", "1 fresh origin")
		b.set("large", strings.Repeat("9", 5000), 1)
		b.want(b.cost, "a", "1 fresh memory")
	})
}

// Once marks are lost, nothing of the list may be kept: any of it may be older
// than an event.
func TestListThatLostItsMarksKeepsNothing(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.page = 1 // several pages, no snapshot
		b.origin.put("cost", "a", doc("1", 0))
		b.origin.put("cost", "b", doc("1", 0))
		b.want(b.cost, "a", "1 fresh origin")
		b.want(b.cost, "b", "1 fresh origin")
		b.origin.delay(time.Second)
		var running sync.WaitGroup
		running.Go(func() { _ = b.tenant.Load(b.Context(), b.cost) })
		time.Sleep(500 * time.Millisecond)
		for i := range maxMarks {
			b.invalidate(b.cost, fmt.Sprint("k", i), 0)
		}
		for _, key := range []string{"a", "b"} {
			b.origin.put("cost", key, doc("2", 0))
			b.invalidate(b.cost, key, 0)
		}
		time.Sleep(time.Second)
		b.origin.delay(0)
		b.live(0)
		b.want(b.cost, "a", "2 fresh origin")
		b.want(b.cost, "b", "2 fresh origin")
		running.Wait()
	})
}

func TestMinVersionJoinsNoOlderFlight(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.delay(100 * time.Millisecond)
		b.origin.put("cost", "a", doc("1", 1))
		var running sync.WaitGroup
		running.Go(func() { b.want(b.cost, "a", "1 fresh origin") })
		time.Sleep(50 * time.Millisecond)
		b.origin.put("cost", "a", doc("2", 2))
		b.wantWith(b.cost, "a", ReadOptions{MinVersion: 2}, "2 fresh origin")
		running.Wait()
	})
}

func TestForgedPositionsShareReads(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.delay(100 * time.Millisecond)
		b.origin.put("cost", "a", doc("1", 1))
		var running sync.WaitGroup
		for range 100 {
			running.Go(func() {
				b.wantWith(b.cost, "a", ReadOptions{Position: 1, Settled: math.MaxInt64}, "1 fresh origin")
			})
		}
		running.Wait()
		if n := b.origin.count("cost", "a"); n > 2 {
			b.Errorf("%d origin reads", n)
		}
	})
}

func TestThroughHonoursTheCallersContext(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.delay(time.Second)
		ctx, cancel := context.WithTimeout(b.Context(), 10*time.Millisecond)
		defer cancel()
		_, err := b.cache.Through(ctx, "cold", b.cost, "a", ReadOptions{})
		if u := (*UnavailableError)(nil); errors.As(err, &u) || !errors.Is(err, context.DeadlineExceeded) {
			b.Errorf("%v: the origin is not to blame", err)
		}
	})
}

// Proofs go on, but they say nothing of what is known old.
func TestKnownOldIsServedUntilMaxStale(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.user.TTL, b.user.MaxStale = time.Hour, time.Minute
		b.origin.put("user", "u", doc("{}", 0))
		b.want(b.user, "u", "{} fresh origin")
		b.invalidate(b.user, "u", 0)
		b.origin.fail(errDown)
		b.live(50 * time.Second)
		b.want(b.user, "u", "{} stale memory")
		b.live(11 * time.Second)
		b.want(b.user, "u", "*cache.UnavailableError")
	})
}

// The version of an event without one is no number.
func TestVersionCountsOnlyWhereItIsMeant(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.tenant.Apply(Change{Kind: b.cost, Key: "a", Effect: Set, Value: []byte("1"), Version: 99})
		b.origin.put("cost", "a", Document{Value: []byte("2"), Version: 98})
		b.live(time.Second)
		b.want(b.cost, "a", "2 fresh memory")
		if got := b.set("a", "3", 5); got != OutcomeSet {
			b.Errorf("outcome %s", got)
		}
	})
}

// A version proves that it was, not that none came after it: only beside a
// version that is known current is a higher one of an event FRESH.
func TestLateEventIsNotTrusted(t *testing.T) {
	for name, before := range map[string]func(b *bench){
		"after a doubt": func(b *bench) {
			b.origin.put("cost", "a", doc("1", 1))
			b.want(b.cost, "a", "1 fresh origin")
			b.link.Doubt() // the event of version 9 is lost
			b.live(0)
			b.tenant.Confirmed()
		},
		"of a key not known": func(*bench) {},
		"of a key known to be absent": func(b *bench) {
			b.load()
		},
		"of a key without a version": func(b *bench) {
			b.origin.put("cost", "a", doc("1", 0))
			b.want(b.cost, "a", "1 fresh origin")
		},
		"after an invalidation without a version": func(b *bench) {
			b.origin.put("cost", "a", doc("1", 1))
			b.want(b.cost, "a", "1 fresh origin")
			b.invalidate(b.cost, "a", 0)
		},
		"after its TTL": func(b *bench) {
			b.origin.put("cost", "a", doc("1", 1))
			b.want(b.cost, "a", "1 fresh origin")
			b.live(67 * time.Minute)
		},
		"after another one": func(b *bench) {
			b.set("a", "1", 1)
			b.invalidate(b.cost, "a", 2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(b *bench) {
				before(b)
				b.origin.put("cost", "a", doc("9", 9))
				b.set("a", "5", 5)
				b.want(b.cost, "a", "5 provisional event")
				b.live(time.Second)
				b.want(b.cost, "a", "9 fresh memory")
			})
		})
	}
}

func TestNewerEventIsTrusted(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("1", 1))
		b.want(b.cost, "a", "1 fresh origin")
		b.invalidate(b.cost, "a", 2)
		b.set("a", "3", 3)
		b.live(50 * time.Minute)
		b.want(b.cost, "a", "3 fresh event")
		b.origin.put("cost", "a", doc("3", 3))
		b.live(17 * time.Minute) // the TTL counts from the origin's last word
		b.want(b.cost, "a", "3 fresh origin")
	})
}

// A list that began before an event's version was committed shows that nothing
// later can have been missed.
func TestListVouchesForAnEventDuringIt(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.delay(time.Second)
		b.origin.put("cost", "a", doc("1", 1))
		var running sync.WaitGroup
		running.Go(b.load)
		time.Sleep(900 * time.Millisecond)
		b.set("a", "2", 2)
		b.want(b.cost, "a", "2 provisional event")
		running.Wait()
		b.live(time.Second)
		b.want(b.cost, "a", "2 fresh event")
		if n := b.origin.total(); n != 1 {
			b.Errorf("%d origin reads, want the list alone", n)
		}
	})
}

// 304 and 404 are fills as much as 200: an event beats them.
func TestEventBeatsEveryAnswer(t *testing.T) {
	for name, before := range map[string]func(b *bench){
		"304": func(b *bench) {
			b.origin.put("cost", "a", doc("1", 0))
			b.want(b.cost, "a", "1 fresh origin")
		},
		"404": func(*bench) {},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(b *bench) {
				before(b)
				b.origin.delay(100 * time.Millisecond)
				var running sync.WaitGroup
				running.Go(func() { _, _ = b.read(b.cost, "a", ReadOptions{HasMaxAge: true}) })
				synctest.Wait()
				b.origin.put("cost", "a", doc("2", 0))
				b.invalidate(b.cost, "a", 0)
				running.Wait()
				b.want(b.cost, "a", "2 fresh origin")
			})
		})
	}
}

// What a list precedes is not vouched for if an event without a version came
// too: it may have announced something later.
func TestListDoesNotVouchAmongUnversionedEvents(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.delay(time.Second)
		b.origin.put("cost", "a", doc("1", 1))
		var running sync.WaitGroup
		running.Go(b.load)
		time.Sleep(900 * time.Millisecond)
		b.origin.put("cost", "a", doc("9", 9))
		b.invalidate(b.cost, "a", 0) // announces 9
		b.set("a", "2", 2)           // is late
		running.Wait()
		b.want(b.cost, "a", "2 provisional event")
		b.live(2 * time.Second)
		b.want(b.cost, "a", "9 fresh memory")
	})
}

// The proof that counts is one from before the value was read: a newer one may
// have come after the event that replaced it.
func TestProofFromBeforeTheValue(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("1", 1))
		b.want(b.cost, "a", "1 fresh origin")
		time.Sleep(10 * time.Second) // the bus is silent, its events wait
		proof := b.link.proven()
		e, _ := b.tenant.store(b.cost).find(b.cache.hash("a"), "a")
		b.set("a", "2", 2)
		b.link.Prove(time.Now())
		if b.tenant.knows(e, &ReadOptions{}, proof, b.cache.clock.now()) {
			b.Error("a proof that is newer than the value vouches for it")
		}
	})
}
