package cache

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are the cache's figures. Handles are resolved once, so that a read
// neither looks up nor allocates.
type metrics struct {
	reads       []readCounters // by kind
	evictions   prometheus.Counter
	regressions prometheus.Counter
}

// readCounters count the reads of a kind by result.
type readCounters struct {
	hit, miss, negative, stale, revalidated, passthrough prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, c *Cache) *metrics {
	f := promauto.With(reg)
	reads := f.NewCounterVec(prometheus.CounterOpts{
		Name: "tenantry_reads_total",
		Help: "Reads by kind, class and result: hit and negative from memory; miss and revalidated from the origin; stale; passthrough.",
	}, []string{"kind", "class", "result"})
	m := &metrics{
		evictions:   f.NewCounter(prometheus.CounterOpts{Name: "tenantry_evictions_total", Help: "Entries removed for a memory budget."}),
		regressions: f.NewCounter(prometheus.CounterOpts{Name: "tenantry_version_regressions_total", Help: "Times the origin insisted on a lower version than was known."}),
	}
	for _, k := range c.kinds {
		with := func(result string) prometheus.Counter {
			return reads.WithLabelValues(k.Name, k.Class.String(), result)
		}
		m.reads = append(m.reads, readCounters{
			hit: with("hit"), miss: with("miss"), negative: with("negative"), stale: with("stale"),
			revalidated: with("revalidated"), passthrough: with("passthrough"),
		})
	}
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "tenantry_bytes", Help: "Bytes charged to the tenants of this node."},
		func() float64 { return float64(c.Bytes()) })
	for class := range OnDemand {
		f.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tenantry_entries", Help: "Entries kept, absences and stubs included.",
			ConstLabels: prometheus.Labels{"class": class.String()},
		}, func() float64 { return float64(c.Entries(class)) })
	}
	return m
}

// recalled counts an answer from memory.
func (m *metrics) recalled(k *Kind, a *Answer) {
	if a.Absent {
		m.reads[k.ID].negative.Inc()
	} else {
		m.reads[k.ID].hit.Inc()
	}
}

// fetched counts an answer from the origin.
func (m *metrics) fetched(k *Kind, revalidated bool) {
	if revalidated {
		m.reads[k.ID].revalidated.Inc()
	} else {
		m.reads[k.ID].miss.Inc()
	}
}

func (m *metrics) stale(k *Kind)  { m.reads[k.ID].stale.Inc() }
func (m *metrics) passed(k *Kind) { m.reads[k.ID].passthrough.Inc() }
