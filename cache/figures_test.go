package cache

import (
	"context"
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

// The counts of a node never fall, whatever tenants end while they are collected.
func TestReadsNeverFall(t *testing.T) {
	c := New(Config{Kinds: []*Kind{{Name: "cost", Class: Critical, TTL: time.Hour}}, Source: newFakeOrigin()})
	kind, link := c.kinds[0], c.NewLink()
	collector := newReadCollector(c)
	link.Prove(time.Now())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range 300 {
			tenant := c.NewTenant("acme", link)
			tenant.Confirmed()
			tenant.Apply(Change{Kind: kind, Key: "a", Value: []byte("1"), Version: 1, Versioned: true})
			for range 10 {
				_, _ = tenant.Read(t.Context(), kind, "a", ReadOptions{})
			}
			tenant.Close()
			tenant.Close() // counts once
		}
	}()
	last := uint64(0)
	for ending := false; !ending; {
		select {
		case <-ended:
			ending = true
		default:
		}
		now := collector.count()[kind.ID][resultHit]
		if now < last {
			t.Fatalf("%d hits after %d", now, last)
		}
		last = now
	}
	if last != 3000 {
		t.Errorf("%d hits, want each of 3000 once", last)
	}
}

// Absences from memory are sampled as hits are: each of them, where there are no
// hits, would be measured and weigh as much as 64.
func TestAbsencesAreSampled(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		if err := b.tenant.Load(b.Context(), b.cost); err != nil {
			b.Fatal(err)
		}
		for range 10 * sampleEvery {
			b.want(b.cost, "none", "absent fresh memory")
		}
		if n := b.tenant.store(b.cost).tally.samples.Load(); n != 10 {
			b.Errorf("%d of %d reads were measured", n, 10*sampleEvery)
		}
	})
}

// A read that got no answer counts, and so does its time.
func TestReadsWithoutAnAnswerCount(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.origin.put("user", "u", doc("{}", 1))
		b.origin.delay(time.Second)
		b.wantWith(b.user, "u", ReadOptions{MinVersion: 2}, "*errors.errorString")
		ctx, cancel := context.WithTimeout(b.Context(), 500*time.Millisecond)
		defer cancel()
		if _, err := b.tenant.Read(ctx, b.user, "v", ReadOptions{}); err == nil {
			b.Error("a read outlived its context")
		}
		got := b.tenant.Stats()
		if n := got.Kinds[b.user.ID]; n.Misses != 2 || n.Hits != 0 || got.MeanRead != 750*time.Millisecond {
			b.Errorf("%d hits, %d misses, %v a read", n.Hits, n.Misses, got.MeanRead)
		}
	})
}

// An entry that an event took away is settled by a list that does not have it.
func TestProvisionalUntilAList(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		b.tenant.Apply(Change{Kind: b.cost, Key: "a", Effect: Remove})
		time.Sleep(100 * time.Millisecond)
		if err := b.tenant.Load(b.Context(), b.cost); err != nil {
			b.Fatal(err)
		}
		var m dto.Metric
		if err := b.cache.metrics.provisional.Write(&m); err != nil {
			b.Fatal(err)
		}
		if h := m.GetHistogram(); h.GetSampleCount() != 1 || h.GetSampleSum() != 0.1 {
			b.Errorf("provisional %v, want once for 0.1 s", h)
		}
	})
}
