package subscriber_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantry/tenantry/subscriber"
	"github.com/tenantry/tenantry/subscriber/redistest"
)

// latencies measures from publishing to handling.
type latencies struct {
	*told
	confirmed chan struct{}
	sent      []time.Time
	took      chan time.Duration
}

func (l *latencies) Confirmed(int, string)       { l.confirmed <- struct{}{} }
func (l *latencies) Proof(int, time.Time)        {}
func (l *latencies) Event(e *subscriber.Event)   { l.arrived(e.ID) }
func (l *latencies) Doubt(int, subscriber.Cause) { panic("doubt while measuring") }

func (l *latencies) arrived(id string) {
	n, err := strconv.Atoi(id)
	if err != nil {
		panic(err)
	}
	l.took <- time.Since(l.sent[n])
}

const (
	latencyTenants = 10_000
	latencyEvents  = 3000
	latencyRate    = 1000 // a second
)

// BenchmarkPublishedToHandled compares a subscriber of 10,000 tenants with a
// bare go-redis one, at 1,000 events a second. The figures are its metrics;
// the time of an operation is the pace.
func BenchmarkPublishedToHandled(b *testing.B) {
	r := redistest.Start(b)
	b.Run("bare", func(b *testing.B) { measure(b, r, bare) })
	b.Run("subscriber", func(b *testing.B) { measure(b, r, ours) })
}

func measure(b *testing.B, r *redistest.Server, start func(*testing.B, *redistest.Server, *latencies)) {
	l := &latencies{
		told: newTold(), confirmed: make(chan struct{}, latencyTenants),
		sent: make([]time.Time, latencyEvents), took: make(chan time.Duration, latencyEvents),
	}
	start(b, r, l)
	var all []time.Duration
	for b.Loop() {
		all = append(all, paced(b, r, l)...)
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(all[len(all)-1].Microseconds()), "max-µs")
}

func paced(b *testing.B, r *redistest.Server, l *latencies) (all []time.Duration) {
	tick := time.NewTicker(time.Second / latencyRate)
	defer tick.Stop()
	for i := range latencyEvents {
		<-tick.C
		l.sent[i] = time.Now()
		publish(b, r, fmt.Sprintf("crm:tenant-%d:roles", i*7%latencyTenants), strconv.Itoa(i))
	}
	for range latencyEvents {
		all = append(all, <-l.took)
	}
	return all
}

func bare(b *testing.B, r *redistest.Server, l *latencies) {
	client := redis.NewClient(&redis.Options{Addr: r.Addr()})
	pubsub := client.Subscribe(b.Context())
	b.Cleanup(func() { _ = pubsub.Close(); _ = client.Close() })
	for i := range latencyTenants {
		if err := pubsub.Subscribe(b.Context(), fmt.Sprintf("crm:tenant-%d:roles", i)); err != nil {
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
				l.arrived(id)
			}
		}
	}()
}

func ours(b *testing.B, r *redistest.Server, l *latencies) {
	s := run(b, subscriber.Config{Addresses: []string{r.Addr()}}, l)
	for i := range latencyTenants {
		s.Follow(fmt.Sprintf("tenant-%d", i))
	}
	for range latencyTenants {
		<-l.confirmed
	}
}

// BenchmarkHeapPerTenant reports the heap that a followed tenant of two
// channels takes, with and without what go-redis keeps.
func BenchmarkHeapPerTenant(b *testing.B) {
	const n = 10_000
	r := redistest.Start(b)
	for b.Loop() {
		l := &latencies{told: newTold(), confirmed: make(chan struct{}, n)}
		s, err := subscriber.New(subscriber.Config{Addresses: []string{r.Addr()}}, kinds{}, l, slog.New(slog.DiscardHandler), nil)
		if err != nil {
			b.Fatal(err)
		}
		before := heap()
		for i := range n {
			s.Follow(fmt.Sprintf("tenant-%d", i))
		}
		followed := heap()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); _ = s.Run(ctx) }()
		for range n {
			<-l.confirmed
		}
		subscribed := heap()
		cancel()
		<-done
		b.ReportMetric(float64(followed-before)/n, "B/tenant-followed")
		b.ReportMetric(float64(subscribed-before)/n, "B/tenant-subscribed")
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
