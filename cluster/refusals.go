package cluster

import (
	"log/slog"
	"maps"
	"time"
)

// Why a peer is refused: the labels of a metric.
const (
	reasonMetadata  = "metadata"  // cannot be read, or breaks a bound
	reasonAlgorithm = "algorithm" // its ring is another
	reasonName      = "name"      // its name is another live node's
	reasonLabel     = "label"     // it belongs to another cluster
	reasonKey       = "key"       // it encrypts with a key unknown here, or not at all
)

func reasons() []string {
	return []string{reasonMetadata, reasonAlgorithm, reasonName, reasonLabel, reasonKey}
}

// refusal is one refused peer.
type refusal struct {
	// peer is its name, or the host where no name could be read.
	peer, address, reason, detail string
}

// Bounds of the log: one line a peer and reason in a while, and so many peers.
const (
	refusalEvery = 10 * time.Minute
	maxRefusals  = 256
	maxPending   = 64
)

// refusals takes refusals from under memberlist's lock and logs them from a
// goroutine of its own. What does not fit is counted by the metric alone.
type refusals struct {
	pending chan refusal
	metrics *metrics
	log     *slog.Logger

	// The rest is the logging goroutine's.
	logged     map[[2]string]time.Time
	forgotten  time.Time
	suppressed int
}

func newRefusals(m *metrics, log *slog.Logger) *refusals {
	return &refusals{
		pending: make(chan refusal, maxPending), metrics: m, log: log, logged: make(map[[2]string]time.Time),
	}
}

func (r *refusals) add(what refusal) {
	r.metrics.refused.WithLabelValues(what.reason).Inc()
	select {
	case r.pending <- what:
	default:
	}
}

func (r *refusals) report(what refusal, now time.Time) {
	if !r.allow([2]string{what.peer, what.reason}, now) {
		r.suppressed++
		return
	}
	r.log.Warn("peer refused", "peer", excerpt(what.peer), "address", what.address, "reason", what.reason,
		"detail", excerpt(what.detail), "suppressed", r.suppressed)
	r.suppressed = 0
}

func (r *refusals) allow(key [2]string, now time.Time) bool {
	if last, ok := r.logged[key]; ok && now.Sub(last) < refusalEvery {
		return false
	}
	if len(r.logged) >= maxRefusals && !r.forget(now) {
		return false
	}
	r.logged[key] = now
	return true
}

// forget makes room, looking for it once a minute at most.
func (r *refusals) forget(now time.Time) (room bool) {
	if now.Sub(r.forgotten) < time.Minute {
		return false
	}
	r.forgotten = now
	maps.DeleteFunc(r.logged, func(_ [2]string, last time.Time) bool { return now.Sub(last) >= refusalEvery })
	return len(r.logged) < maxRefusals
}

// excerpt bounds what hostile input puts into the log.
func excerpt(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
