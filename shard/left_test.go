package shard

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/tenantry/tenantry/cache"
)

// left is what activations may leave behind.
type left struct {
	goroutines, followed, active, strangers int
	bytes, heap                             int64
}

func (r *rig) left() left {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.node.strangers.mu.Lock()
	defer r.node.strangers.mu.Unlock()
	return left{
		goroutines: runtime.NumGoroutine(), followed: len(r.bus.names()), active: r.node.Active(),
		strangers: len(r.node.strangers.until), bytes: r.node.cache.Bytes(), heap: int64(m.HeapAlloc),
	}
}

// A hundred thousand activations (see activations), most of them ended by idleness, some dropped,
// some of tenants that do not exist, leave nothing behind.
func TestActivationsLeaveNothingBehind(t *testing.T) {
	cfg := Config{IdleTimeout: 5 * time.Second, ActivationsPerSecond: 1_000_000}
	inBubble(t, cfg, func(r *rig) {
		const batch = activations / 50
		const batches = activations / batch
		activate := func(from int) {
			for i := range batch {
				name := fmt.Sprint("tenant-", from+i)
				r.want(name, "cost", "a", "1 fresh origin")
				if i%10 == 0 {
					r.bus.do(func() { r.node.Event(event(name, "cost", "a", "2")) })
				}
			}
			r.wait(2 * time.Second)
			if n := r.node.Active(); n != batch {
				r.Fatalf("%d active", n)
			}
			for i := range batch / 4 {
				r.node.Drop(fmt.Sprint("tenant-", from+4*i))
			}
			r.wait(10 * time.Second)
			r.origin.listed()
		}
		strangers := func(from int) {
			r.origin.fail("cost", cache.ErrAbsent)
			r.origin.fail("role", cache.ErrAbsent)
			for i := range batch {
				r.want(fmt.Sprint("nobody-", from+i), "cost", "none", "absent fresh origin")
			}
			r.wait(2 * time.Second)
			r.origin.fail("cost", nil)
			r.origin.fail("role", nil)
			r.wait(35 * time.Second)
			r.origin.listed()
		}
		activate(0)
		strangers(0)
		before := r.left()
		for b := range batches {
			if b%10 == 9 {
				strangers(b * batch)
			} else {
				activate(b * batch)
			}
		}
		after := r.left()
		growth := float64(after.heap-before.heap) / activations
		r.Logf("%d activations: before %+v, after %+v: %.1f bytes of heap each", batch*batches, before, after, growth)
		before.heap, after.heap = 0, 0
		if want := (left{goroutines: before.goroutines}); before != want || after != want {
			r.Errorf("before %+v, after %+v", before, after)
		}
		if growth >= 64 {
			r.Errorf("%.1f bytes of heap for each activation", growth)
		}
	})
}
