package cache

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are the cache's figures.
type metrics struct {
	evictions   prometheus.Counter
	regressions prometheus.Counter
	provisional prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, c *Cache) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		evictions:   f.NewCounter(prometheus.CounterOpts{Name: "tenantry_evictions_total", Help: "Entries removed for a memory budget."}),
		regressions: f.NewCounter(prometheus.CounterOpts{Name: "tenantry_version_regressions_total", Help: "Times the origin insisted on a lower version than was known."}),
		provisional: f.NewHistogram(prometheus.HistogramOpts{
			Name: "tenantry_provisional_seconds", Help: "Time from an event without a version to the origin's word on its entry.",
			Buckets: []float64{.1, .2, .25, .3, .4, .6, 1, 2, 4, 8, 16, 32},
		}),
	}
	if reg != nil {
		reg.MustRegister(newReadCollector(c))
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

// settled records how long an entry was provisional, which the origin's word
// replaces.
func (t *Tenant) settled(old *entry) {
	if old != nil && old.is(provisional) {
		t.cache.metrics.provisional.Observe(t.cache.clock.now().sub(old.verified).Seconds())
	}
}

// readCollector collects the reads of all tenants when it is asked, so that a
// read counts for its tenant alone.
type readCollector struct {
	cache *Cache
	desc  *prometheus.Desc

	mu   sync.Mutex
	told []counts // the last that was collected
}

func newReadCollector(c *Cache) *readCollector {
	return &readCollector{
		cache: c, told: make([]counts, len(c.kinds)),
		desc: prometheus.NewDesc("tenantry_reads_total",
			"Reads by kind, class and result: hit and negative from memory; miss and revalidated from the origin; stale; failed; passthrough.",
			[]string{"kind", "class", "result"}, nil),
	}
}

// Describe implements [prometheus.Collector].
func (r *readCollector) Describe(ch chan<- *prometheus.Desc) { ch <- r.desc }

// Collect implements [prometheus.Collector].
func (r *readCollector) Collect(ch chan<- prometheus.Metric) {
	for i, n := range r.count() {
		k := r.cache.kinds[i]
		for result, value := range n {
			ch <- prometheus.MustNewConstMetric(r.desc, prometheus.CounterValue, float64(value), k.Name, k.Class.String(), resultName(result))
		}
	}
}

// count returns the reads by kind, never fewer than the last time: those of a
// tenant that is being closed may be on their way from its tally to the rest.
func (r *readCollector) count() []counts {
	all := r.cache.reads()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range all {
		for result := range all[i] {
			all[i][result] = max(all[i][result], r.told[i][result])
		}
	}
	copy(r.told, all)
	return all
}
