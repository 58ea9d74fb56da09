package origin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/tenantry/tenantry/cache"
)

// The reasons of a [cache.FaultError].
const (
	reasonTimeout   = "timeout"   // not answered within the read's own time-out
	reasonConnect   = "connect"   // no connection, or it broke before the answer's end
	reasonStatus    = "status"    // a status that is no answer
	reasonThrottled = "throttled" // 429, or too many reads wait in this node
	reasonOpen      = "open"      // not asked: it failed too often just now, or asked for a pause
	reasonOversized = "oversized" // a body, a list or a chain of pages beyond its bound
	reasonMalformed = "malformed" // not the JSON or the request that it should be
	reasonRedirect  = "redirect"  // to where this reader does not go
	reasonMismatch  = "mismatch"  // a document of another key
	reasonCanceled  = "canceled"  // the caller's context ended first
)

// errTimeout is the cause of a context that this package's own time-outs end,
// which tells them from the caller's.
var errTimeout = errors.New("the origin did not answer in time")

func fault(reason, format string, args ...any) *cache.FaultError {
	return &cache.FaultError{Reason: reason, Err: fmt.Errorf(format, args...)}
}

// judge gives an error of the network its reason; others have theirs.
func judge(ctx context.Context, err error) error {
	var known *cache.FaultError
	var network net.Error
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, cache.ErrAbsent), errors.Is(err, cache.ErrNotModified):
		return err
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), errTimeout):
		return fault(reasonTimeout, "%w", errTimeout)
	case ctx.Err() != nil:
		return fault(reasonCanceled, "%w", context.Cause(ctx))
	case errors.As(err, &network) && network.Timeout():
		return fault(reasonTimeout, "%w", err)
	}
	return fault(reasonConnect, "%w", err)
}

// outcome is the metric's label for an error of a read.
func outcome(err error) string {
	var f *cache.FaultError
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, cache.ErrAbsent):
		return "absent"
	case errors.Is(err, cache.ErrNotModified):
		return "not_modified"
	case errors.As(err, &f):
		return f.Reason
	}
	return "other"
}

// statusError is a status that is no answer.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("status %d", int(s)) }

// refused is the fault of a status that is no answer.
func refused(resp *http.Response) *cache.FaultError {
	f := fault(reasonStatus, "%w", statusError(resp.StatusCode))
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		f.Reason = reasonThrottled
		f.RetryAfter = retryAfter(resp.Header)
	case http.StatusServiceUnavailable:
		f.RetryAfter = retryAfter(resp.Header)
	}
	return f
}

// maxRetryAfter bounds the delay that callers are told.
const maxRetryAfter = time.Hour

// retryAfter reads a delay in seconds, or a date, which is compared with the
// answer's own Date: the clocks of two machines are never compared. What does
// not parse is no delay.
func retryAfter(h http.Header) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if strings.Trim(value, "0123456789") == "" {
		return seconds(value)
	}
	until, err := http.ParseTime(value)
	now, errNow := http.ParseTime(h.Get("Date"))
	if err != nil || errNow != nil {
		return 0
	}
	return min(max(until.Sub(now), 0), maxRetryAfter)
}

// seconds reads digits, of which there may be any number.
func seconds(digits string) time.Duration {
	var d time.Duration
	for _, c := range digits {
		if d = d*10 + time.Duration(c-'0')*time.Second; d >= maxRetryAfter {
			return maxRetryAfter
		}
	}
	return d
}
