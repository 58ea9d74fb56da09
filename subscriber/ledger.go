package subscriber

import (
	"sync"
	"time"
)

// probe is a PING or a beat that was sent and has not come back.
type probe struct {
	// sent was taken before it was written.
	sent time.Time
	// replies is how many subscription replies must come before it.
	replies int64
	// expected says that the server has it: it must come back.
	expected bool
	// fence is closed when it is back; nil: nobody waits for it.
	fence chan struct{}
}

// ledger keeps the probes outstanding on one connection, by token. Tokens are
// random: what comes back is looked up, never believed.
type ledger struct {
	ttl time.Duration

	mu     sync.Mutex
	probes map[string]probe
}

func newLedger(ttl time.Duration) *ledger {
	return &ledger{ttl: ttl, probes: make(map[string]probe)}
}

// add enters a probe, and forgets those that nobody waits for any more, which
// bounds the ledger to the probes sent in a TTL.
func (l *ledger) add(token string, p probe) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for old, o := range l.probes {
		if !o.expected && p.sent.Sub(o.sent) > l.ttl {
			delete(l.probes, old)
		}
	}
	l.probes[token] = p
}

// expect notes that the server has the probe, unless it is back already.
func (l *ledger) expect(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, ok := l.probes[token]; ok {
		p.expected = true
		l.probes[token] = p
	}
}

// take removes a probe that has come back.
func (l *ledger) take(token string) (probe, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.probes[token]
	delete(l.probes, token)
	return p, ok
}

// overdue says whether an expected probe has not come back within the TTL.
func (l *ledger) overdue(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.probes {
		if p.expected && now.Sub(p.sent) > l.ttl {
			return true
		}
	}
	return false
}
