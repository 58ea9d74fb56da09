package shard

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/subscriber"
)

// However activations and endings interleave, what is followed is what is
// active, and nothing is left at the end.
func TestActivateBesideLetGo(t *testing.T) {
	defer goleak.VerifyNone(t)
	for range 200 {
		r := newRig(t, Config{})
		ctx, cancel := context.WithCancel(t.Context())
		var node, busy sync.WaitGroup
		node.Go(func() { _ = r.node.Run(ctx) })
		node.Go(func() { r.bus.run(ctx) })
		names := []string{"a", "b"}
		for i := range 6 {
			busy.Go(func() { r.hammer(names[i%2], i) })
		}
		busy.Wait()
		r.checkFollowed()
		cancel()
		node.Wait()
		r.checkNothingIsLeft()
	}
}

// Reads go on while Run ends.
func TestActivateBesideTheEnd(t *testing.T) {
	defer goleak.VerifyNone(t)
	for range 200 {
		r := newRig(t, Config{})
		ctx, cancel := context.WithCancel(t.Context())
		var node, busy sync.WaitGroup
		node.Go(func() { _ = r.node.Run(ctx) })
		for i := range 4 {
			busy.Go(func() { r.hammer(string(rune('a'+i)), 0) })
		}
		cancel()
		node.Wait()
		busy.Wait()
		r.checkNothingIsLeft()
	}
}

// hammer does to a tenant what a node's goroutines do.
func (r *rig) hammer(name string, role int) {
	for range 20 {
		switch role / 2 {
		case 0:
			if _, err := r.node.Read(context.Background(), name, "cost", "a", cache.ReadOptions{}); err != nil {
				r.Error(err)
			}
		case 1:
			r.node.Event(&subscriber.Event{Tenant: name, TenantDeleted: true})
		default:
			r.node.Event(event(name, "cost", "a", "2"))
			if t, ok := r.node.tenants.Load(name); ok {
				r.node.look(t)
				r.node.letGo(t)
			}
		}
	}
}

func (r *rig) checkFollowed() {
	r.Helper()
	for name, n := range r.bus.followed {
		if _, active := r.node.tenants.Load(name); n != 1 || !active {
			r.Errorf("%s is followed %d times, active %v", name, n, active)
		}
	}
	if size := r.node.tenants.Size(); size != r.node.Active() || size != len(r.bus.names()) {
		r.Errorf("%d tenants, %d counted, %d followed", size, r.node.Active(), len(r.bus.names()))
	}
}

// hastyBus confirms a tenant while it is still being activated.
type hastyBus struct {
	node      *Node
	confirmed sync.WaitGroup
}

func (b *hastyBus) Follow(tenants ...string) {
	running := make(chan struct{})
	b.confirmed.Go(func() {
		close(running)
		b.node.Confirmed(0, tenants[0])
	})
	<-running
	for range 100 {
		runtime.Gosched()
	}
}

func (*hastyBus) Unfollow(...string)               {}
func (*hastyBus) Conn(string) int                  { return 0 }
func (*hastyBus) Channels(string) []string         { return nil }
func (*hastyBus) Fence(context.Context, int) error { return nil }
func (*hastyBus) Status() []subscriber.ConnStatus  { return make([]subscriber.ConnStatus, 1) }

func TestAConfirmationDuringTheActivationIsNotLost(t *testing.T) {
	r := newRig(t, Config{})
	b := &hastyBus{node: New(Config{Kinds: r.node.critical, Cache: r.node.cache, ActivationsPerSecond: 10_000})}
	b.node.Connect(b)
	for i := range 1000 {
		if b.node.activate(strconv.Itoa(i)) == nil {
			t.Fatal("not activated")
		}
	}
	b.confirmed.Wait()
	for i := range 1000 {
		if got := b.node.State(strconv.Itoa(i)); got != Loading {
			t.Fatalf("tenant %d is %s", i, got)
		}
	}
}
