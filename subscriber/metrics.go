package subscriber

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	// beats is 1 while beats are published.
	beats prometheus.Gauge
	// ignored counts beats that were not this subscriber's, or not any more.
	ignored prometheus.Counter
	// messages counts those received on tenants' channels.
	messages prometheus.Counter
	// dropped counts messages lost to a full queue.
	dropped prometheus.Counter
	// connects counts connections made, reconnects included.
	connects prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, channels func() float64) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		beats: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tenantry_bus_beats", Help: "1 while beats are acknowledged, 0 while they are not, and once the server forbids them.",
		}),
		messages: counter("tenantry_bus_messages_total", "Messages received on the tenants' channels."),
		ignored:  counter("tenantry_bus_beats_ignored_total", "Beats received that were unknown, repeated or forged."),
		dropped:  counter("tenantry_bus_dropped_total", "Messages dropped because the inbound queue was full."),
		connects: counter("tenantry_bus_connects_total", "Pub/sub connections made."),
	}
	m.beats.Set(1)
	if reg == nil {
		return m, nil
	}
	subscribed := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tenantry_subscribed_channels", Help: "Channels subscribed on the bus.",
	}, channels)
	return m, errors.Join(reg.Register(subscribed), reg.Register(m.beats), reg.Register(m.ignored), reg.Register(m.messages),
		reg.Register(m.dropped), reg.Register(m.connects))
}
