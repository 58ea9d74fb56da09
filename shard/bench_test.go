package shard

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/puzpuzpuz/xsync/v4"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/subscriber"
)

const (
	benchTenants = 10_000
	benchKeys    = 100
)

// stillBus confirms at once and is never heard of again.
type stillBus struct{ names []string }

func (b *stillBus) Follow(names ...string)         { b.names = append(b.names, names...) }
func (*stillBus) Unfollow(...string)               {}
func (*stillBus) Conn(string) int                  { return 0 }
func (*stillBus) Channels(string) []string         { return nil }
func (*stillBus) Fence(context.Context, int) error { return nil }
func (*stillBus) Status() []subscriber.ConnStatus  { return make([]subscriber.ConnStatus, 1) }

// address is a tenant and a key, as parts of one string.
type address struct{ tenant, key, joined string }

// benched is a node with a million entries of 64 bytes.
func benched(b *testing.B) *Node {
	k := &cache.Kind{Name: "cost", Class: cache.Critical, TTL: time.Hour, NegativeTTL: time.Minute, MaxStale: time.Minute}
	c := cache.New(cache.Config{Kinds: []*cache.Kind{k}, Source: &fakeOrigin{}, ProofTTL: time.Hour, NodeBytes: 8 << 30})
	n := New(Config{Kinds: []*cache.Kind{k}, Cache: c, ActivationsPerSecond: benchTenants})
	bus := &stillBus{}
	n.Connect(bus)
	n.Proof(0, time.Now())
	value := make([]byte, 64)
	for i := range benchTenants {
		name := tenantName(i)
		n.activate(name)
		n.Confirmed(0, name)
		for j := range benchKeys {
			n.Event(&subscriber.Event{Tenant: name, Version: 1, Versioned: true,
				Changes: []subscriber.Change{{Kind: "cost", Key: keyName(j), Value: value}}})
		}
	}
	if active := n.Active(); active != benchTenants {
		b.Fatalf("%d tenants are active", active)
	}
	return n
}

func tenantName(i int) string { return fmt.Sprintf("tenant-%05d", i) }
func keyName(j int) string    { return fmt.Sprintf("operation.%03d", j) }

// addresses returns n addresses in random order.
func addresses(n, tenants, keys int) []address {
	all := make([]address, n)
	for i := range all {
		tenant, key := tenantName(rand.IntN(tenants)), keyName(rand.IntN(keys))
		joined := tenant + "/" + key
		all[i] = address{joined[:len(tenant)], joined[len(tenant)+1:], joined}
	}
	return all
}

// BenchmarkRead compares a read from memory inside the node with a bare map of
// the same million keys, in the same run: all of them in random order, and 64
// hot ones.
func BenchmarkRead(b *testing.B) {
	n := benched(b)
	bare := xsync.NewMap[string, []byte](xsync.WithPresize(benchTenants * benchKeys))
	for i := range benchTenants {
		for j := range benchKeys {
			bare.Store(tenantName(i)+"/"+keyName(j), make([]byte, 64))
		}
	}
	runtime.GC()
	for name, of := range map[string][]address{
		"million": addresses(1<<20, benchTenants, benchKeys), "hot": addresses(64, 8, 8),
	} {
		mask := len(of) - 1
		b.Run("bare/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, ok := bare.Load(of[i&mask].joined); !ok {
					b.Fatal("missing")
				}
			}
		})
		b.Run("node/"+name, func(b *testing.B) {
			ctx := context.Background()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				a := &of[i&mask]
				if got, err := n.Read(ctx, a.tenant, "cost", a.key, cache.ReadOptions{}); err != nil || got.Via != cache.FromEvent {
					b.Fatal(got, err)
				}
			}
		})
	}
}

// BenchmarkEvent applies an event of one of a million entries in random order.
func BenchmarkEvent(b *testing.B) {
	n := benched(b)
	of := addresses(1<<16, benchTenants, benchKeys)
	e := &subscriber.Event{Versioned: true, Changes: []subscriber.Change{{Kind: "cost", Value: make([]byte, 64)}}}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		a := &of[i&(len(of)-1)]
		e.Tenant, e.Version, e.Changes[0].Key = a.tenant, uint64(i)+2, a.key
		n.Event(e)
	}
}
