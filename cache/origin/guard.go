package origin

import (
	"container/list"
	"errors"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/tenantry/tenantry/cache"
)

const (
	// familyFailures of the last familyReads reads open a family's breaker.
	familyFailures, familyReads = 5, 10
	// familyDelay is the time between two probes of an open family, ± 20 %. It
	// bounds how long an origin that is well again goes unnoticed.
	familyDelay = time.Second
	// familyMemory is how long a failure is remembered.
	familyMemory = 10 * time.Second
	// maxFamilies bounds the families with recent failures, of about 1 KB each;
	// beyond it the one that failed least recently is forgotten.
	maxFamilies = 4096
)

// family is what may fail on its own: the one paths, or the list path, of a
// kind of a tenant.
type family struct {
	tenant string
	kind   int
	list   bool
}

// guard keeps reads from an origin that would not answer them: a breaker for
// the whole host, and one for each family that has failed of late. Open, a
// breaker lets one read through in each delay, as a probe, whether the one
// before has ended or not, so that neither a probe that hangs nor one that is
// given up puts off the recovery.
type guard struct {
	mu       sync.Mutex
	host     host
	families map[family]*list.Element // of *failing
	recent   list.List                // of *failing, the last to fail first
}

// failing is a family with recent failures.
type failing struct {
	family
	breaker circuitbreaker.CircuitBreaker[any]
	failed  time.Time
	// silent is until when the origin asked not to be asked (Retry-After).
	silent time.Time
}

func newGuard() *guard {
	return &guard{host: newHost(), families: make(map[family]*list.Element)}
}

func newBreaker(failures, reads uint, delay time.Duration) circuitbreaker.CircuitBreaker[any] {
	return circuitbreaker.NewBuilder[any]().WithFailureThresholdRatio(failures, reads).
		WithDelay(delay).WithJitterFactor(0.2).Build()
}

// permit is the right to one read, to be given back by [guard.end].
type permit struct {
	family   family
	probe    bool // of the family
	stranger bool // see host.trusts
}

// wait returns for how long the family is not to be read, 0 if it may be.
func (g *guard) wait(f family) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.delay(f)
}

// begin returns the permit of a read, or for how long there is none.
func (g *guard) begin(f family) (permit, time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d := g.delay(f); d > 0 {
		return permit{}, d
	}
	p := permit{family: f, stranger: g.host.begin()}
	if e := g.families[f]; e != nil {
		p.probe = probe(e.Value.(*failing).breaker)
	}
	return p, 0
}

// probe says whether a read is a probe: of an open breaker whose delay is over.
// The next delay begins now.
func probe(b circuitbreaker.CircuitBreaker[any]) bool {
	if !b.IsOpen() {
		return false
	}
	b.HalfOpen()
	b.Open()
	return true
}

// delay needs mu.
func (g *guard) delay(f family) time.Duration {
	now := time.Now()
	g.forget(now)
	d := g.host.delay(f.tenant)
	if e := g.families[f]; e != nil {
		fam := e.Value.(*failing)
		d = max(d, fam.breaker.RemainingDelay(), fam.silent.Sub(now))
	}
	return d
}

// end takes the result of a read. It says whether the host's breaker was open
// before and is open now.
func (g *guard) end(p permit, sign progress, err error) (before, after bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before = g.host.breaker.IsOpen()
	g.host.end(p, sign, err)
	switch {
	case outcome(err) == reasonCanceled: // says nothing of the origin
	case failed(err):
		g.fail(p.family, err)
	default:
		g.succeed(p)
	}
	return before, g.host.breaker.IsOpen()
}

// failed says whether a result is the origin's failure to answer: not of the
// item, but of what serves it.
func failed(err error) bool {
	status, _ := errors.AsType[statusError](err)
	switch outcome(err) {
	case reasonTimeout, reasonConnect, reasonThrottled:
		return true
	case reasonStatus:
		return status >= 500
	}
	return false
}

// maxSilence keeps a mistaken Retry-After from silencing a family for longer.
const maxSilence = time.Minute

// fail needs mu.
func (g *guard) fail(f family, err error) {
	now := time.Now()
	e := g.families[f]
	if e == nil {
		e = g.recent.PushFront(&failing{family: f, breaker: newBreaker(familyFailures, familyReads, familyDelay)})
		g.families[f] = e
	}
	g.recent.MoveToFront(e)
	fam := e.Value.(*failing)
	fam.failed = now
	if asked, ok := errors.AsType[*cache.FaultError](err); ok && asked.RetryAfter > 0 {
		fam.silent = now.Add(min(asked.RetryAfter, maxSilence))
	}
	if fam.breaker.IsClosed() {
		fam.breaker.RecordFailure()
	}
	g.forget(now)
}

// succeed needs mu. Of an open breaker only a probe tells: other reads that end
// now began before it opened.
func (g *guard) succeed(p permit) {
	e := g.families[p.family]
	if e == nil {
		return
	}
	b := e.Value.(*failing).breaker
	if p.probe {
		b.Close()
	}
	if b.IsClosed() {
		b.RecordSuccess()
	}
}

// forget drops families whose failures are over, and what is beyond the bound.
// Each call ends at the first that stays. It needs mu.
func (g *guard) forget(now time.Time) {
	for e := g.recent.Back(); e != nil; e = g.recent.Back() {
		fam := e.Value.(*failing)
		if g.recent.Len() <= maxFamilies && (now.Sub(fam.failed) <= familyMemory || now.Before(fam.silent)) {
			return
		}
		g.recent.Remove(e)
		delete(g.families, fam.family)
	}
}
