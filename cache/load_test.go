package cache

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

func (b *bench) load() {
	b.Helper()
	if err := b.tenant.Load(b.Context(), b.cost); err != nil {
		b.Fatal(err)
	}
}

func TestListGivesCompleteness(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("2.5", 1))
		b.load()
		b.live(30 * time.Minute)
		b.want(b.cost, "a", "2.5 fresh memory")
		b.want(b.cost, "none", "absent fresh memory")
		b.want(b.cost, "none", "absent fresh memory")
		if n := len(b.origin.reads); n != 1 {
			b.Errorf("%d origin reads, want the list alone", n)
		}
		b.link.Doubt()
		b.want(b.cost, "none", "absent fresh origin")
	})
}

// Whatever removes an entry, or names one that is not there, ends the
// knowledge that a missing key does not exist.
func TestCompletenessIsVoided(t *testing.T) {
	for name, test := range map[string]struct {
		by   func(b *bench)
		want string
	}{
		"by an invalidation of a key that is not there": {func(b *bench) { b.invalidate(b.cost, "b", 0) }, "1 fresh origin"},
		"by an invalidation with a version":             {func(b *bench) { b.invalidate(b.cost, "b", 3) }, "1 fresh origin"},
		"by its TTL":                                    {func(b *bench) { b.live(67 * time.Minute) }, "1 fresh origin"},
		"by eviction":                                   {func(b *bench) { b.tenant.mu.Lock(); b.tenant.evict(Critical); b.tenant.mu.Unlock() }, "1 fresh origin"},
		"by max_age":                                    {func(b *bench) { b.live(0) }, "absent fresh memory"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(b *bench) {
				b.origin.put("cost", "a", doc("2.5", 1))
				b.load()
				b.origin.put("cost", "b", doc("1", 3))
				test.by(b)
				b.want(b.cost, "b", test.want)
			})
		})
	}
}

func TestListRemovesWhatTheOriginNoLongerHas(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("2.5", 1))
		b.origin.put("cost", "b", doc("1", 1))
		b.load()
		b.live(10 * time.Second)
		b.origin.delete("cost", "b") // and the event was lost
		b.load()
		b.want(b.cost, "a", "2.5 fresh memory")
		b.want(b.cost, "b", "absent fresh memory")
	})
}

func TestEventsDuringAList(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.delay(time.Second)
		for _, key := range []string{"set", "set-newer", "unversioned", "invalidated", "removed", "untouched"} {
			b.origin.put("cost", key, doc("5", 5))
		}
		var loading sync.WaitGroup
		loading.Go(b.load)
		time.Sleep(500 * time.Millisecond)
		b.set("set", "6", 6)
		b.set("set-newer", "4", 4) // the list has a higher version
		b.set("unversioned", "7", 0)
		b.invalidate(b.cost, "invalidated", 6)
		b.invalidate(b.cost, "created", 0)
		b.tenant.Apply(Change{Kind: b.cost, Key: "removed", Effect: Remove, Version: 6, Versioned: true})
		b.origin.put("cost", "invalidated", doc("6", 6))
		b.origin.put("cost", "created", doc("1", 1))
		b.link.Prove(time.Now())
		loading.Wait()
		b.origin.delay(0)
		b.want(b.cost, "set", "6 fresh event")
		b.want(b.cost, "set-newer", "5 fresh memory")
		b.want(b.cost, "untouched", "5 fresh memory")
		b.want(b.cost, "invalidated", "6 fresh origin")
		b.want(b.cost, "created", "1 fresh origin")
		b.want(b.cost, "none", "absent fresh memory")
	})
}

func TestPagesGiveCompletenessOnlyAsASnapshot(t *testing.T) {
	for _, snapshot := range []bool{false, true} {
		t.Run(fmt.Sprint(snapshot), func(t *testing.T) {
			inBubble(t, nil, func(b *bench) {
				b.cost.Snapshot, b.origin.page = snapshot, 2
				for i := range 5 {
					b.origin.put("cost", fmt.Sprint("k", i), doc("1", 1))
				}
				b.load()
				want := "absent fresh origin"
				if snapshot {
					want = "absent fresh memory"
				}
				b.want(b.cost, "none", want)
				b.want(b.cost, "k4", "1 fresh memory")
			})
		})
	}
}

func TestListThatFailsGivesNothing(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.fail(errDown)
		if err := b.tenant.Load(b.Context(), b.cost); !errors.Is(err, errDown) {
			b.Fatal(err)
		}
		b.origin.fail(nil)
		b.origin.put("cost", "a", doc("1", 1))
		b.want(b.cost, "a", "1 fresh origin")
	})
}

func TestOverflowOfMarksRestartsTheList(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.delay(time.Second)
		b.origin.put("cost", "a", doc("1", 1))
		var loading sync.WaitGroup
		loading.Go(b.load)
		time.Sleep(500 * time.Millisecond)
		for i := range maxMarks + 1 {
			b.invalidate(b.cost, fmt.Sprint("k", i), 0)
		}
		loading.Wait()
		if n := b.origin.count("cost", ""); n != 2 {
			b.Errorf("%d lists, want 2", n)
		}
		b.link.Prove(time.Now())
		b.want(b.cost, "k1", "absent fresh memory")
	})
}

func TestLoadsFollowOneAnother(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.delay(time.Second)
		begin := time.Now()
		var loading sync.WaitGroup
		for range 3 {
			loading.Go(b.load)
		}
		loading.Wait()
		if d := time.Since(begin); d != 3*time.Second {
			b.Errorf("three loads took %v", d)
		}
	})
}

func TestListThatDoesNotFitIsNotComplete(t *testing.T) {
	small := func(c *Config) { c.TenantBytes = func(string) int64 { return 4096 } }
	inBubble(t, small, func(b *bench) {
		for i := range 100 {
			b.origin.put("cost", fmt.Sprint("k", i), doc("1", 1))
		}
		b.load()
		for i := range 100 {
			if a, err := b.read(b.cost, fmt.Sprint("k", i), ReadOptions{}); err != nil || a.Absent {
				b.Fatalf("k%d: absent %v, %v", i, a.Absent, err)
			}
		}
	})
}
