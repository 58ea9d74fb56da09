package rpc

import (
	"context"
	"errors"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/rpc/peers"
	"github.com/tenantry/tenantry/shard"
)

// peerReader is what the edge asks of other nodes; see [peers.Peers].
type peerReader interface {
	Get(ctx context.Context, owners []shard.Peer, read *tenantryv1.PeerRead) (peers.Answer, error)
	Peek(ctx context.Context, from []shard.Peer, tenant string, d shard.Definition, key string) (a cache.Answer, ok bool)
}

// remote is what another node said of its answer.
type remote struct {
	node      string
	epoch     uint64
	freshness *tenantryv1.Freshness
	part      part // of its token
}

// remoteError is an error that another node answered a read with.
type remoteError struct {
	code    connect.Code
	message string
	retry   time.Duration
}

func (e *remoteError) Error() string { return e.message }

func (e *remoteError) fault() fault {
	return fault{code: e.code, status: statusOfCode(e.code), message: e.message, retry: e.retry}
}

// elsewhere reads an entry from the owners of its tenant, and from the origin if
// none of them answers.
func (r *reader) elsewhere(ctx context.Context, e entry, l *limits) (found, error) {
	if isForwarded(ctx) {
		return r.here(ctx, e, l)
	}
	other, err := r.asked(ctx, e, l)
	noOwner := errors.Is(err, peers.ErrNoOwner)
	if err == nil || !noOwner && !isUnavailable(err) {
		return other, err
	}
	mine, mineErr := r.here(ctx, e, l)
	if mineErr != nil && !noOwner {
		return found{}, err // the owner's word
	}
	return mine, mineErr
}

// asked asks the other owners.
func (r *reader) asked(ctx context.Context, e entry, l *limits) (found, error) {
	a, err := r.peers.Get(ctx, r.node.Others(e.tenant), peerRead(e, l))
	if err != nil {
		return found{}, err
	}
	return foundBy(&a, l)
}

func peerRead(e entry, l *limits) *tenantryv1.PeerRead {
	read := &tenantryv1.PeerRead{Tenant: e.tenant, Kind: e.kind, Key: e.key, MinVersion: l.minVersion}
	if l.age.HasMaxAge {
		read.MaxAge = durationpb.New(l.age.MaxAge)
	}
	if p := l.after.of(e); p != nil {
		read.After = appendToken(nil, *p)
	}
	return read
}

// foundBy reads another node's answer. Its age grows by the time that it was on the
// way.
func foundBy(a *peers.Answer, l *limits) (f found, err error) {
	result := a.Result
	if e := result.GetError(); e != nil && e.GetCode() != connect.CodeNotFound.String() {
		return found{}, errorBy(e)
	}
	fresh := result.GetFreshness()
	fresh.Age = durationpb.New(ageOf(fresh.GetAge().AsDuration(), a.Took, l))
	f.Answer = cache.Answer{
		Value: result.GetValue(), Absent: result.GetError() != nil, Age: fresh.GetAge().AsDuration(),
		State: cache.State(fresh.GetState() - 1), Via: cache.Via(fresh.GetSource() - 1),
		Version: fresh.GetVersion(), Versioned: fresh.Version != nil,
	}
	f.remote = &remote{node: a.Node, epoch: a.Epoch, freshness: fresh}
	if t, err := decodeToken(fresh.GetToken()); err == nil && len(t.parts) == 1 {
		f.remote.part = t.parts[0]
	}
	return f, nil
}

// ageOf returns the most that an answer's age can be here. When the question came it
// was at most what was asked for; what the other node took is in its own age, too.
func ageOf(there, took time.Duration, l *limits) time.Duration {
	if l.age.HasMaxAge {
		return min(there, l.age.MaxAge) + took
	}
	return there + took
}

func errorBy(e *tenantryv1.BatchGetError) error {
	r := &remoteError{code: connect.CodeInternal, message: e.GetMessage(), retry: e.GetRetryDelay().AsDuration()}
	_ = r.code.UnmarshalText([]byte(e.GetCode())) // stays as it is
	return r
}

// statusOfCode returns the status of REST for a code.
func statusOfCode(c connect.Code) int {
	switch c {
	case connect.CodeInvalidArgument, connect.CodeFailedPrecondition:
		return http.StatusBadRequest
	case connect.CodeNotFound:
		return http.StatusNotFound
	case connect.CodeResourceExhausted:
		return http.StatusTooManyRequests
	case connect.CodeUnavailable:
		return http.StatusServiceUnavailable
	case connect.CodeDeadlineExceeded:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}
