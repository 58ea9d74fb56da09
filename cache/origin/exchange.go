package origin

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"

	"github.com/tenantry/tenantry/cache"
)

const (
	// maxRedirects is how many redirects one read follows.
	maxRedirects = 3
	// maxErrorBytes bounds the body of a 404, which need only be some JSON.
	maxErrorBytes = 64 << 10
	// maxDrainBytes is the largest announced body that is read only to keep
	// its connection; beyond it a new connection is cheaper.
	maxDrainBytes = 4 << 10
	// maxETag bounds what is kept of an answer besides its value, in bytes.
	maxETag = 256
)

// ask is what one read sends.
type ask struct {
	tenant string
	to     target
	etag   string
	// limit bounds the body, depth its nesting.
	limit int64
	depth int
	// accept is for the header; empty: JSON.
	accept string
}

// reply is a 200 whose body is complete, valid JSON.
type reply struct {
	body  []byte
	etag  string
	links []string
	// from is where the reply came from after redirects.
	from *url.URL
}

// exchange sends the request and reads the answer.
func (r *Reader) exchange(ctx context.Context, a ask, sign *progress) (reply, error) {
	resp, at, err := r.follow(ctx, a, sign)
	if err != nil {
		return reply{}, err
	}
	return receive(resp, a, at)
}

// follow sends the request, following redirects, and returns the answer's head
// and where it came from.
func (r *Reader) follow(ctx context.Context, a ask, sign *progress) (*http.Response, *url.URL, error) {
	*sign = progress{}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sign.connected = true }})
	at := a.to.url
	for range maxRedirects + 1 {
		resp, err := r.transport.RoundTrip(r.request(ctx, a, at))
		if err != nil {
			return nil, nil, err
		}
		sign.answered = true
		next, err := a.to.redirect(at, resp)
		if err == nil && next == nil {
			return resp, at, nil
		}
		discard(resp)
		if err != nil {
			return nil, nil, err
		}
		at = next
	}
	return nil, nil, fault(reasonRedirect, "more than %d redirects", maxRedirects)
}

// request asks caches on the way to revalidate: a read begun after a commit
// must see it.
func (r *Reader) request(ctx context.Context, a ask, at *url.URL) *http.Request {
	h := http.Header{
		"Accept":        {cmp.Or(a.accept, "application/json")},
		"Cache-Control": {"no-cache"},
		"User-Agent":    {"tenantry"},
		"X-Tenant-Id":   {a.tenant},
	}
	if token := *r.token.Load(); token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	if a.etag != "" {
		h.Set("If-None-Match", a.etag)
	}
	if parent := traceparent(ctx); parent != "" {
		h.Set("Traceparent", parent)
	}
	req := &http.Request{Method: http.MethodGet, URL: at, Host: at.Host, Header: h}
	return req.WithContext(ctx)
}

// redirect returns where resp sends the read, nil if nowhere. The same host is
// not enough: a server or proxy that cleans paths answers /roles/..%2Fx with a
// redirect to /x, which is another document.
func (t target) redirect(at *url.URL, resp *http.Response) (*url.URL, error) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	to, err := at.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" {
		return nil, fault(reasonRedirect, "status %d without a usable Location", resp.StatusCode)
	}
	if !sameOrigin(at, to) || to.User != nil {
		return nil, fault(reasonRedirect, "to another origin, %.80q", to.Host)
	}
	if !strings.HasSuffix(to.EscapedPath(), t.tail) {
		return nil, fault(reasonRedirect, "to another item, %.200q", to.EscapedPath())
	}
	to.Fragment, to.RawFragment = "", ""
	return to, nil
}

// receive reads the answer and always lets go of its body.
func receive(resp *http.Response, a ask, at *url.URL) (reply, error) {
	defer discard(resp)
	switch resp.StatusCode {
	case http.StatusOK:
		body, err := readJSON(resp, a.limit, a.depth)
		return reply{body: body, etag: entityTag(resp.Header.Get("ETag")), links: resp.Header.Values("Link"), from: at}, err
	case http.StatusNotModified:
		if a.etag != "" {
			return reply{}, cache.ErrNotModified
		}
	case http.StatusNotFound:
		return reply{}, absence(resp)
	}
	return reply{}, refused(resp)
}

// absence is ErrAbsent only if the 404 is the origin's own JSON: a proxy's
// error page says nothing of the item.
func absence(resp *http.Response) error {
	if !isJSON(resp.Header.Get("Content-Type")) {
		return fault(reasonStatus, "status 404 that is not JSON")
	}
	_, err := readJSON(resp, maxErrorBytes, maxDepth)
	if f := new(cache.FaultError); errors.As(err, &f) {
		return fault(reasonStatus, "status 404: %w", f.Err)
	}
	if err != nil {
		return err
	}
	return cache.ErrAbsent
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

// readJSON returns the body, trimmed. net/http sees to its announced length.
func readJSON(resp *http.Response, limit int64, depth int) ([]byte, error) {
	if coding := resp.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, fault(reasonMalformed, "body in an encoding that was not asked for, %.40q", coding)
	}
	if resp.ContentLength > limit {
		return nil, fault(reasonOversized, "body of %d bytes, limit %d", resp.ContentLength, limit)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > limit {
		return nil, fault(reasonOversized, "body over %d bytes", limit)
	}
	if err := checkJSON(body, depth); err != nil {
		return nil, fault(reasonMalformed, "%w", err)
	}
	return bytes.TrimSpace(body), nil
}

// discard closes the body. A small announced rest is read first, which keeps
// the connection; the read's time-out bounds that, too, but not after a switch
// of protocols: then the body is the bare connection.
func discard(resp *http.Response) {
	if resp.StatusCode >= 200 && resp.ContentLength >= 0 && resp.ContentLength <= maxDrainBytes {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxDrainBytes))
	}
	_ = resp.Body.Close()
}

// entityTag returns the tag as it was given, or "" if it is not one (RFC 9110,
// 8.8.3) or too long to be worth keeping.
func entityTag(tag string) string {
	opaque := strings.TrimPrefix(tag, "W/")
	if len(tag) > maxETag || len(opaque) < 2 || opaque[0] != '"' || opaque[len(opaque)-1] != '"' {
		return ""
	}
	if strings.ContainsFunc(opaque[1:len(opaque)-1], func(r rune) bool { return r <= ' ' || r == '"' || r == 0x7f }) {
		return ""
	}
	return tag
}
