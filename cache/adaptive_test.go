package cache

import (
	"fmt"
	"testing"
	"time"
)

func TestAdaptiveTTL(t *testing.T) {
	adaptive := func(c *Config) { c.AdaptiveTTL = AdaptiveTTL{Min: 0.25, Max: 4} }
	for name, test := range map[string]struct {
		configure func(*Config)
		hits      int // between two expiries
		want      time.Duration
	}{
		"misses by expiry make it longer": {adaptive, 0, 20 * time.Minute},
		"hits make it shorter":            {adaptive, 10, 75 * time.Second},
		"in between it stays":             {adaptive, 1, 5 * time.Minute},
		"off":                             {nil, 0, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, test.configure, func(b *bench) {
				b.origin.put("user", "u", doc("{}", 0))
				for range 8 * adaptWindow {
					b.want(b.user, "u", "{} fresh origin")
					for range test.hits {
						b.want(b.user, "u", "{} fresh memory")
					}
					time.Sleep(23 * time.Minute) // past the longest TTL with its jitter
					b.link.Prove(time.Now())
				}
				if got := b.tenant.Stats().Kinds[b.user.ID].TTL; got != test.want {
					b.Errorf("the TTL is %v, want %v", got, test.want)
				}
			})
		})
	}
}

// Reads that miss for another reason than the TTL do not make it longer.
func TestAdaptiveTTLCountsExpiriesAlone(t *testing.T) {
	inBubble(t, func(c *Config) { c.AdaptiveTTL = AdaptiveTTL{Min: 0.25, Max: 4} }, func(b *bench) {
		for i := range 3 * adaptWindow {
			b.want(b.user, fmt.Sprint(i), "absent fresh origin")
			b.invalidate(b.user, "0", 0)
			b.want(b.user, "0", "absent fresh origin")
		}
		if got := b.tenant.Stats().Kinds[b.user.ID].TTL; got != b.user.TTL {
			b.Errorf("the TTL is %v", got)
		}
	})
}

// The TTL in effect is given to what an event sets, too; absences and what is
// kept already have theirs.
func TestAdaptiveTTLOfNewEntries(t *testing.T) {
	inBubble(t, func(c *Config) { c.AdaptiveTTL = AdaptiveTTL{Min: 0.25, Max: 4} }, func(b *bench) {
		b.origin.put("user", "before", doc("{}", 0))
		b.origin.put("user", "after", doc("{}", 0))
		b.want(b.user, "before", "{} fresh origin")
		b.tenant.store(b.user).adapting.factor = 4
		b.want(b.user, "after", "{} fresh origin")
		b.want(b.user, "none", "absent fresh origin")
		b.tenant.Apply(Change{Kind: b.user, Key: "event", Value: []byte("{}"), Version: 1, Versioned: true})
		for key, ttl := range map[string]time.Duration{
			"before": b.user.TTL, "after": 4 * b.user.TTL, "event": 4 * b.user.TTL, "none": b.user.NegativeTTL,
		} {
			e := b.tenant.store(b.user).entry(b.cache.hash(key), key)
			if got := e.expires.sub(e.verified); got < ttl*9/10 || got > ttl*11/10 {
				b.Errorf("%s has a TTL of %v, want about %v", key, got, ttl)
			}
		}
	})
}

// Absences that expire say nothing of the TTL of what exists, and critical kinds
// have the TTL that they are configured with.
func TestAdaptiveTTLOfReferenceAlone(t *testing.T) {
	inBubble(t, func(c *Config) { c.AdaptiveTTL = AdaptiveTTL{Min: 0.25, Max: 4} }, func(b *bench) {
		b.origin.put("cost", "a", doc("1", 1))
		for range 3 * adaptWindow {
			b.want(b.user, "none", "absent fresh origin")
			b.want(b.cost, "a", "1 fresh origin")
			time.Sleep(2 * time.Hour)
		}
		got := b.tenant.Stats()
		if user, cost := got.Kinds[b.user.ID].TTL, got.Kinds[b.cost.ID].TTL; user != b.user.TTL || cost != b.cost.TTL {
			b.Errorf("the TTLs are %v and %v", user, cost)
		}
	})
}
