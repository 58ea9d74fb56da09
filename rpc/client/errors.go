package client

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

// Errors of reads, to be told apart by errors.Is. Texts for people are around
// them.
var (
	// ErrNotFound: the origin said that there is no such item.
	ErrNotFound = errors.New("not found")
	// ErrInvalid: a name or an option is not valid. The text names it.
	ErrInvalid = errors.New("invalid argument")
	// ErrUnknownKind: the kind is not configured. The text lists the known ones.
	ErrUnknownKind = errors.New("unknown kind")
	// ErrDenied: the credentials are missing or wrong, or not for this tenant.
	ErrDenied = errors.New("denied")
	// ErrLimit: a limit of the cluster was met. The text names it.
	ErrLimit = errors.New("limit met")
)

// UnavailableError says that there is no answer now: the node cannot be reached,
// or has no value that it may serve. It never stands for a no.
type UnavailableError struct {
	// RetryAfter is how long to wait; at least what the node asked for.
	RetryAfter time.Duration
	Err        error
}

func (e *UnavailableError) Error() string { return "unavailable: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// defaultRetry is the delay where the node did not say one: it was not reached.
const defaultRetry = time.Second

// sentinel is the error for a code that nodes answer with, or nil.
func sentinel(code connect.Code) error {
	switch code {
	case connect.CodeNotFound:
		return ErrNotFound
	case connect.CodeInvalidArgument:
		return ErrInvalid
	case connect.CodeFailedPrecondition:
		return ErrUnknownKind
	case connect.CodeUnauthenticated, connect.CodePermissionDenied:
		return ErrDenied
	case connect.CodeResourceExhausted:
		return ErrLimit
	}
	return nil
}

// typed turns an error of a call into one of this package, around the
// connect.Error. Context errors are those of the context package, too.
func typed(err error) error {
	e, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return err
	}
	if e.Code() == connect.CodeUnavailable {
		return &UnavailableError{RetryAfter: retryDelay(e), Err: err}
	}
	if s := sentinel(e.Code()); s != nil {
		return fmt.Errorf("%w: %w", s, err)
	}
	return err
}

// retryDelay reads the delay from the details of an error, or its headers.
func retryDelay(e *connect.Error) time.Duration {
	for _, d := range e.Details() {
		if m, err := d.Value(); err == nil {
			if info, ok := m.(*errdetails.RetryInfo); ok {
				return info.GetRetryDelay().AsDuration()
			}
		}
	}
	if s, err := strconv.Atoi(e.Meta().Get("Retry-After")); err == nil && s > 0 && s < 1<<20 {
		return time.Duration(s) * time.Second
	}
	return defaultRetry
}

// typedItem turns the error of an item of a batch into one of this package.
func typedItem(e *tenantryv1.BatchGetError) error {
	var code connect.Code
	if code.UnmarshalText([]byte(e.GetCode())) != nil {
		code = connect.CodeUnknown
	}
	err := connect.NewWireError(code, errors.New(e.GetMessage()))
	if d := e.GetRetryDelay().AsDuration(); code == connect.CodeUnavailable && d > 0 {
		return &UnavailableError{RetryAfter: d, Err: err}
	}
	return typed(err)
}
