package cluster

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	refused *prometheus.CounterVec
	joins   *prometheus.CounterVec
	dropped prometheus.Counter
}

// How an attempt to reach a seed or a lost member went: the labels of a metric.
const (
	joinReached     = "reached"
	joinRefused     = "refused"
	joinUnreachable = "unreachable"
	joinUnresolved  = "unresolved"
)

// standings are the values of the label state of tenantry_members.
func standings() []string { return []string{"joining", "ready", "draining", "suspect", "dead", "left"} }

// standing is a member's place among them: what was seen of it goes before
// what it says of itself.
func standing(m *Member) string {
	switch {
	case m.Reach != Alive:
		return m.Reach.String()
	case m.State == Leaving:
		return "draining"
	default:
		return m.State.String()
	}
}

func newMetrics(reg prometheus.Registerer, members func() []Member) (*metrics, error) {
	m := &metrics{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantry_cluster_refused_total", Help: "Times a peer was refused, by reason.",
		}, []string{"reason"}),
		joins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantry_cluster_joins_total", Help: "Attempts to reach a seed or a lost member, by outcome.",
		}, []string{"outcome"}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tenantry_cluster_streams_dropped_total", Help: "Gossip streams closed at once because too many were open.",
		}),
	}
	for _, reason := range reasons() {
		m.refused.WithLabelValues(reason)
	}
	for _, outcome := range []string{joinReached, joinRefused, joinUnreachable, joinUnresolved} {
		m.joins.WithLabelValues(outcome)
	}
	if reg == nil {
		return m, nil
	}
	errs := []error{reg.Register(m.refused), reg.Register(m.joins), reg.Register(m.dropped)}
	for _, s := range standings() {
		errs = append(errs, reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tenantry_members", Help: "Members by state, as this node sees them.",
			ConstLabels: prometheus.Labels{"state": s},
		}, func() float64 { return count(members(), s) })))
	}
	return m, errors.Join(errs...)
}

func count(members []Member, state string) (n float64) {
	for i := range members {
		if standing(&members[i]) == state {
			n++
		}
	}
	return n
}
