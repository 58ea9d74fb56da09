package origin

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tenantry/tenantry/cache"
)

// Bounds of what is passed on, in bytes.
const (
	maxPassedPath  = 4 << 10
	maxPassedQuery = 8 << 10
)

// passedHeaders returns the headers that say what a body is and how long it may be
// kept. All others, cookies above all, are between the origin and this node.
func passedHeaders() []string {
	return []string{
		"Content-Type", "Content-Length", "Content-Encoding", "ETag", "Last-Modified", "Cache-Control", "Link", "Retry-After",
	}
}

// Response is an answer of the origin that is passed on.
type Response struct {
	// Status is 2xx, or 4xx but not 401, 403 and 429, which are about this node.
	Status int
	// ContentType is the header's.
	ContentType string
	// Header has no others than those that describe the body: Content-Type,
	// Content-Length, Content-Encoding, ETag, Last-Modified, Cache-Control, Link,
	// Retry-After.
	Header http.Header
	// Body holds one of the tenant's slots until its end or an error has been
	// read or it is closed, which is the receiver's duty. It ends with a
	// [*cache.FaultError] where the origin's breaks, comes more slowly than 64 KiB
	// in [Config.Timeout], is over [Config.MaxBytes], or takes longer than
	// [Config.ListTimeout] in all, the receiver's time included; and when the
	// context of [Reader.Pass] ends.
	Body io.ReadCloser
}

// Pass asks for what lies under the kind's path of one item, with the segments,
// each sent as one, in the place of the key. The query is sent as it is, after
// that of the path, if any. The answer is streamed, and nothing of it is kept.
//
// It has the protection of [Reader.One]: the answer's head comes within
// [Config.Timeout], retries included, and there are no retries after it. A
// fault that wraps [ErrName] is a tenant, a path or a query that can never be
// asked for; what is not a [Response] is a [*cache.FaultError], too.
func (r *Reader) Pass(ctx context.Context, tenant string, ck *cache.Kind, segments []string, rawQuery string) (*Response, error) {
	k := r.kinds[ck.ID]
	to, err := r.passTarget(k, tenant, segments, rawQuery)
	if err != nil {
		return nil, fault(reasonMalformed, "%w", err)
	}
	a := ask{tenant: tenant, to: to, accept: "application/json, */*;q=0.5"}
	s := r.newStream(ctx, k.Name)
	if s.visit, err = r.enter(s.ctx, r.passes, k.Name, family{tenant: tenant, kind: ck.ID}); err != nil {
		s.release()
		return nil, err
	}
	resp, err := r.head(s, a)
	if err != nil {
		s.release()
		s.visit.end(ctx, err)
		return nil, err
	}
	s.open(resp)
	return &Response{Status: resp.StatusCode, ContentType: resp.Header.Get("Content-Type"), Header: passedHeader(resp), Body: s}, nil
}

func (r *Reader) passTarget(k kind, tenant string, segments []string, rawQuery string) (target, error) {
	if k.One == "" {
		return target{}, ErrNotServed
	}
	if err := checkTenant(tenant); err != nil {
		return target{}, err
	}
	length := 0
	for _, s := range segments {
		if err := checkKey(s); err != nil {
			return target{}, err
		}
		length += len(s)
	}
	if length == 0 || length > maxPassedPath {
		return target{}, fmt.Errorf("%w: path of %d bytes", ErrName, length)
	}
	if err := checkQuery(rawQuery); err != nil {
		return target{}, err
	}
	to, err := k.one.expand(r.base, tenant, segments...)
	if err == nil && rawQuery != "" {
		to.url.RawQuery = strings.TrimPrefix(to.url.RawQuery+"&"+rawQuery, "&")
	}
	return to, err
}

// checkQuery accepts what goes out as it is in a request's first line.
func checkQuery(query string) error {
	outside := func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }
	if len(query) > maxPassedQuery || strings.ContainsFunc(query, outside) {
		return fmt.Errorf("%w: query %.80q", ErrName, query)
	}
	return nil
}

func passes(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return false
	}
	return status >= 200 && status < 300 || status >= 400 && status < 500
}

func passedHeader(resp *http.Response) http.Header {
	h := make(http.Header)
	for _, name := range passedHeaders() {
		name = http.CanonicalHeaderKey(name)
		if values := resp.Header[name]; len(values) > 0 {
			h[name] = values
		}
	}
	return h
}

// head waits for an answer that passes.
func (r *Reader) head(s *stream, a ask) (resp *http.Response, err error) {
	err = r.try(s.ctx, s.kind, s.arrived.Add(r.cfg.Timeout), func() error {
		s.began = time.Now()
		if resp, err = r.passable(s.ctx, a, &s.visit.sign); err == nil {
			return nil
		}
		err = judge(s.ctx, err)
		r.metrics.read(s.kind, s.began, err)
		return err
	})
	return resp, err
}

func (r *Reader) passable(ctx context.Context, a ask, sign *progress) (*http.Response, error) {
	resp, _, err := r.follow(ctx, a, sign)
	if err != nil {
		return nil, err
	}
	switch {
	case !passes(resp.StatusCode):
		err = refused(resp)
	case resp.ContentLength > r.cfg.MaxBytes:
		err = fault(reasonOversized, "body of %d bytes, limit %d", resp.ContentLength, r.cfg.MaxBytes)
	default:
		return resp, nil
	}
	discard(resp)
	return nil, err
}
