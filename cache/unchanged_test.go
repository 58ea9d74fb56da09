package cache

import (
	"testing"
	"time"
)

// lists returns how the lists so far were asked for: "etag" or "whole".
func (b *bench) lists() (asked []string) {
	b.origin.mu.Lock()
	defer b.origin.mu.Unlock()
	for _, r := range b.origin.reads {
		switch {
		case r.key != "":
		case r.etag != "":
			asked = append(asked, "etag")
		default:
			asked = append(asked, "whole")
		}
	}
	return asked
}

// A list that has not changed verifies what was kept of it, without being sent.
func TestAnUnchangedListVerifies(t *testing.T) {
	for name, test := range map[string]struct {
		meanwhile func(b *bench) // between the first list and the doubt
		how       string         // the second list is asked for
		a, none   string         // answers after it
	}{
		"nothing else": {
			func(*bench) {}, "etag", "1 fresh memory", "absent fresh memory",
		},
		"after a read that found the same": {
			func(b *bench) { b.wantWith(b.cost, "a", ReadOptions{HasMaxAge: true}, "1 fresh origin") },
			"etag", "1 fresh memory", "absent fresh memory",
		},
		"after an event": {
			func(b *bench) { b.origin.put("cost", "a", doc("2", 2)); b.set("a", "2", 2) },
			"whole", "2 fresh memory", "absent fresh memory",
		},
		"after an invalidation of what did not change": {
			func(b *bench) { b.invalidate(b.cost, "a", 0) }, "whole", "1 fresh memory", "absent fresh memory",
		},
		"after an event for a key that is not there": {
			func(b *bench) { b.invalidate(b.cost, "b", 0) }, "whole", "1 fresh memory", "absent fresh memory",
		},
		"after a change that nobody announced": {
			func(b *bench) { b.origin.put("cost", "a", doc("3", 3)) }, "etag", "3 fresh memory", "absent fresh memory",
		},
		"after a read that found another value": {
			func(b *bench) {
				b.origin.put("cost", "a", doc("3", 1))
				b.wantWith(b.cost, "a", ReadOptions{HasMaxAge: true}, "3 fresh origin")
				b.origin.put("cost", "a", doc("1", 1)) // as the list had it
			},
			"whole", "1 fresh memory", "absent fresh memory",
		},
		"after an eviction": {
			func(b *bench) { b.tenant.mu.Lock(); b.tenant.evict(Critical); b.tenant.mu.Unlock() },
			"whole", "1 fresh memory", "absent fresh memory",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(b *bench) {
				b.origin.put("cost", "a", doc("1", 1))
				b.load()
				test.meanwhile(b)
				b.live(time.Second)
				b.link.Doubt()
				b.live(10 * time.Second) // beyond the bound
				b.load()
				if got := b.lists(); len(got) != 2 || got[1] != test.how {
					b.Errorf("lists asked for: %v, want the second %s", got, test.how)
				}
				b.want(b.cost, "a", test.a)
				b.want(b.cost, "none", test.none)
			})
		})
	}
}

// An unchanged list renews the TTL.
func TestAnUnchangedListRenewsTheTTL(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("1", 1))
		for range 4 {
			b.load()
			b.live(45 * time.Minute)
			b.want(b.cost, "a", "1 fresh memory")
		}
		if got := b.lists(); len(got) != 4 || got[3] != "etag" {
			b.Errorf("lists asked for: %v", got)
		}
	})
}

// An event while the origin says that the list has not changed: the word says
// nothing of what the event made, and the list is read whole.
func TestAnEventBeatsAnUnchangedList(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("1", 1))
		b.load()
		b.link.Doubt()
		b.live(10 * time.Second)
		b.origin.delay(100 * time.Millisecond)
		go func() {
			time.Sleep(50 * time.Millisecond)
			b.origin.put("cost", "a", doc("2", 2))
			b.invalidate(b.cost, "a", 2)
		}()
		b.load()
		if got := b.lists(); len(got) != 3 || got[1] != "etag" || got[2] != "whole" {
			b.Errorf("lists asked for: %v", got)
		}
		b.want(b.cost, "a", "2 fresh memory")
	})
}

// A doubt while the origin says so is not cleared by it.
func TestADoubtDuringAnUnchangedList(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("1", 1))
		b.load()
		b.live(10 * time.Second)
		b.origin.delay(100 * time.Millisecond)
		go func() {
			time.Sleep(50 * time.Millisecond)
			b.link.Doubt()
		}()
		b.load()
		b.origin.delay(0)
		b.live(10 * time.Second)
		b.want(b.cost, "a", "1 fresh origin")
	})
}
