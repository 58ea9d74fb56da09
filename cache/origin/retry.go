package origin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/tenantry/tenantry/cache"
)

const (
	// minBackoff is the mean delay before the first retry; each further one is
	// twice as long, up to maxBackoff. All are jittered by ± 50 %.
	minBackoff, maxBackoff = 25 * time.Millisecond, 200 * time.Millisecond
	// retryShare of the reads may be retries, besides the first retryBurst.
	retryShare, retryBurst = 0.1, 10
)

var errAgain = errors.New("to be tried again")

func newRetries(n int) failsafe.Executor[any] {
	return failsafe.With(retrypolicy.NewBuilder[any]().HandleErrors(errAgain).WithMaxRetries(max(n, 0)).
		WithBackoff(minBackoff, maxBackoff).WithJitterFactor(0.5).Build())
}

// try does a read, and again where that may help, the budget allows it, and
// there is time for it before deadline. It returns the last result, whatever
// became of ctx after it.
func (r *Reader) try(ctx context.Context, kind string, deadline time.Time, once func() error) (last error) {
	r.budget.earn()
	_ = r.retries.WithContext(ctx).RunWithExecution(func(e failsafe.Execution[any]) error {
		if e.IsRetry() {
			r.metrics.retried(kind)
		}
		last = once()
		if transient(last) && e.Retries() < r.cfg.Retries && time.Until(deadline) > 2*maxBackoff && r.budget.spend() {
			return errAgain
		}
		return nil
	})
	return last
}

// transient says whether a failure may be over at once: a connection that was
// refused or broke, or a gateway that has lost the origin for a moment. A
// time-out has used up the time; a delay that was asked for is kept.
func transient(err error) bool {
	f, ok := errors.AsType[*cache.FaultError](err)
	if !ok || f.RetryAfter > 0 {
		return false
	}
	switch status, _ := errors.AsType[statusError](err); status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return f.Reason == reasonConnect && broken(err)
}

// broken leaves out what the next connection would meet, too: a name that does
// not exist, a certificate that is not trusted, what is not HTTP.
func broken(err error) bool {
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		return !name.IsNotFound
	}
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// budget keeps retries from multiplying the reads of an origin that is in
// trouble: each read earns a share of a retry.
type budget struct {
	mu      sync.Mutex
	retries float64
}

func newBudget() *budget { return &budget{retries: retryBurst} }

func (b *budget) earn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.retries = min(b.retries+retryShare, retryBurst)
}

func (b *budget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.retries < 1 {
		return false
	}
	b.retries--
	return true
}
