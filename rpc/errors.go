package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/shard"
)

// absentError says that the origin has no such item.
type absentError struct {
	entry     entry
	freshness *tenantryv1.Freshness
}

func (e *absentError) Error() string {
	return fmt.Sprintf("the origin has no %s %q", e.entry.kind, e.entry.key)
}

// notConfiguredError says that an operation has no credit configuration.
type notConfiguredError struct {
	operation string
	absent    *absentError
}

func (e *notConfiguredError) Error() string { return "Operation not configured" }
func (e *notConfiguredError) Unwrap() error { return e.absent }

// unusableError says that a value lacks what an answer needs of it. That is a
// mistake at the origin, and no ground to answer no.
type unusableError struct {
	entry entry
	needs string
}

func (e *unusableError) Error() string {
	return fmt.Sprintf("the origin's %s %q has no usable %s", e.entry.kind, e.entry.key, e.needs)
}

// authenticationError says that it is not known who asks.
type authenticationError struct{ cause error }

func (e *authenticationError) Error() string { return "who asks is not known" }
func (e *authenticationError) Unwrap() error { return e.cause }

// forbiddenError says that a caller may not do this with a tenant, or with any.
type forbiddenError struct{ caller, tenant string }

func (e *forbiddenError) Error() string {
	if e.tenant == "" {
		return e.caller + " may not do this"
	}
	return "tenant: " + e.caller + " may not do this with " + e.tenant
}

// memberError says that no member has the name that was asked for.
type memberError struct{}

func (*memberError) Error() string { return "node: no member has this name" }

// unimplementedError says that this node does not serve something.
type unimplementedError struct{ what string }

func (e *unimplementedError) Error() string { return e.what + " is not served by this node" }

// limitError names a limit that was met.
type limitError struct{ limit string }

func (e *limitError) Error() string { return "limit met: " + e.limit }

// panicError is a panic of a handler.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// fault is an error as callers see it.
type fault struct {
	code    connect.Code
	status  int // of REST
	message string
	// retry is when to try again; 0: not said.
	retry time.Duration
	// freshness of an absence, or nil.
	freshness *tenantryv1.Freshness
	// internal: the message hides the cause, which belongs in the log.
	internal bool
}

const (
	// statusClientClosed is what proxies log when the caller has gone.
	statusClientClosed = 499
	// defaultRetry is the delay asked for where nothing better is known.
	defaultRetry = time.Second
)

// faultOf is the error table. Order matters: what wraps stands before what it
// may wrap, so that an origin's time-out is not taken for the caller's.
func faultOf(err error) fault {
	if f, ok := requestFault(err); ok {
		return f
	}
	if f, ok := nodeFault(err); ok {
		return f
	}
	if e, ok := errors.AsType[*connect.Error](err); ok {
		return fault{code: e.Code(), status: http.StatusInternalServerError, message: e.Message()} // none of REST
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fault{code: connect.CodeDeadlineExceeded, status: http.StatusGatewayTimeout, message: "the time for the call is over"}
	case errors.Is(err, context.Canceled):
		return fault{code: connect.CodeCanceled, status: statusClientClosed, message: "the caller has gone"}
	}
	return fault{code: connect.CodeInternal, status: http.StatusInternalServerError, message: "internal error", internal: true}
}

// requestFault knows the errors of what was asked, and by whom.
func requestFault(err error) (fault, bool) {
	if e, ok := errors.AsType[*unreachableError](err); ok {
		return fault{code: connect.CodeUnavailable, status: http.StatusServiceUnavailable, message: e.Error(), retry: defaultRetry}, true
	}
	if e, ok := errors.AsType[*fieldError](err); ok {
		return fault{code: connect.CodeInvalidArgument, status: http.StatusBadRequest, message: e.Error()}, true
	}
	if errors.Is(err, shard.ErrNothingKept) {
		return fault{code: connect.CodeInvalidArgument, status: http.StatusBadRequest, message: "kind: " + shard.ErrNothingKept.Error()}, true
	}
	if e, ok := errors.AsType[*memberError](err); ok {
		return fault{code: connect.CodeNotFound, status: http.StatusNotFound, message: e.Error()}, true
	}
	if e, ok := errors.AsType[*authenticationError](err); ok {
		return fault{code: connect.CodeUnauthenticated, status: http.StatusUnauthorized, message: e.Error()}, true
	}
	if e, ok := errors.AsType[*forbiddenError](err); ok {
		return fault{code: connect.CodePermissionDenied, status: http.StatusForbidden, message: e.Error()}, true
	}
	if e, ok := errors.AsType[*limitError](err); ok {
		return fault{code: connect.CodeResourceExhausted, status: http.StatusTooManyRequests, message: e.Error()}, true
	}
	if e, ok := errors.AsType[*unimplementedError](err); ok {
		return fault{code: connect.CodeUnimplemented, status: http.StatusNotImplemented, message: e.Error()}, true
	}
	return fault{}, false
}

// nodeFault knows the errors of reads.
func nodeFault(err error) (fault, bool) {
	if e, ok := errors.AsType[*remoteError](err); ok {
		return e.fault(), true
	}
	if e, ok := errors.AsType[*absentError](err); ok {
		f := fault{code: connect.CodeNotFound, status: http.StatusNotFound, message: err.Error(), freshness: e.freshness}
		return f, true
	}
	if e, ok := errors.AsType[*shard.UnknownKindError](err); ok {
		return fault{code: connect.CodeFailedPrecondition, status: http.StatusBadRequest, message: "kind: " + e.Error()}, true
	}
	if errors.Is(err, shard.ErrNotHeld) {
		return fault{code: connect.CodeFailedPrecondition, status: http.StatusBadRequest, message: shard.ErrNotHeld.Error()}, true
	}
	if errors.Is(err, shard.ErrTenantLimit) {
		return fault{code: connect.CodeResourceExhausted, status: http.StatusTooManyRequests,
			message: shard.ErrTenantLimit.Error(), retry: defaultRetry}, true
	}
	if message, retry, ok := unavailable(err); ok {
		return fault{code: connect.CodeUnavailable, status: http.StatusServiceUnavailable, message: message, retry: retry}, true
	}
	return fault{}, false
}

// unavailable says what there is to say of an answer that cannot be given now.
// The cause of an origin's fault is for the log: it may name internal addresses.
func unavailable(err error) (message string, retry time.Duration, ok bool) {
	if e, ok := errors.AsType[*unusableError](err); ok {
		return e.Error(), defaultRetry, true
	}
	if errors.Is(err, cache.ErrTooOld) {
		return cache.ErrTooOld.Error(), defaultRetry, true
	}
	message = "the origin cannot be read, and nothing kept may be served"
	f, isFault := errors.AsType[*cache.FaultError](err)
	if isFault {
		message += ": " + f.Reason
		retry = f.RetryAfter
	}
	u, isUnavailable := errors.AsType[*cache.UnavailableError](err)
	if isUnavailable && u.RetryAfter > 0 {
		retry = u.RetryAfter
	}
	if retry <= 0 {
		retry = defaultRetry
	}
	return message, retry, isFault || isUnavailable
}

// connectError is the fault as Connect sends it.
func (f fault) connectError() *connect.Error {
	e := connect.NewError(f.code, errors.New(f.message))
	if f.retry > 0 {
		e.Meta().Set("Retry-After", f.retryAfter())
		addDetail(e, &errdetails.RetryInfo{RetryDelay: durationpb.New(f.retry)})
	}
	if f.freshness != nil {
		addDetail(e, f.freshness)
	}
	return e
}

func addDetail(e *connect.Error, m proto.Message) {
	if d, err := connect.NewErrorDetail(m); err == nil {
		e.AddDetail(d)
	}
}

// retryAfter is the delay in whole seconds, rounded up.
func (f fault) retryAfter() string {
	return strconv.FormatInt(int64((f.retry+time.Second-1)/time.Second), 10)
}

// batchError is the fault as an item of a batch has it.
func (f fault) batchError() *tenantryv1.BatchGetError {
	e := &tenantryv1.BatchGetError{Code: f.code.String(), Message: f.message}
	if f.retry > 0 {
		e.RetryDelay = durationpb.New(f.retry)
	}
	return e
}
