package node_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/cmd/tenantry/node"
	"github.com/tenantry/tenantry/subscriber/redistest"
)

const (
	heapTenants = 10_000
	heapEntries = 100 // of each tenant
	heapVersion = 7   // of each entry
)

// grown is how a process has grown.
type grown struct{ heap, goroutines float64 }

// growth measures what a call leaves on the heap and in goroutines. What it
// returns is alive while that is measured.
func growth(grow func() any) grown {
	heap, goroutines := liveHeap(), runtime.NumGoroutine()
	made := grow()
	g := grown{liveHeap() - heap, float64(runtime.NumGoroutine() - goroutines)}
	runtime.KeepAlive(made)
	return g
}

// liveHeap returns the bytes on the heap that are in use. The second
// collection frees what the first one's finalizers and pools held.
func liveHeap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkTenantHeap reports the growth of a whole node's heap, go-redis's
// share included, by each tenant that becomes live without entries, beside an
// empty otter cache with expiry.
func BenchmarkTenantHeap(b *testing.B) {
	for b.Loop() {
		n := startQuietNode(b, redistest.Start(b))
		activateAll(b, n, "warm", 500) // connections, pools, loaders
		ours := growth(func() any { activateAll(b, n, "tenant", heapTenants); return n })
		caches := make([]*otter.Cache[string, []byte], heapTenants)
		yardstick := growth(func() any { makeEmpty(caches); return caches })
		for _, c := range caches {
			c.StopAllGoroutines()
		}
		reportPair(b, "B/tenant", ours.heap/heapTenants, yardstick.heap/heapTenants, ours.heap/yardstick.heap)
		b.ReportMetric(ours.goroutines, "ours-goroutines")
		b.ReportMetric(yardstick.goroutines, "yardstick-goroutines")
	}
	b.ReportMetric(0, "ns/op")
}

// makeEmpty fills the slice with empty caches, as one would have one a tenant.
func makeEmpty(caches []*otter.Cache[string, []byte]) {
	for i := range caches {
		caches[i] = otter.Must(expiring())
	}
}

func expiring() *otter.Options[string, []byte] {
	return &otter.Options[string, []byte]{ExpiryCalculator: otter.ExpiryWriting[string, []byte](time.Hour)}
}

// startQuietNode runs a node whose origin has empty lists.
func startQuietNode(b *testing.B, r *redistest.Server) *node.Node {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[]") }))
	b.Cleanup(origin.Close)
	cfg := config.Default()
	cfg.Node.Name = "bench-node"
	cfg.Listen.RPC, cfg.Listen.Admin, cfg.Listen.Gossip = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Limits.ActivationsPerSecond = heapTenants
	cfg.Redis.Addresses = []config.Address{config.Address(r.Addr())}
	cfg.Origin.URL = config.URL(origin.URL)
	n, err := node.New(cfg, "test", slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-ended })
	untilB(b, "the node is ready", func() bool { ready, _, _ := n.Readiness(); return ready })
	return n
}

// activateAll activates tenants, by reads that keep nothing, and waits until
// each is live: subscribed, its empty lists read.
func activateAll(b *testing.B, n *node.Node, prefix string, count int) {
	client := &http.Client{Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	for i := range count {
		res, err := client.Get(fmt.Sprintf("http://%s/v1/tenants/%s-%05d/entries/history/x", n.RPC(), prefix, i))
		if err != nil {
			b.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			b.Fatalf("%s: %s", res.Status, text)
		}
	}
	untilB(b, "the tenants are live", func() bool {
		for i := range count {
			if n.TenantState(fmt.Sprintf("%s-%05d", prefix, i)) != "live" {
				return false
			}
		}
		return true
	})
}

// BenchmarkEntryHeap reports the heap that an entry takes beyond the bytes of
// its key and value, in 10,000 tenants of 100 entries with TTL, version and
// generation, under a memory budget, beside otter caches that hold the same
// keys (prefixed with the tenant, which counts as key bytes) and values: under
// a bound with and without expiry, and without a bound.
func BenchmarkEntryHeap(b *testing.B) {
	for b.Loop() {
		prefix := len(heapTenant(0)) + 1
		o := func(options *otter.Options[string, []byte]) float64 { return overhead(b, fillOtter(options), prefix) }
		bounded := expiring()
		bounded.MaximumSize = 2 * heapTenants * heapEntries
		ours, yardstick := overhead(b, loadAll, 0), o(bounded)
		reportPair(b, "B/entry", ours, yardstick, ours/yardstick)
		b.ReportMetric(o(&otter.Options[string, []byte]{MaximumSize: bounded.MaximumSize}), "bounded-B/entry")
		b.ReportMetric(o(expiring()), "expiring-B/entry")
		b.ReportMetric(o(&otter.Options[string, []byte]{}), "plain-B/entry")
	}
	b.ReportMetric(0, "ns/op")
}

// overhead returns the bytes of an entry beyond key, prefix and value. What
// has entries is prepared first; filling it is what is measured.
func overhead(b *testing.B, prepare func(*testing.B) (fill func() any), prefix int) float64 {
	fill := prepare(b)
	payload := 0
	for i := range heapEntries {
		payload += heapTenants * (prefix + len(heapKey(i)) + len(heapValue(i)))
	}
	return (growth(fill).heap - float64(payload)) / (heapTenants * heapEntries)
}

func heapTenant(t int) string { return fmt.Sprintf("tenant-%05d", t) }

func heapKey(i int) string { return fmt.Sprintf("crm.operation.%04d", i) }

// heapValue has 24 to 123 bytes, so that no size class of the allocator is
// favoured.
func heapValue(i int) []byte {
	return fmt.Appendf(nil, `{"value":"%0*d"}`, 12+i, i)
}

// documents is an origin that has so many items in each list.
type documents int

func (documents) One(context.Context, string, *cache.Kind, string, string) (cache.Document, error) {
	return cache.Document{Value: []byte("{}")}, nil
}

func (n documents) List(_ context.Context, _ string, _ *cache.Kind, _ string, page func([]cache.Document) error) (string, error) {
	docs := make([]cache.Document, n)
	for i := range docs {
		docs[i] = cache.Document{Key: heapKey(i), Value: heapValue(i), Version: heapVersion, Versioned: true}
	}
	return "", page(docs)
}

func loadAll(b *testing.B) func() any {
	kind := &cache.Kind{Name: "credit-config", TTL: time.Hour, NegativeTTL: time.Minute, MaxStale: time.Minute, Listed: true}
	c := cache.New(cache.Config{Kinds: []*cache.Kind{kind}, Source: documents(heapEntries)})
	link, tenants := c.NewLink(), make([]*cache.Tenant, heapTenants)
	link.Prove(time.Now())
	for t := range tenants {
		tenants[t] = c.NewTenant(heapTenant(t), link)
		tenants[t].Confirmed()
	}
	return func() any {
		for _, t := range tenants {
			if err := t.Load(b.Context(), kind); err != nil {
				b.Fatal(err)
			}
		}
		if n := c.Entries(cache.Critical); n != heapTenants*heapEntries {
			b.Fatalf("%d entries", n)
		}
		return c
	}
}

func fillOtter(o *otter.Options[string, []byte]) func(*testing.B) func() any {
	return func(b *testing.B) func() any {
		c := otter.Must(o)
		b.Cleanup(func() { c.StopAllGoroutines() })
		return func() any {
			for t := range heapTenants {
				for i := range heapEntries {
					c.Set(strings.Clone(heapTenant(t)+"/"+heapKey(i)), bytes.Clone(heapValue(i)))
				}
			}
			c.CleanUp()
			if n := c.EstimatedSize(); n != heapTenants*heapEntries {
				b.Fatalf("%d entries", n)
			}
			return c
		}
	}
}
