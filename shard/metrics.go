package shard

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/subscriber"
)

type metrics struct {
	events      *prometheus.CounterVec
	doubts      *prometheus.CounterVec
	eventLag    prometheus.Histogram
	refused     prometheus.Counter
	failedLoads prometheus.Counter
	handoffs    *prometheus.CounterVec
	entries     *prometheus.CounterVec
	bytes       *prometheus.CounterVec
}

// The outcomes of handoffs.
const (
	outcomeImported   = "imported"    // taken from another node, behind its fence
	outcomeDoubted    = "doubted"     // the other node doubts what it gave
	outcomeBroken     = "broken"      // it broke off
	outcomeRefused    = "refused"     // it is not live for the tenant
	outcomeHandedOver = "handed_over" // let go of: every owner is live for it
	outcomeGivenUp    = "given_up"    // let go of: an owner did not take it in time
)

func newMetrics(reg prometheus.Registerer, n *Node) *metrics {
	f := promauto.With(reg)
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "tenantry_active_tenants", Help: "Tenants active on this node."},
		func() float64 { return float64(n.Active()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tenantry_doubtful_tenants", Help: "Active tenants of which something was verified under an older generation: their lists are still to be read again.",
	}, func() float64 { return float64(n.doubtful()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tenantry_ring_epoch", Help: "Epoch of the ring, as far as a float tells it: two nodes with the same have the same ring. 0: there is none.",
	}, func() float64 { return float64(n.Epoch()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tenantry_loading_tenants", Help: "Active tenants that are not live yet: being subscribed, loaded, or taken over from other nodes.",
	}, func() float64 { return float64(n.loading()) })
	return &metrics{
		handoffs: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantry_handoffs_total", Help: "Tenants handed from node to node, by outcome.",
		}, []string{"outcome"}),
		entries: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantry_handoff_entries_total", Help: "Entries handed from node to node, by direction: in or out.",
		}, []string{"direction"}),
		bytes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantry_handoff_bytes_total", Help: "Bytes of keys and values handed from node to node, by direction: in or out.",
		}, []string{"direction"}),
		events: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantry_events_total", Help: "Changes that events announced, by kind, effect, and the reason of a refusal.",
		}, []string{"kind", "effect", "reason"}),
		doubts: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantry_doubts_total", Help: "Signs that an event may have been lost, by cause.",
		}, []string{"cause"}),
		eventLag: f.NewHistogram(prometheus.HistogramOpts{
			Name: "tenantry_event_lag_seconds", Help: "Time from an event's occurredAt to its being applied; the clocks are two machines'.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}),
		refused: f.NewCounter(prometheus.CounterOpts{
			Name: "tenantry_activations_refused_total", Help: "Activations that limits.active_tenants or limits.activations_per_second refused.",
		}),
		failedLoads: f.NewCounter(prometheus.CounterOpts{
			Name: "tenantry_failed_loads_total", Help: "Loads of a tenant's lists that failed and are repeated.",
		}),
	}
}

func (m *metrics) handoff(outcome string) { m.handoffs.WithLabelValues(outcome).Inc() }

// handed counts entries that were handed over, in or out.
func (m *metrics) handed(direction string, entries []cache.Handed) {
	n := 0
	for i := range entries {
		n += len(entries[i].Key) + len(entries[i].Value)
	}
	m.entries.WithLabelValues(direction).Add(float64(len(entries)))
	m.bytes.WithLabelValues(direction).Add(float64(n))
}

func (m *metrics) applied(kind string, o cache.Outcome) {
	m.events.WithLabelValues(kind, string(o), "").Inc()
}

// effectRefused is the effect of an event that was not applied.
const effectRefused = "refused"

func (m *metrics) refusedEvent(reason string) {
	m.events.WithLabelValues("", effectRefused, reason).Inc()
}

func (m *metrics) doubt(c subscriber.Cause) { m.doubts.WithLabelValues(string(c)).Inc() }

// lag records an event's age where the publisher gave its time.
func (m *metrics) lag(occurred time.Time) {
	if !occurred.IsZero() {
		m.eventLag.Observe(max(0, time.Since(occurred).Seconds()))
	}
}
