package rpc

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
)

// edge is what every call passes through, whatever its protocol: it finds out
// who asks, counts, and makes errors fit to go out.
type edge struct {
	authenticate Authenticate
	secrets      secrets
	metrics      *metrics
	log          *slog.Logger
}

// report looks an error up in the table, and logs what callers do not see.
func (e *edge) report(err error) fault {
	f := faultOf(err)
	switch {
	case f.internal:
		e.log.Error("call failed", "error", err)
	case f.code == connect.CodeUnavailable || f.code == connect.CodeUnauthenticated:
		e.log.Debug("call refused", "code", f.code, "error", err)
	}
	return f
}

// options are those of each procedure: authentication before anything is
// decoded, then metrics, errors and panics.
func (e *edge) options() connect.HandlerOption {
	return connect.WithConditionalHandlerOptions(func(spec connect.Spec) []connect.HandlerOption {
		name := strings.TrimPrefix(spec.Procedure, "/")
		m := e.metrics.of(name)
		return []connect.HandlerOption{
			connect.WithRequestGate(e.gate(m, strings.HasPrefix(name, tenantryv1connect.PeerServiceName))),
			connect.WithInterceptors(&interceptor{edge: e, metrics: m}),
		}
	})
}

// gate authenticates, and lets only nodes at what is for nodes. It counts what it
// refuses, as interceptors do not run then.
func (e *edge) gate(m *methodMetrics, forNodes bool) connect.RequestGateFunc {
	return func(ctx context.Context, _ connect.Spec, _ connect.Peer, header http.Header) (context.Context, error) {
		known, err := e.identify(ctx, header)
		if err == nil && forNodes && !isForwarded(known) {
			err = &authenticationError{}
		}
		if err != nil {
			f := e.report(err)
			m.failed(time.Now(), f.code)
			return nil, f.connectError()
		}
		return known, nil
	}
}

// interceptor is the edge of one procedure.
type interceptor struct {
	*edge
	metrics *methodMetrics
}

func (i *interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (res connect.AnyResponse, err error) {
		start := time.Now()
		defer func() { err = i.finish(start, recover(), err) }()
		return next(ctx, req)
	}
}

func (i *interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (i *interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) (err error) {
		start := time.Now()
		defer func() { err = i.finish(start, recover(), err) }()
		return next(ctx, conn)
	}
}

// finish counts a call and returns its error as it goes out.
func (i *interceptor) finish(start time.Time, panicked any, err error) error {
	if panicked != nil {
		err = &panicError{panicked, debug.Stack()}
	}
	if err == nil {
		i.metrics.succeeded(start)
		return nil
	}
	f := i.report(err)
	i.metrics.failed(start, f.code)
	return f.connectError()
}
