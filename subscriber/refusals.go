package subscriber

import (
	"log/slog"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// refusals logs refused and missing events: ten at once, then one a second.
// Anyone who can publish can make them.
type refusals struct {
	logger     *slog.Logger
	limiter    *rate.Limiter
	suppressed *atomic.Int64
}

func newRefusals(logger *slog.Logger) refusals {
	return refusals{logger, rate.NewLimiter(1, 10), new(atomic.Int64)}
}

func (r refusals) log(tenant, topic string, err *RefusedError) {
	if r.allow() {
		r.logger.Warn("event refused", "tenant", tenant, "topic", excerpt(topic), "reason", err.Reason,
			"detail", excerpt(err.Detail), "suppressed", r.suppressed.Swap(0))
	}
}

func (r refusals) gap(tenant, topic string) {
	if r.allow() {
		r.logger.Warn("sequence broken: an event may be lost", "tenant", tenant, "topic", excerpt(topic), "suppressed", r.suppressed.Swap(0))
	}
}

func (r refusals) allow() bool {
	allowed := r.limiter.Allow()
	if !allowed {
		r.suppressed.Add(1)
	}
	return allowed
}

// excerpt bounds what hostile input puts into the log.
func excerpt(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
