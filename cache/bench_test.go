package cache

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// benched is a cache with a tenant whose link is proven for long enough.
func benched(b *testing.B, keys int) (*Cache, *Tenant, *Kind) {
	k := &Kind{Name: "cost", Class: Critical, TTL: time.Hour, NegativeTTL: time.Minute, MaxStale: time.Minute, Listed: true}
	c := New(Config{Kinds: []*Kind{k}, Source: newFakeOrigin(), ProofTTL: time.Hour, NodeBytes: 8 << 30})
	link := c.NewLink()
	link.Prove(time.Now())
	t := c.NewTenant("acme", link)
	t.Confirmed()
	for i := range keys {
		t.Apply(Change{Kind: k, Key: fmt.Sprint("k", i), Value: []byte(`{"cost":2.5}`), Version: 1, Versioned: true})
	}
	return c, t, k
}

// BenchmarkRecall reads one of 64 hot keys of one tenant.
func BenchmarkRecall(b *testing.B) {
	_, t, k := benched(b, 64)
	keys := make([]string, 64)
	for i := range keys {
		keys[i] = fmt.Sprint("k", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := t.Read(b.Context(), k, keys[i%64], ReadOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRecallTogether has each core read hot keys of a tenant of its own, or
// all of one tenant: what they share shows.
func BenchmarkRecallTogether(b *testing.B) {
	for name, own := range map[string]bool{"own": true, "one": false} {
		b.Run(name, func(b *testing.B) {
			c, shared, k := benched(b, 64)
			b.RunParallel(func(pb *testing.PB) {
				t := shared
				if own {
					t = c.NewTenant("own", shared.link)
					t.Confirmed()
					t.Apply(Change{Kind: k, Key: "k1", Value: []byte(`{"cost":2.5}`), Version: 1, Versioned: true})
				}
				for pb.Next() {
					if _, err := t.Read(b.Context(), k, "k1", ReadOptions{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// BenchmarkApply applies events of 10,000 keys in random order, each with a
// version above the one before.
func BenchmarkApply(b *testing.B) {
	const n = 10_000
	for name, versioned := range map[string]bool{"versioned": true, "vouched": false} {
		b.Run(name, func(b *testing.B) {
			_, t, k := benched(b, n)
			keys := make([]string, n)
			for i, at := range rand.Perm(n) {
				keys[i] = fmt.Sprint("k", at)
			}
			value := []byte(`{"cost":3.0}`)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				t.Apply(Change{Kind: k, Key: keys[i%n], Value: value, Version: uint64(i) + 2, Versioned: versioned})
			}
		})
	}
}
