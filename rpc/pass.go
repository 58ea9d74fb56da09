package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tenantry/tenantry/cache"
)

// Passer passes requests for on-demand kinds on to the origin.
type Passer interface {
	// Pass asks the origin for what lies under the path of a tenant and a kind.
	// Segments are decoded, at least one, each 1 to 512 bytes without control
	// characters; each must go out as one percent-encoded segment. The query is
	// printable ASCII without "#" and goes out as it is. Nothing else of the
	// caller's request does.
	//
	// An answer's body ends with ctx, is bounded by the Passer, and is closed by
	// the caller. Errors: *shard.UnknownKindError, *cache.FaultError, and those
	// of ctx. A status that is not for the caller (see passable) is a
	// *cache.FaultError, with the delay that the origin asked for.
	Pass(ctx context.Context, tenant, kind string, segments []string, rawQuery string) (*Passed, error)
}

// Passed is an answer of the origin.
type Passed struct {
	Status int
	// Header is the origin's; only what describes the body is passed on.
	Header http.Header
	// Body is not nil.
	Body io.ReadCloser
}

const (
	// passTimeout bounds one pass from its beginning to the body's end.
	passTimeout = time.Minute
	// maxPassBytes bounds a body, whatever the Passer allows.
	maxPassBytes = 64 << 20
	// passPeek is how much of a body is read before the answer begins: what goes
	// wrong within it is still answered by its code.
	passPeek = 16 << 10
	// maxQueryBytes bounds a query that is passed on.
	maxQueryBytes = 8 << 10
)

var errPassTimeout = errors.New("the origin's answer did not end in time")

// pass adds a route whose requests are passed on.
func (f *facade) pass(pattern, kind string) {
	f.add(pattern, func(ctx context.Context, r *http.Request, args []string) (answer, error) {
		if f.passer == nil {
			return nil, &unimplementedError{pattern}
		}
		tenant, err := tenantOf(ctx, r)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(checkPassPath(args), checkPassQuery(r.URL.RawQuery)); err != nil {
			return nil, err
		}
		if err := allow(ctx, tenant, ScopeRead); err != nil {
			return nil, err
		}
		return f.ask(ctx, tenant, kind, args, r.URL.RawQuery)
	})
}

// ask passes a request on and waits for the beginning of its answer.
func (f *facade) ask(ctx context.Context, tenant, kind string, segments []string, query string) (_ answer, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, passTimeout, errPassTimeout)
	p := &passage{ctx: ctx, cancel: cancel}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.Passed, err = f.passer.Pass(ctx, tenant, kind, segments, query); err != nil {
		return nil, endedBy(ctx, err)
	}
	if !passable(p.Status) {
		return nil, &cache.FaultError{Reason: "status", Err: fmt.Errorf("status %d", p.Status)}
	}
	return p, p.peek()
}

// endedBy says that an error is the pass's own time-out, or the caller's end,
// if that is why it came.
func endedBy(ctx context.Context, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), errPassTimeout):
		return &cache.FaultError{Reason: "timeout", Err: errPassTimeout}
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return err
}

// passable says whether a status is about what the caller asked for. All others
// are about the origin, or about how this node asks it.
func passable(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusNotAcceptable, http.StatusConflict,
		http.StatusGone, http.StatusRequestURITooLong, http.StatusRequestedRangeNotSatisfiable,
		http.StatusUnprocessableEntity, http.StatusUnavailableForLegalReasons:
		return true
	}
	return status >= 200 && status < 300
}

// checkPassPath refuses segments that a server or a proxy could take for
// another path: empty ones and dots, also where encoded slashes bound them.
func checkPassPath(segments []string) error {
	if len(segments) == 0 {
		return &fieldError{"path", "missing"}
	}
	for _, s := range segments {
		if err := validateKey("path", s); err != nil {
			return err
		}
		for part := range strings.FieldsFuncSeq(s, func(c rune) bool { return c == '/' || c == '\\' }) {
			if isDots(part) {
				return &fieldError{"path", `"." and ".." cannot be passed on`}
			}
		}
	}
	return nil
}

// checkPassQuery accepts what may stand in a request line.
func checkPassQuery(query string) error {
	if len(query) > maxQueryBytes {
		return &fieldError{"query", "longer than 8 KiB"}
	}
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return &fieldError{"query", "has a character that must be percent-encoded"}
		}
	}
	return nil
}
