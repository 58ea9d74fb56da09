package origin

import (
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

const (
	// hostFailures, with no answer between them, open the host's breaker.
	hostFailures = 5
	// hostDelay is the time between two probes of an open host, ± 20 %.
	hostDelay = 500 * time.Millisecond
	// maxStrangers is how many reads of tenants that have not hung may be in
	// flight besides the probes while the breaker is open.
	maxStrangers = 4
	// maxSuspects bounds the tenants that are known to have hung: that many, and
	// no answer to anybody, and it is the origin.
	maxSuspects = 64
)

// progress is how far a read came.
type progress struct {
	connected bool // it had a connection
	answered  bool // the head of an answer came
}

// host tells an origin that is gone from one that does not answer some. A read
// that found no connection counts at once. One that was not answered counts
// once for each tenant: one tenant's hanging paths, however often they are
// read, leave the breaker closed. Any answer closes it. The guard's mu guards
// it.
type host struct {
	breaker circuitbreaker.CircuitBreaker[any]
	// suspects are the tenants that were not answered since the last answer.
	suspects map[string]struct{}
	// unreachable says that the last failure was to find no connection.
	unreachable bool
	strangers   int
}

func newHost() host {
	return host{breaker: newBreaker(hostFailures, hostFailures, hostDelay), suspects: make(map[string]struct{})}
}

// delay is for how long the tenant's reads are refused.
func (h *host) delay(tenant string) time.Duration {
	if h.trusts(tenant) {
		return 0
	}
	return h.breaker.RemainingDelay()
}

// trusts says whether the tenant may read while the breaker is open: it may be
// that only the others' paths hang.
func (h *host) trusts(tenant string) bool {
	_, suspect := h.suspects[tenant]
	return !suspect && !h.unreachable && h.strangers < maxStrangers && len(h.suspects) < maxSuspects
}

// begin says whether the read that begins is a stranger's.
func (h *host) begin() (stranger bool) {
	if h.breaker.RemainingDelay() == 0 {
		probe(h.breaker)
		return false
	}
	h.strangers++
	return true
}

// end takes the result of a read.
func (h *host) end(p permit, sign progress, err error) {
	if p.stranger {
		h.strangers--
	}
	reason := outcome(err)
	switch {
	case reason == reasonCanceled:
	case !sign.connected:
		h.unreachable = true
		h.fail()
	case !sign.answered:
		h.unreachable = false
		h.suspect(p.family.tenant)
	case reason != reasonTimeout && reason != reasonConnect: // else it answered once, and is gone by now
		h.unreachable = false
		clear(h.suspects)
		h.breaker.Close()
		h.breaker.RecordSuccess()
	}
}

func (h *host) suspect(tenant string) {
	if _, known := h.suspects[tenant]; known || len(h.suspects) >= maxSuspects {
		return
	}
	h.suspects[tenant] = struct{}{}
	h.fail()
}

func (h *host) fail() {
	if h.breaker.IsClosed() {
		h.breaker.RecordFailure()
	}
}
