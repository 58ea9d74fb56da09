package rpc_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/shard"
)

// asked is one request that an origin was passed.
type asked struct {
	Tenant, Kind string
	Segments     []string
	Query        string
}

// passer is an origin whose answer is that of the function. It notes what it
// was asked.
type passer struct {
	answer func(ctx context.Context) (*rpc.Passed, error)
	closed chan struct{} // gets one for each body that is closed

	mu    sync.Mutex
	asked []asked
}

func (p *passer) Pass(ctx context.Context, tenant, kind string, segments []string, query string) (*rpc.Passed, error) {
	p.mu.Lock()
	p.asked = append(p.asked, asked{tenant, kind, segments, query})
	p.mu.Unlock()
	a, err := p.answer(ctx)
	if a != nil {
		a.Body = &closing{a.Body, p}
	}
	return a, err
}

// taken returns what was asked so far, and forgets it.
func (p *passer) taken() []asked {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.asked
	p.asked = nil
	return all
}

type closing struct {
	io.Reader
	p *passer
}

func (c *closing) Close() error {
	c.p.closed <- struct{}{}
	return nil
}

// body is an answer with a body; header are pairs.
func body(status int, r io.Reader, header ...string) *rpc.Passed {
	h := make(http.Header)
	for i := 0; i < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	c, ok := r.(io.ReadCloser)
	if !ok {
		c = io.NopCloser(r)
	}
	return &rpc.Passed{Status: status, Header: h, Body: c}
}

func servePasser(t *testing.T) (*harness, *passer) {
	p := &passer{closed: make(chan struct{}, 1000), answer: func(context.Context) (*rpc.Passed, error) {
		return body(200, strings.NewReader("{}"), "Content-Type", "application/json"), nil
	}}
	return serve(t, func(c *rpc.Config) { c.Passer = p }), p
}

func TestPassPaths(t *testing.T) {
	h, p := servePasser(t)
	long := strings.Repeat("x", 513)
	for _, test := range []struct {
		path   string
		status int
		want   asked
	}{
		{"/api/history/leads/42?from=2024-01-01&q=a%20b+c", 200, asked{"t", "history", []string{"leads", "42"}, "from=2024-01-01&q=a%20b+c"}},
		{"/api/audit-logs/a%20b/%C3%A9/%252e%252e", 200, asked{"t", "audit-log", []string{"a b", "é", "%2e%2e"}, ""}},
		{"/api/history/a%2Fb/%3Fx=1%23", 200, asked{"t", "history", []string{"a/b", "?x=1#"}, ""}},
		{"/api/history/a?x=%zz;&&==", 200, asked{"t", "history", []string{"a"}, "x=%zz;&&=="}},
		{"/api/history/...", 200, asked{"t", "history", []string{"..."}, ""}},
		{"/api/history/" + strings.Repeat("x/", 29) + "x", 200, asked{"t", "history", strings.Split(strings.Repeat("x/", 29)+"x", "/"), ""}},
		{"/api/history/..", 400, asked{}},
		{"/api/history/../users/u", 400, asked{}},
		{"/api/history/a/../../x", 400, asked{}},
		{"/api/history/./a", 400, asked{}},
		{"/api/history/%2e%2E/a", 400, asked{}},
		{"/api/history/..%2F..%2Fusers", 400, asked{}},
		{"/api/history/a%2F..%2F..", 400, asked{}},
		{"/api/history/a%5C..%5Cb", 400, asked{}},
		{"/api/history/", 400, asked{}},
		{"/api/history", 400, asked{}},
		{"/api/history//a", 400, asked{}},
		{"/api/history/a/", 400, asked{}},
		{"/api/history/a%00", 400, asked{}},
		{"/api/history/a%0d%0aX:1", 400, asked{}},
		{"/api/history/%ff", 400, asked{}},
		{"/api/history/" + long, 400, asked{}},
		{"/api/history/a?" + strings.Repeat(long, 17), 400, asked{}},
		{"/api/history/a?é", 400, asked{}},
		{"/api/history/" + strings.Repeat("x/", 40) + "x", 404, asked{}},
		{"/api/historyx/a", 404, asked{}},
	} {
		for name, c := range map[string]*http.Client{"h1": h1(t), "h2c": h2c(t)} {
			res, _ := h.send(t, c, http.MethodGet, test.path, "X-Tenant-Id", "t", "Authorization", "Bearer x", "Cookie", "a=b")
			all := p.taken()
			if res.StatusCode != test.status {
				t.Errorf("%s %.80s: got %d", name, test.path, res.StatusCode)
			}
			var want []asked
			if test.status == 200 {
				want = []asked{test.want}
			}
			if diff := cmp.Diff(want, all); diff != "" {
				t.Errorf("%s %.80s: %s", name, test.path, diff)
			}
		}
	}
}

func TestPassAnswers(t *testing.T) {
	h, p := servePasser(t)
	large := strings.Repeat("line of an audit log\n", 10_000)
	for _, test := range []struct {
		name   string
		answer *rpc.Passed
		status int
		body   string
		header map[string]string
	}{
		{"small", body(200, strings.NewReader("a,b"), "Content-Type", "text/csv", "Content-Disposition", "attachment", "Set-Cookie", "s=1",
			"Connection", "X-Hop", "X-Hop", "1", "Transfer-Encoding", "chunked", "Link", "<http://10.0.0.1>", "Server", "w", "X-Tenant-Id", "z"), 200, "a,b",
			map[string]string{"Content-Type": "text/csv", "Content-Disposition": "attachment", "Content-Length": "3", "Set-Cookie": "", "X-Hop": "", "Connection": "",
				"Link": "", "Server": "", "X-Tenant-Id": "", "Cache-Control": "private, no-store", "Tenantry-Freshness": "fresh", "Tenantry-Node": "n1", "X-Content-Type-Options": "nosniff", "ETag": ""}},
		{"large", body(200, strings.NewReader(large), "Content-Type", "text/plain"), 200, large, map[string]string{"Content-Type": "text/plain"}},
		{"drip", body(206, iotest.OneByteReader(strings.NewReader(large[:40_000]))), 206, large[:40_000], map[string]string{"Content-Type": ""}},
		{"announced", body(200, strings.NewReader(large), "Content-Length", "210000"), 200, large, map[string]string{"Content-Length": "210000"}},
		{"misannounced", body(200, strings.NewReader("x"), "Content-Length", "9"), 200, "x", map[string]string{"Content-Length": "1"}},
		{"empty", body(204, strings.NewReader("")), 204, "", nil},
		{"html", body(404, strings.NewReader("<p>no"), "Content-Type", "text/html"), 404, "<p>no", map[string]string{"Content-Type": "text/html"}},
		{"theirs", body(422, strings.NewReader("{}"), "Content-Type", "application/problem+json"), 422, "{}", nil},
		{"token refused", body(401, strings.NewReader("secret")), 503, "", map[string]string{"Retry-After": "1"}},
		{"forbidden", body(403, strings.NewReader("secret")), 503, "", nil},
		{"throttled", body(429, strings.NewReader("secret")), 503, "", nil},
		{"broken", body(500, strings.NewReader("secret")), 503, "", nil},
		{"redirect", body(302, strings.NewReader("secret"), "Location", "http://10.0.0.1"), 503, "", map[string]string{"Location": ""}},
		{"not modified", body(304, strings.NewReader("")), 503, "", nil},
		{"oversized", body(200, strings.NewReader(""), "Content-Length", "99999999999"), 503, "", nil},
		{"torn", body(200, io.MultiReader(strings.NewReader(`{"a":`), iotest.ErrReader(io.ErrUnexpectedEOF))), 503, "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			p.answer = func(context.Context) (*rpc.Passed, error) { return test.answer, nil }
			res, got := h.get(t, "/api/history/x", "X-Tenant-Id", "t")
			if res.StatusCode != test.status || test.body != "" && got != test.body || strings.Contains(got, "secret") {
				t.Errorf("got %d %.100q", res.StatusCode, got)
			}
			for name, want := range test.header {
				if v := res.Header.Get(name); v != want {
					t.Errorf("%s: got %q, want %q", name, v, want)
				}
			}
			<-p.closed
		})
	}
}

func TestPassErrors(t *testing.T) {
	h, p := servePasser(t)
	for _, test := range []struct {
		err    error
		status int
		retry  string
		text   string
	}{
		{&cache.FaultError{Reason: "throttled", RetryAfter: 5 * time.Second, Err: errors.New("secret")}, 503, "5", "throttled"},
		{&cache.FaultError{Reason: "timeout", Err: errors.New("secret")}, 503, "1", "timeout"},
		{&shard.UnknownKindError{Kind: "history", Known: []string{"flag"}}, 400, "", "flag"},
		{shard.ErrTenantLimit, 429, "1", "limit"},
		{errors.New("secret"), 500, "", "internal"},
	} {
		p.answer = func(context.Context) (*rpc.Passed, error) { return nil, test.err }
		res, got := h.get(t, "/api/audit-logs/x", "X-Tenant-Id", "t")
		if res.StatusCode != test.status || res.Header.Get("Retry-After") != test.retry || !strings.Contains(got, test.text) || strings.Contains(got, "secret") {
			t.Errorf("%v: got %d %q %s", test.err, res.StatusCode, res.Header.Get("Retry-After"), got)
		}
	}
	p.taken()
	for _, test := range []struct {
		authenticate rpc.Authenticate
		headers      []string
		status       int
	}{{only("a"), []string{"X-Tenant-Id", "b"}, 403}, {refuse, []string{"X-Tenant-Id", "b"}, 401}, {only("a", "b"), nil, 400}, {scopeless, []string{"X-Tenant-Id", "b"}, 403}} {
		h := serve(t, func(c *rpc.Config) { c.Passer, c.Authenticate = p, test.authenticate })
		if res, _ := h.get(t, "/api/history/x", test.headers...); res.StatusCode != test.status {
			t.Errorf("got %d, want %d", res.StatusCode, test.status)
		}
	}
	if res, _ := h.send(t, h1(t), http.MethodPost, "/api/history/x", "X-Tenant-Id", "t"); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: got %d", res.StatusCode)
	}
	if all := p.taken(); len(all) != 0 {
		t.Errorf("asked %v", all)
	}
}

// TestPassTornBodyIsNotWhole breaks a body after its answer has begun: over
// either HTTP version the caller notices.
func TestPassTornBodyIsNotWhole(t *testing.T) {
	h, p := servePasser(t)
	for name, c := range map[string]*http.Client{"h1": h1(t), "h2c": h2c(t)} {
		for what, end := range map[string]io.Reader{"torn": iotest.ErrReader(io.ErrUnexpectedEOF), "endless": endless{}} {
			p.answer = func(context.Context) (*rpc.Passed, error) {
				return body(200, io.MultiReader(strings.NewReader(strings.Repeat("x", 100_000)), end)), nil
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url+"/api/history/x", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Tenant-Id", "t")
			res, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if err == nil || n < 100_000 || n > 64<<20 {
				t.Errorf("%s %s: read %d bytes, %v", name, what, n, err)
			}
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestPassStreams shows that what came of a body is sent before the rest comes,
// and that the origin's body ends when the caller goes.
func TestPassStreams(t *testing.T) {
	h, p := servePasser(t)
	more, ended := make(chan []byte), make(chan struct{})
	p.answer = func(ctx context.Context) (*rpc.Passed, error) {
		return body(200, readerFunc(func(b []byte) (int, error) {
			select {
			case m := <-more:
				return copy(b, m), nil
			case <-ctx.Done():
				close(ended)
				return 0, ctx.Err()
			}
		})), nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url+"/api/history/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Tenant-Id", "t")
	go func() {
		for range 5 {
			more <- make([]byte, 4<<10)
		}
	}()
	res, err := h1(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadFull(res.Body, make([]byte, 20<<10)); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-ended
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestPassHead(t *testing.T) {
	h, p := servePasser(t)
	res, got := h.send(t, h2c(t), http.MethodHead, "/api/history/x", "X-Tenant-Id", "t")
	if res.StatusCode != http.StatusOK || got != "" || res.Header.Get("Content-Length") != "2" {
		t.Errorf("got %d %q %v", res.StatusCode, got, res.Header)
	}
	<-p.closed
}
