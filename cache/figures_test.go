package cache

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
)

func TestStats(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("2.5", 1))
		b.origin.put("user", "u", doc("{}", 0))
		b.origin.delay(50 * time.Millisecond)
		if err := b.tenant.Load(b.Context(), b.cost); err != nil {
			b.Fatal(err)
		}
		for range 3 {
			b.want(b.cost, "a", "2.5 fresh memory")
		}
		b.want(b.cost, "none", "absent fresh memory")
		b.want(b.user, "u", "{} fresh origin")
		b.want(b.user, "u", "{} fresh memory")
		b.want(b.user, "none", "absent fresh origin")
		b.origin.fail(errDown)
		b.wantWith(b.user, "other", ReadOptions{}, "*cache.UnavailableError")

		got := b.tenant.Stats()
		if got.MeanRead != 3*50*time.Millisecond/8 {
			b.Errorf("mean of 8 reads, three of them of 50 ms, is %v", got.MeanRead)
		}
		for i := range got.Kinds {
			got.Kinds[i].Bytes = min(got.Kinds[i].Bytes, 1)
		}
		got.MeanRead = 0
		want := Stats{OriginRequests: 4, Kinds: []KindStats{
			{Entries: 1, Bytes: 1, Complete: true, Hits: 4, TTL: time.Hour},
			{Entries: 2, Negative: 1, Bytes: 1, Hits: 1, Misses: 3, TTL: 5 * time.Minute},
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			b.Error(diff)
		}
	})
}

// What a closed tenant counted goes on counting for the node.
func TestReadsOfClosedTenantsCount(t *testing.T) {
	reg := prometheus.NewRegistry()
	inBubble(t, func(c *Config) { c.Registerer = reg }, func(b *bench) {
		b.origin.put("cost", "a", doc("2.5", 1))
		b.want(b.cost, "a", "2.5 fresh origin")
		b.want(b.cost, "a", "2.5 fresh memory")
		c := newReadCollector(b.cache)
		before := c.count()[b.cost.ID]
		b.tenant.Close()
		after := c.count()[b.cost.ID]
		if before != after || before[resultHit] != 1 || before[resultMiss] != 1 {
			b.Errorf("%v before, %v after the end of the tenant; want a hit and a miss", before, after)
		}
		if n, err := testutil.GatherAndCount(reg, "tenantry_reads_total"); err != nil || n != 2*int(results) {
			b.Errorf("%d series, %v; want one of each kind and result", n, err)
		}
	})
}

func TestProvisionalSeconds(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("2.5", 1))
		b.want(b.cost, "a", "2.5 fresh origin")
		b.set("a", "3", 0)
		b.live(time.Second)
		b.want(b.cost, "a", "2.5 fresh memory")
		var m dto.Metric
		if err := b.cache.metrics.provisional.Write(&m); err != nil {
			b.Fatal(err)
		}
		if h := m.GetHistogram(); h.GetSampleCount() != 1 || h.GetSampleSum() < 0.2 || h.GetSampleSum() > 0.21 {
			b.Errorf("provisional %v, want once for the confirm_after of 0.2 s", h)
		}
	})
}

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

func TestRefreshAhead(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.cost.Listed = false
		b.origin.put("cost", "hot", doc("1", 1))
		b.origin.put("cost", "cold", doc("1", 1))
		b.want(b.cost, "hot", "1 fresh origin")
		b.want(b.cost, "cold", "1 fresh origin")
		b.origin.delay(50 * time.Millisecond)
		for range 3 * 3600 { // three TTLs, a read each second
			b.live(time.Second)
			b.want(b.cost, "hot", "1 fresh memory")
		}
		if n := b.origin.count("cost", "hot"); n < 3 || n > 6 {
			b.Errorf("%d origin reads in three TTLs", n)
		}
		if n := b.origin.count("cost", "cold"); n != 1 {
			b.Errorf("%d origin reads of what nobody asks for", n)
		}
	})
}

// A read ahead that fails is not repeated at each read: the origin is in trouble.
func TestRefreshAheadOfABrokenOrigin(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.cost.Listed = false
		b.origin.put("cost", "hot", doc("1", 1))
		b.want(b.cost, "hot", "1 fresh origin")
		b.live(52 * time.Minute)
		b.origin.fail(errDown)
		for range 100 {
			b.want(b.cost, "hot", "1 fresh memory")
			b.live(10 * time.Millisecond)
		}
		if n := b.origin.count("cost", "hot"); n > 2 {
			b.Errorf("%d origin reads", n)
		}
	})
}

// Entries that are loaded together do not expire together.
func TestTTLsSpread(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		const n, buckets = 10_000, 20
		for i := range n {
			b.origin.put("cost", fmt.Sprint(i), doc("1", 1))
		}
		if err := b.tenant.Load(b.Context(), b.cost); err != nil {
			b.Fatal(err)
		}
		var spread [buckets]int
		for e := range b.tenant.store(b.cost).table.Load().all {
			share := float64(e.expires.sub(e.verified))/float64(b.cost.TTL) - 0.9
			spread[min(max(int(share/0.2*buckets), 0), buckets-1)]++
		}
		for i, got := range spread {
			if got < n/buckets*7/10 || got > n/buckets*13/10 {
				b.Errorf("bucket %d of the ± 10 %% holds %d of %d: %v", i, got, n, spread)
			}
		}
	})
}

type traceName struct{}

// tracedOrigin notes the values of the contexts that it is read with.
type tracedOrigin struct {
	*fakeOrigin
	seen []any
}

func (o *tracedOrigin) One(ctx context.Context, tenant string, k *Kind, key, etag string) (Document, error) {
	o.seen = append(o.seen, ctx.Value(traceName{}))
	return o.fakeOrigin.One(ctx, tenant, k, key, etag)
}

// An origin read has the values of the read that began it, not its end.
func TestFlightsAreTraced(t *testing.T) {
	traced := &tracedOrigin{}
	inBubble(t, func(c *Config) { traced.fakeOrigin, c.Source = c.Source.(*fakeOrigin), traced }, func(b *bench) {
		b.origin.put("user", "u", doc("{}", 0))
		b.origin.delay(100 * time.Millisecond)
		ctx, cancel := context.WithTimeout(context.WithValue(b.Context(), traceName{}, "trace"), 10*time.Millisecond)
		defer cancel()
		if _, err := b.tenant.Read(ctx, b.user, "u", ReadOptions{}); err == nil {
			b.Error("a read outlived its context")
		}
		time.Sleep(time.Second)
		b.want(b.user, "u", "{} fresh memory")
		if diff := cmp.Diff([]any{"trace"}, traced.seen); diff != "" {
			b.Error(diff)
		}
	})
}

func TestPeek(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("cost", "a", doc("2.5", 1))
		if _, ok := b.tenant.Peek(b.cost, "a"); ok {
			b.Error("peeked at what nobody has read")
		}
		if err := b.tenant.Load(b.Context(), b.cost); err != nil {
			b.Fatal(err)
		}
		if a, ok := b.tenant.Peek(b.cost, "a"); !ok || describe(a, nil) != "2.5 fresh memory" {
			b.Errorf("%v %v", a, ok)
		}
		if a, ok := b.tenant.Peek(b.cost, "none"); !ok || !a.Absent {
			b.Errorf("%v %v", a, ok)
		}
		if n := b.tenant.Stats().Kinds[b.cost.ID].Hits; n != 0 {
			b.Errorf("%d hits counted", n)
		}
	})
}
