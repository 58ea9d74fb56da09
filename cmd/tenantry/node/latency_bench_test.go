package node_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/shard"
	"github.com/tenantry/tenantry/subscriber"
	"github.com/tenantry/tenantry/subscriber/redistest"
)

const (
	pacedTenants = 10_000
	pacedRate    = 1000 // events a second
	pacedEvents  = 1000 // of a round: so many are on their way at most
)

// BenchmarkEventVisible compares the time from PUBLISH to the moment when a
// read on the owner answers with the event's value with the time until a bare
// go-redis subscriber has the message, at 1,000 events a second over 10,000
// tenants. Both are subscribed all the time, to channels of their own.
func BenchmarkEventVisible(b *testing.B) {
	r := redistest.Start(b)
	ours, bare := new(arrivals), new(arrivals)
	n := startOwner(b, r, ours)
	startBareSubscriber(b, r, bare)
	for i := 0; b.Loop(); i++ {
		pair := []*arrivals{ours, bare}
		if i%2 == 1 {
			slices.Reverse(pair)
		}
		for _, side := range pair {
			side.paced(b, r, i)
		}
	}
	b.ReportMetric(0, "ns/op")
	for _, p := range []int{50, 99} {
		o, y := ours.percentile(p), bare.percentile(p)
		b.ReportMetric(o, fmt.Sprintf("ours-p%d-ms", p))
		b.ReportMetric(y, fmt.Sprintf("yardstick-p%d-ms", p))
		b.ReportMetric(o-y, fmt.Sprintf("more-p%d-ms", p))
	}
	a, err := n.Read(b.Context(), pacedTenant(0), "credit-config", heapKey(0), cache.ReadOptions{})
	if err != nil || a.State != cache.Fresh || a.Via != cache.FromEvent {
		b.Fatalf("%+v, %v: not the event's value", a, err)
	}
}

func pacedTenant(i int) string { return fmt.Sprintf("tenant-%05d", i%pacedTenants) }

// arrivals measures one side.
type arrivals struct {
	namespace string
	sent      [pacedEvents]time.Time
	took      [pacedEvents]time.Duration
	missing   atomic.Int64 // of this round's
	done      chan struct{}
	all       []time.Duration
}

// arrived notes that an event of this round is there.
func (a *arrivals) arrived(id string) {
	n, err := strconv.Atoi(id)
	if err != nil {
		panic(err)
	}
	a.took[n] = time.Since(a.sent[n])
	if a.missing.Add(-1) == 0 {
		close(a.done)
	}
}

// paced publishes the events of a round at their rate and waits for all.
func (a *arrivals) paced(b *testing.B, r *redistest.Server, round int) {
	a.missing.Store(pacedEvents)
	a.done = make(chan struct{})
	tick := time.NewTicker(time.Second / pacedRate)
	defer tick.Stop()
	for i := range pacedEvents {
		<-tick.C
		channel := fmt.Sprintf("%s:%s:credit-configs", a.namespace, pacedTenant(i*7))
		event := fmt.Sprintf(`{"eventId":"%d","version":%d,"data":{"operationCode":%q,"newValue":%d}}`, i, heapVersion+round+1, heapKey(0), i)
		a.sent[i] = time.Now()
		if n, err := r.Client().Publish(b.Context(), channel, event).Result(); err != nil || n != 1 {
			b.Fatalf("%d receivers, %v", n, err)
		}
	}
	select {
	case <-a.done:
	case <-time.After(10 * time.Second):
		b.Fatalf("%d events are missing", a.missing.Load())
	}
	a.all = append(a.all, a.took[:]...)
}

// percentile returns a percentile in milliseconds.
func (a *arrivals) percentile(p int) float64 {
	slices.Sort(a.all)
	return a.all[len(a.all)*p/100].Seconds() * 1e3
}

// owner is a node's shard, whose handling of an event is timed: when it has
// returned, every read sees the event's value.
type owner struct {
	*shard.Node
	arrivals *arrivals
}

func (o owner) Event(e *subscriber.Event) {
	o.Node.Event(e)
	o.arrivals.arrived(e.ID)
}

// startOwner runs a node's inside, active for all tenants.
func startOwner(b *testing.B, r *redistest.Server, to *arrivals) *shard.Node {
	cfg := config.Default()
	to.namespace = cfg.Redis.Namespace
	set, err := cfg.Kinds.Set()
	if err != nil {
		b.Fatal(err)
	}
	c := cache.New(cache.Config{Kinds: set.Cache(), Source: documents(1)})
	n := shard.New(shard.Config{Kinds: set.Cache(), Cache: c, ActivationsPerSecond: pacedTenants})
	bus, err := subscriber.New(subscriber.Config{Addresses: []string{r.Addr()}}, set, owner{n, to}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	n.Connect(bus)
	ctx, cancel := context.WithCancel(b.Context())
	running, ctx := errgroup.WithContext(ctx)
	for _, run := range []func(context.Context) error{bus.Run, c.Run, n.Run} {
		running.Go(func() error { return run(ctx) })
	}
	b.Cleanup(func() { cancel(); _ = running.Wait() })
	for i := range pacedTenants {
		if _, err := n.Read(b.Context(), pacedTenant(i), "history", "x", cache.ReadOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	untilB(b, "all tenants are live", func() bool {
		for i := range pacedTenants {
			if n.State(pacedTenant(i)) != shard.Live {
				return false
			}
		}
		return true
	})
	return n
}

// startBareSubscriber subscribes to one channel of each tenant.
func startBareSubscriber(b *testing.B, r *redistest.Server, to *arrivals) {
	to.namespace = "bare"
	client := redis.NewClient(&redis.Options{Addr: r.Addr()})
	pubsub := client.Subscribe(b.Context())
	b.Cleanup(func() { _ = pubsub.Close(); _ = client.Close() })
	for i := range pacedTenants {
		if err := pubsub.Subscribe(b.Context(), "bare:"+pacedTenant(i)+":credit-configs"); err != nil {
			b.Fatal(err)
		}
		if _, err := pubsub.Receive(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	go func() {
		for {
			m, err := pubsub.ReceiveMessage(context.Background())
			if err != nil {
				return
			}
			var id string
			if _, err := fmt.Sscanf(m.Payload, `{"eventId":%q`, &id); err == nil {
				to.arrived(id)
			}
		}
	}()
}

// untilB waits for a condition, at most 60 s.
func untilB(b *testing.B, what string, condition func() bool) {
	b.Helper()
	end := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-end:
			b.Fatalf("waited in vain: %s", what)
		}
	}
}
