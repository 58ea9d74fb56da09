package origin

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	retries  *prometheus.CounterVec
	seconds  prometheus.Histogram
}

// newMetrics registers with reg, which may be nil.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantry_origin_requests_total",
			Help: "Reads of the origin (each page of a list and each retry is one) by kind and outcome: ok, absent, " +
				"not_modified, the reason of the fault; not_sent for reads that found no slot in this node, " +
				"open for those that were not tried because such reads fail.",
		}, []string{"kind", "outcome"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantry_origin_retries_total",
			Help: "Reads of the origin that repeated one that had failed, by kind.",
		}, []string{"kind"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tenantry_origin_seconds",
			Help:    "Time of a read of the origin, redirects and body included, the wait for a slot not.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 10},
		}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.retries, m.seconds} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register origin metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) notSent(kind string) { m.requests.WithLabelValues(kind, "not_sent").Inc() }

func (m *metrics) open(kind string) { m.requests.WithLabelValues(kind, reasonOpen).Inc() }

func (m *metrics) retried(kind string) { m.retries.WithLabelValues(kind).Inc() }

func (m *metrics) read(kind string, began time.Time, err error) {
	m.requests.WithLabelValues(kind, outcome(err)).Inc()
	m.seconds.Observe(time.Since(began).Seconds())
}
