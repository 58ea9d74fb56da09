package rpc

import (
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts calls by method and code. A method is a procedure, as in
// "tenantry.v1.CacheService/Get", or the pattern of a REST route; what is
// neither is not counted by name.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantry_requests_total",
			Help: "Requests, by method and Connect code.",
		}, []string{"method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tenantry_request_seconds",
			Help:    "Time from a decoded request to its answer, by method.",
			Buckets: []float64{.000_025, .000_1, .000_25, .001, .002_5, .01, .025, .1, .25, 1, 5},
		}, []string{"method"}),
	}
	if reg != nil {
		reg.MustRegister(m.requests, m.seconds)
	}
	return m
}

// methodMetrics are the handles of one method: a call that succeeds looks up
// nothing.
type methodMetrics struct {
	all     *metrics
	method  string
	ok      prometheus.Counter
	seconds prometheus.Observer
}

func (m *metrics) of(method string) *methodMetrics {
	return &methodMetrics{
		all: m, method: method,
		ok:      m.requests.WithLabelValues(method, "ok"),
		seconds: m.seconds.WithLabelValues(method),
	}
}

func (m *methodMetrics) succeeded(start time.Time) {
	m.ok.Inc()
	m.seconds.Observe(time.Since(start).Seconds())
}

// ended counts a call by its code, of which 0 is a success.
func (m *methodMetrics) ended(start time.Time, code connect.Code) {
	if code == 0 {
		m.succeeded(start)
		return
	}
	m.failed(start, code)
}

func (m *methodMetrics) failed(start time.Time, code connect.Code) {
	m.all.requests.WithLabelValues(m.method, code.String()).Inc()
	m.seconds.Observe(time.Since(start).Seconds())
}
