package cache

import (
	"testing"
	"time"
)

func TestSoftTimeout(t *testing.T) {
	soft := func(c *Config) { c.SoftTimeout = 200 * time.Millisecond }
	inBubble(t, soft, func(b *bench) {
		b.origin.put("user", "u", doc("old", 0))
		b.origin.put("cost", "a", doc("2.5", 1))
		b.want(b.user, "u", "old fresh origin")
		b.want(b.cost, "a", "2.5 fresh origin")
		b.origin.put("user", "u", doc("new", 0))
		b.origin.delay(time.Second)
		b.invalidate(b.user, "u", 0)
		b.invalidate(b.cost, "a", 0)

		took := b.took(func() { b.want(b.user, "u", "old stale memory") })
		if took != 200*time.Millisecond {
			b.Errorf("answered after %v, want the soft time-out", took)
		}
		took = b.took(func() { b.wantWith(b.user, "u", ReadOptions{HasMaxAge: true}, "new fresh origin") })
		if took != time.Second {
			b.Errorf("max_age 0 answered after %v, want the origin's second", took)
		}
		b.want(b.user, "u", "new fresh memory") // what went on behind has filled it
		took = b.took(func() { b.want(b.cost, "a", "2.5 fresh origin") })
		if took != time.Second {
			b.Errorf("a critical entry answered after %v, want the origin's second", took)
		}
		took = b.took(func() { b.want(b.user, "none", "absent fresh origin") })
		if took != time.Second {
			b.Errorf("nothing is kept, answered after %v", took)
		}
	})
}

func (b *bench) took(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

// What may not be served STALE is waited for.
func TestSoftTimeoutServesOnlyWhatMayBeStale(t *testing.T) {
	soft := func(c *Config) { c.SoftTimeout = 200 * time.Millisecond }
	for name, test := range map[string]struct {
		before func(b *bench)
		o      ReadOptions
		want   string
	}{
		"known current lately":         {func(*bench) {}, ReadOptions{}, "old stale memory"},
		"beyond max_stale":             {func(b *bench) { time.Sleep(b.user.MaxStale) }, ReadOptions{}, "new fresh origin"},
		"invalidated beyond max_stale": {func(b *bench) { b.invalidate(b.user, "u", 0); b.live(b.user.MaxStale) }, ReadOptions{}, "new fresh origin"},
		"max_age that it has":          {func(*bench) {}, ReadOptions{HasMaxAge: true, MaxAge: time.Hour}, "old stale memory"},
		"max_age that it has not":      {func(*bench) {}, ReadOptions{HasMaxAge: true, MaxAge: time.Minute}, "new fresh origin"},
		"min_version that it has":      {func(*bench) {}, ReadOptions{MinVersion: 1}, "old stale memory"},
		"min_version that it has not":  {func(*bench) {}, ReadOptions{MinVersion: 2}, "new fresh origin"},
		"after what it is not":         {func(*bench) {}, ReadOptions{Position: 1, Settled: 1 << 62}, "new fresh origin"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, soft, func(b *bench) {
				b.origin.put("user", "u", doc("old", 1))
				b.want(b.user, "u", "old fresh origin")
				b.origin.put("user", "u", doc("new", 2))
				b.origin.delay(time.Second)
				time.Sleep(10 * time.Minute) // past the TTL
				test.before(b)
				b.wantWith(b.user, "u", test.o, test.want)
			})
		})
	}
}

// A read that has waited through an event is still answered by the flight that
// it waited for: the event costs no second one.
func TestSoftTimeoutWaitsOnForItsFlight(t *testing.T) {
	inBubble(t, func(c *Config) { c.SoftTimeout = 200 * time.Millisecond }, func(b *bench) {
		b.origin.put("user", "u", doc("{}", 0))
		b.origin.delay(time.Second)
		go func() {
			time.Sleep(100 * time.Millisecond)
			b.invalidate(b.user, "u", 0)
		}()
		took := b.took(func() { b.want(b.user, "u", "{} fresh origin") })
		if n := b.origin.count("user", "u"); took != time.Second || n != 1 {
			b.Errorf("%v and %d origin reads, want one of a second", took, n)
		}
	})
}

// A node whose origin hangs answers each read of reference data after the soft
// time-out, with one origin read in flight for all.
func TestSoftTimeoutSharesOneFlight(t *testing.T) {
	inBubble(t, func(c *Config) { c.SoftTimeout = 200 * time.Millisecond }, func(b *bench) {
		b.origin.put("user", "u", doc("{}", 0))
		b.want(b.user, "u", "{} fresh origin")
		b.invalidate(b.user, "u", 0)
		b.origin.delay(time.Hour)
		for range 10 {
			b.want(b.user, "u", "{} stale memory")
		}
		if n := b.origin.count("user", "u"); n != 2 {
			b.Errorf("%d origin reads, want the first and one that hangs", n)
		}
		if n := b.tenant.store(b.user).tally.n[resultStale].Load(); n != 10 {
			b.Errorf("%d stale answers counted", n)
		}
	})
}
