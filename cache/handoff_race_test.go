package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// Nodes that hand over to each other, while events, reads, doubts and evictions go on,
// share nothing and lose count of nothing. (The detector of races looks on.)
func TestHandoffsAtTheSameTime(t *testing.T) {
	a, b := newBench(t, smallTenant), newBench(t, smallTenant)
	for i := range 40 {
		d := doc(fmt.Sprint(i), uint64(i%3))
		for _, o := range []*fakeOrigin{a.origin, b.origin} {
			o.put("cost", fmt.Sprint("k", i), d)
			o.put("user", fmt.Sprint("k", i), d)
		}
	}
	var running sync.WaitGroup
	until := time.Now().Add(100 * time.Millisecond)
	again := func(do func()) {
		running.Go(func() {
			for time.Now().Before(until) {
				do()
			}
		})
	}
	for _, pair := range [][2]*bench{{a, b}, {b, a}} {
		to, from := pair[0], pair[1]
		to.link.Prove(time.Now())
		to.tenant.Confirmed()
		again(func() { _, _, _ = to.take(from, nil) })
		again(to.stir)
		again(to.stir)
		again(func() { _ = to.tenant.Load(to.Context(), to.cost) })
		again(func() { <-time.After(10 * time.Millisecond); to.upset() })
	}
	running.Wait()
	for _, one := range []*bench{a, b} {
		_ = one.cache.Run(ended())
		one.checkCharges()
		for _, k := range one.cache.kinds {
			if s := one.tenant.store(k); s != nil && s.load != nil {
				t.Errorf("the turn of %s is taken", k.Name)
			}
		}
	}
}

func smallTenant(c *Config) { c.TenantBytes = func(string) int64 { return 8 << 10 } }

// stir reads or changes any entry.
func (b *bench) stir() {
	k, key := b.cache.kinds[rand.IntN(2)], fmt.Sprint("k", rand.IntN(40))
	switch rand.IntN(8) {
	case 0:
		b.invalidate(k, key, uint64(rand.IntN(4)))
	case 1:
		b.set(key, "9", uint64(rand.IntN(4)))
	case 2:
		b.tenant.Apply(Change{Kind: k, Key: key, Effect: Remove})
	case 3:
		_, _ = b.read(k, key, ReadOptions{HasMaxAge: true})
	case 4:
		b.known(k, key)
	default:
		_, _ = b.read(k, key, ReadOptions{})
	}
}

// upset doubts, evicts or sweeps.
func (b *bench) upset() {
	switch rand.IntN(4) {
	case 0:
		b.tenant.Doubt()
	case 1:
		b.link.Doubt()
		b.link.Prove(time.Now())
	case 2:
		b.tenant.mu.Lock()
		defer b.tenant.mu.Unlock()
		b.tenant.evict(Critical)
	default:
		b.tenant.sweep()
	}
}

// ended is a context that has.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
