package cache

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestReferenceEntriesAreEvictedFirst(t *testing.T) {
	small := func(c *Config) { c.TenantBytes = func(string) int64 { return 16 << 10 } }
	inBubble(t, small, func(b *bench) {
		for i := range 20 {
			b.origin.put("cost", fmt.Sprint("k", i), doc("1", 1))
			b.want(b.cost, fmt.Sprint("k", i), "1 fresh origin")
		}
		for i := range 500 {
			b.origin.put("user", fmt.Sprint("u", i), doc(`{"name":"somebody"}`, 0))
			b.want(b.user, fmt.Sprint("u", i), `{"name":"somebody"} fresh origin`)
		}
		for i := range 20 {
			b.want(b.cost, fmt.Sprint("k", i), "1 fresh memory")
		}
		if n := b.tenant.Bytes(); n > 16<<10 {
			b.Errorf("%d bytes are over the budget", n)
		}
	})
}

func TestWhatDoesNotFitIsAnsweredAndNotKept(t *testing.T) {
	small := func(c *Config) { c.TenantBytes = func(string) int64 { return 4 << 10 } }
	inBubble(t, small, func(b *bench) {
		b.origin.put("cost", "a", doc("1", 1))
		b.want(b.cost, "a", "1 fresh origin")
		large := strings.Repeat("9", 5000)
		b.origin.put("cost", "a", doc(large, 2))
		b.set("a", large, 2) // takes the old value away
		b.want(b.cost, "a", large+" fresh origin")
		b.want(b.cost, "a", large+" fresh origin")
	})
}

func TestNodeBudgetTakesFromLargeTenants(t *testing.T) {
	inBubble(t, func(c *Config) { c.NodeBytes = 64 << 10 }, func(b *bench) {
		value := strings.Repeat("x", 1000)
		for i := range 100 {
			b.origin.put("user", fmt.Sprint("u", i), doc(value, 0))
			b.want(b.user, fmt.Sprint("u", i), value+" fresh origin")
		}
		other := b.cache.NewTenant("other", b.link)
		for i := range 10 {
			if _, err := other.Read(b.Context(), b.user, fmt.Sprint("u", i), ReadOptions{}); err != nil {
				b.Fatal(err)
			}
		}
		if n := other.store(b.user).table.Load().live; n != 10 {
			b.Errorf("a small tenant keeps %d of its 10 entries beside a large one", n)
		}
		if n := b.cache.Bytes(); n > 64<<10 {
			b.Errorf("%d bytes are over the node's budget", n)
		}
	})
}

func TestSweepFreesWhatIsOfNoUse(t *testing.T) {
	inBubble(t, nil, func(b *bench) {
		for i := range 100 {
			b.origin.put("user", fmt.Sprint("u", i), doc("{}", 0))
			b.want(b.user, fmt.Sprint("u", i), "{} fresh origin")
		}
		time.Sleep(25 * time.Hour)
		if n := b.cache.Entries(Reference); n != 0 {
			b.Errorf("%d entries are left", n)
		}
		if n := len(b.tenant.store(b.user).table.Load().slots); n > minSlots {
			b.Errorf("the table still has %d slots", n)
		}
	})
}

// Whatever happens, the charges are what is held, and within the budgets.
func TestChargesAreExact(t *testing.T) {
	const budget = 20 << 10
	rapid.Check(t, func(r *rapid.T) {
		b := newBench(t, func(c *Config) {
			c.TenantBytes = func(string) int64 { return budget }
			c.NodeBytes = 2 * budget
		})
		b.origin.ignore = true
		tenants := []*Tenant{b.tenant, b.cache.NewTenant("b", b.link), b.cache.NewTenant("c", b.link)}
		key := rapid.StringMatching(`k[0-9]{1,2}`)
		tenant := func(r *rapid.T) *Tenant { return rapid.SampledFrom(tenants).Draw(r, "tenant") }
		kind := func(r *rapid.T) *Kind { return rapid.SampledFrom([]*Kind{b.cost, b.user}).Draw(r, "kind") }
		value := func(r *rapid.T) []byte {
			return []byte(strings.Repeat("v", rapid.IntRange(1, 900).Draw(r, "size")))
		}
		r.Repeat(map[string]func(*rapid.T){
			"apply": func(r *rapid.T) {
				tenant(r).Apply(Change{
					Kind: kind(r), Key: key.Draw(r, "key"), Effect: Effect(rapid.IntRange(0, 2).Draw(r, "effect")),
					Value: value(r), Version: 1, Versioned: rapid.Bool().Draw(r, "versioned"),
				})
			},
			"read": func(r *rapid.T) {
				k, name := kind(r), key.Draw(r, "key")
				b.origin.put(k.Name, name, Document{Value: value(r)})
				if _, err := tenant(r).Read(t.Context(), k, name, ReadOptions{HasMaxAge: true}); err != nil {
					r.Fatal(err)
				}
			},
			"load": func(r *rapid.T) {
				if err := tenant(r).Load(t.Context(), b.cost); err != nil {
					r.Fatal(err)
				}
			},
			"sweep":  func(r *rapid.T) { tenant(r).sweep() },
			"delete": func(r *rapid.T) { b.origin.delete("cost", key.Draw(r, "key")) },
			"": func(r *rapid.T) {
				for _, t := range tenants {
					if got := t.Bytes(); got > budget || got != t.recount() {
						r.Fatalf("charged %d, holds %d, budget %d", got, t.recount(), budget)
					}
				}
				if n := b.cache.Bytes(); n > 2*budget {
					r.Fatalf("the node is charged %d of %d", n, 2*budget)
				}
			},
		})
	})
}
