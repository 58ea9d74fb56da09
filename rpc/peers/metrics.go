package peers

import (
	"context"
	"errors"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	forwards *prometheus.CounterVec
	faults   *prometheus.CounterVec
	shared   prometheus.Histogram
	peeks    *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		forwards: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantry_forwards_total",
			Help: "Reads that other nodes were asked for: answered, hedged (answered, a second owner was asked too), error (answered with one), no_owner, gone (the caller).",
		}, []string{"outcome"}),
		faults: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantry_forward_faults_total", Help: "Owners that did not answer a read, by why: another was asked.",
		}, []string{"reason"}),
		peeks: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantry_peeks_total", Help: "Reads of tenants that are not live here for which other nodes were asked what they hold: answered, not_held.",
		}, []string{"outcome"}),
		shared: f.NewHistogram(prometheus.HistogramOpts{
			Name: "tenantry_forward_shared_reads", Help: "Reads in one call to another node.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
	}
}

func (m *metrics) forwarded(a Answer, err error, hedged bool) {
	outcome := "answered"
	switch {
	case errors.Is(err, ErrNoOwner):
		outcome = "no_owner"
	case err != nil:
		outcome = "gone"
	case a.Result.GetError() != nil:
		outcome = "error"
	case hedged:
		outcome = "hedged"
	}
	m.forwards.WithLabelValues(outcome).Inc()
}

func (m *metrics) failed(err error) {
	reason := "failed"
	switch {
	case errors.Is(err, errDown), errors.Is(err, context.DeadlineExceeded), connect.CodeOf(err) == connect.CodeDeadlineExceeded:
		reason = "timeout"
	case errors.Is(err, errWaiting):
		reason = "overload"
	case errors.Is(err, errAnswer):
		reason = "answer"
	case connect.CodeOf(err) == connect.CodeUnavailable:
		reason = "connect"
	case connect.CodeOf(err) == connect.CodeUnauthenticated:
		reason = "refused"
	}
	m.faults.WithLabelValues(reason).Inc()
}
