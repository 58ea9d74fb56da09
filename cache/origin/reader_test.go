package origin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/cache/origin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// byMember maps {"id","v","version"}: v is the value where there is one, else
// the whole document.
type byMember struct{}

func (byMember) Map(doc []byte) (key string, value []byte, version uint64, versioned bool, err error) {
	var d struct {
		ID      string
		V       json.RawMessage
		Version *uint64
	}
	if err := json.Unmarshal(doc, &d); err != nil && doc[0] == '{' {
		return "", nil, 0, false, err
	}
	if value = d.V; value == nil {
		value = doc
	}
	if d.Version != nil {
		version, versioned = *d.Version, true
	}
	return d.ID, value, version, versioned, nil
}

var (
	role    = &cache.Kind{ID: 0, Name: "role", Class: cache.Critical, Listed: true}
	credits = &cache.Kind{ID: 1, Name: "credits", Class: cache.Reference}
	history = &cache.Kind{ID: 2, Name: "history", Class: cache.OnDemand}
)

func newReader(t *testing.T, cfg origin.Config) *origin.Reader {
	t.Helper()
	r, err := origin.New(cfg, []origin.Kind{
		{Name: "role", One: "/api/tenants/{tenant}/roles/{key}", List: "/api/tenants/{tenant}/roles", Document: byMember{}},
		{Name: "credits", One: "/api/tenants/{tenant}/users/{key}/credits?full=1", Document: byMember{}},
		{Name: "history", One: "/api/tenants/{tenant}/history/{key}", Document: byMember{}},
	}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// serve starts an origin and returns a reader of it. Closing order matters to
// goleak: the reader's connections first.
func serve(t *testing.T, cfg origin.Config, h http.HandlerFunc) *origin.Reader {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	cfg.URL = server.URL
	return newReader(t, cfg)
}

func answer(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, body)
}

func reason(err error) string {
	if f := new(cache.FaultError); errors.As(err, &f) {
		return f.Reason
	}
	return fmt.Sprint(err)
}

func TestOne(t *testing.T) {
	var got http.Header
	r := serve(t, origin.Config{Token: "s3cret"}, func(w http.ResponseWriter, req *http.Request) {
		got = req.Header.Clone()
		got.Set("Path", req.URL.String())
		w.Header().Set("ETag", `W/"a b"`)
		if req.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `W/"ab"`)
		answer(w, ` {"id":"x","v":3.10,"version":18446744073709551615} `)
	})
	doc, err := r.One(t.Context(), "123", role, "x", "")
	want := cache.Document{Key: "x", Value: []byte("3.10"), Version: 1<<64 - 1, Versioned: true, ETag: `W/"ab"`}
	if diff := cmp.Diff(want, doc); err != nil || diff != "" {
		t.Fatalf("err %v, diff %s", err, diff)
	}
	for name, value := range map[string]string{"Path": "/api/tenants/123/roles/x", "Accept": "application/json",
		"X-Tenant-Id": "123", "Authorization": "Bearer s3cret", "If-None-Match": "", "Accept-Encoding": ""} {
		if got.Get(name) != value {
			t.Errorf("%s: got %q, want %q", name, got.Get(name), value)
		}
	}
	if err := r.SetToken("next"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.One(t.Context(), "123", role, "x", `W/"ab"`); !errors.Is(err, cache.ErrNotModified) {
		t.Errorf("conditional read: %v", err)
	}
	if got.Get("If-None-Match") != `W/"ab"` || got.Get("Authorization") != "Bearer next" {
		t.Errorf("headers %v", got)
	}
	if _, err := r.One(t.Context(), "123", credits, "x", ""); err != nil || got.Get("Path") != "/api/tenants/123/users/x/credits?full=1" {
		t.Errorf("%v, path %s", err, got.Get("Path"))
	}
}

// A value that only passes through may be anything, one that is kept must be an
// object.
func TestNotAnObject(t *testing.T) {
	for _, body := range []string{`null`, `[]`, `"x"`, `1`} {
		r := serve(t, origin.Config{}, func(w http.ResponseWriter, _ *http.Request) { answer(w, body) })
		if _, err := r.One(t.Context(), "123", role, "x", ""); reason(err) != "malformed" {
			t.Errorf("%s: %v", body, err)
		}
		doc, err := r.One(t.Context(), "123", history, "x", "")
		if err != nil || string(doc.Value) != body {
			t.Errorf("%s: %s, %v", body, doc.Value, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	const ok = `{"id":"x"}`
	deep := func(n int) string { return `{"id":"x","v":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}" }
	tests := []struct {
		name   string
		status int
		header http.Header
		body   string
		want   string
		after  time.Duration
	}{
		{name: "depth 64", body: deep(63), want: "<nil>"},
		{name: "depth 65", body: deep(64), want: "malformed"},
		{name: "depth 3,000", body: deep(3000), want: "malformed"},
		{name: "brackets in strings", body: `{"id":"x","v":"` + strings.Repeat(`[\"`, 100) + `"}`, want: "<nil>"},
		{name: "no key", body: `{}`, want: "<nil>"},
		{name: "other key", body: `{"id":"y"}`, want: "mismatch"},
		{name: "mapping fails", body: `{"id":1}`, want: "malformed"},
		{name: "no content", status: 204, want: "status"},
		{name: "partial", status: 206, body: ok, want: "status"},
		{name: "empty", want: "malformed"},
		{name: "torn", body: `{"id":"x"`, want: "malformed"},
		{name: "trailing", body: ok + ok, want: "malformed"},
		{name: "html", body: "<html>", want: "malformed"},
		{name: "not UTF-8", body: "{\"id\":\"x\",\"v\":\"\xff\"}", want: "malformed"},
		{name: "raw NUL", body: "{\"id\":\"x\",\"v\":\"\x00\"}", want: "malformed"},
		{name: "gzip unasked", header: http.Header{"Content-Encoding": {"gzip"}}, body: ok, want: "malformed"},
		{name: "announced too large", body: `{"id":"` + strings.Repeat("x", 2000) + `"}`, want: "oversized"},
		{name: "304 unasked", status: 304, want: "status"},
		{name: "404 json", status: 404, header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}, body: `{"error":"no"}`, want: cache.ErrAbsent.Error()},
		{name: "404 problem+json", status: 404, header: http.Header{"Content-Type": {"application/problem+json"}}, body: `{}`, want: cache.ErrAbsent.Error()},
		{name: "404 html", status: 404, header: http.Header{"Content-Type": {"text/html"}}, body: `<html>`, want: "status"},
		{name: "404 html called json", status: 404, header: http.Header{"Content-Type": {"application/json"}}, body: `<html>`, want: "status"},
		{name: "404 json called text", status: 404, header: http.Header{"Content-Type": {"text/plain"}}, body: `{}`, want: "status"},
		{name: "404 empty", status: 404, header: http.Header{"Content-Type": {"application/json"}}, want: "status"},
		{name: "410", status: 410, header: http.Header{"Content-Type": {"application/json"}}, body: `{}`, want: "status"},
		{name: "401", status: 401, body: `{}`, want: "status"},
		{name: "403", status: 403, body: `{}`, want: "status"},
		{name: "500", status: 500, body: ok, want: "status"},
		{name: "500 keeps its Retry-After to itself", status: 500, header: http.Header{"Retry-After": {"7"}}, want: "status"},
		{name: "429", status: 429, header: http.Header{"Retry-After": {"7"}}, want: "throttled", after: 7 * time.Second},
		{name: "503 date", status: 503, header: http.Header{"Date": {"Sun, 06 Nov 1994 08:49:37 GMT"}, "Retry-After": {"Sun, 06 Nov 1994 08:49:40 GMT"}}, want: "status", after: 3 * time.Second},
		{name: "503 for ever", status: 503, header: http.Header{"Retry-After": {"99999999999999999999999"}}, want: "status", after: time.Hour},
		{name: "503 nonsense", status: 503, header: http.Header{"Retry-After": {"-1"}}, want: "status"},
		{name: "302 without Location", status: 302, want: "redirect"},
		{name: "300", status: 300, want: "status"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := serve(t, origin.Config{MaxBytes: 1000}, func(w http.ResponseWriter, _ *http.Request) {
				maps.Copy(w.Header(), tt.header)
				if tt.status != 0 {
					w.WriteHeader(tt.status)
				}
				fmt.Fprint(w, tt.body)
			})
			if tt.name == "depth 3,000" {
				r = serve(t, origin.Config{}, func(w http.ResponseWriter, _ *http.Request) { answer(w, tt.body) })
			}
			_, err := r.One(t.Context(), "123", role, "x", "")
			if reason(err) != tt.want {
				t.Fatalf("got %v, want %s", err, tt.want)
			}
			if f := new(cache.FaultError); errors.As(err, &f) && f.RetryAfter != tt.after {
				t.Errorf("retry after %v, want %v", f.RetryAfter, tt.after)
			}
		})
	}
}

func TestETagIsBounded(t *testing.T) {
	for tag, want := range map[string]string{
		`"a"`: `"a"`, `W/"a"`: `W/"a"`, `""`: `""`, `a`: "", `"a`: "", `w/"a"`: "", `"a"b"`: "", `"a b"`: "",
		`"` + strings.Repeat("a", 254) + `"`: `"` + strings.Repeat("a", 254) + `"`,
		`"` + strings.Repeat("a", 255) + `"`: "",
	} {
		r := serve(t, origin.Config{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", tag)
			answer(w, `{}`)
		})
		if doc, err := r.One(t.Context(), "123", role, "x", ""); err != nil || doc.ETag != want {
			t.Errorf("%s: got %s, %v", tag, doc.ETag, err)
		}
	}
}

// The value must not keep the body that it came from.
func TestValueIsCopied(t *testing.T) {
	r := serve(t, origin.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, `{"v":1,"padding":"`+strings.Repeat("x", 100_000)+`"}`)
	})
	doc, err := r.One(t.Context(), "123", role, "x", "")
	if err != nil || cap(doc.Value) > 64 {
		t.Errorf("%v, capacity %d", err, cap(doc.Value))
	}
}

func TestCallerGivesUp(t *testing.T) {
	stop := make(chan struct{})
	r := serve(t, origin.Config{}, func(_ http.ResponseWriter, req *http.Request) {
		select {
		case <-req.Context().Done():
		case <-stop:
		}
	})
	defer close(stop)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := r.One(ctx, "123", role, "x", "")
	if reason(err) != "canceled" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, `{"id":"x"}`) }))
	defer server.Close()
	r, err := origin.New(origin.Config{URL: server.URL}, []origin.Kind{{Name: "role", One: "/{key}", Document: byMember{}}}, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, _ = r.One(t.Context(), "123", role, "x", "")
	_, _ = r.One(t.Context(), "123", role, "y", "")
	_, _ = r.One(t.Context(), "123", role, "..", "")
	got := map[string]float64{}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := []string{f.GetName()}
			for _, l := range m.GetLabel() {
				name = append(name, l.GetValue())
			}
			got[strings.Join(name, " ")] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	want := map[string]float64{"tenantry_origin_requests_total role ok": 1, "tenantry_origin_requests_total role mismatch": 1, "tenantry_origin_seconds": 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := origin.New(origin.Config{URL: server.URL}, nil, slog.New(slog.DiscardHandler), reg); err == nil {
		t.Error("two readers in one registry were not refused")
	}
}

func TestConfigMistakes(t *testing.T) {
	_, err := origin.New(origin.Config{URL: "ftp://x", Token: "to\nken", Timeout: -1, Concurrency: -1}, []origin.Kind{
		{Name: "a", One: "/x", Document: byMember{}},
		{Name: "b", One: "/x/{key}/{key}", List: "/x/{key}", Document: byMember{}},
		{Name: "c", One: "x/{key}", Document: byMember{}},
		{Name: "d", One: "/x/../{key}", Document: byMember{}},
		{Name: "e", One: "/x/a{key}", Document: byMember{}},
		{Name: "f", One: "/x/{user}/{key}", Document: byMember{}},
		{Name: "g", One: "/x/{key}?a={tenant}", Document: byMember{}},
		{Name: "h", One: "/x /{key}", Document: byMember{}},
		{Name: "i", One: "/x/{key}"},
	}, slog.New(slog.DiscardHandler), nil)
	for _, part := range []string{"ftp://x", "token", "timeout", "concurrency", "kind a", "kind b", "of a list", "kind c",
		"kind d", "kind e", "kind f", "kind g", "kind h", "kind i"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("no word of %q in: %v", part, err)
		}
	}
	for _, url := range []string{"", "http://", "http://user:pass@host", "http://h?x", "http://h#x", "://pass"} {
		_, err := origin.New(origin.Config{URL: url}, nil, slog.New(slog.DiscardHandler), nil)
		if err == nil || strings.Contains(err.Error(), "pass") {
			t.Errorf("%q: %v", url, err)
		}
	}
	if strings.Contains(err.Error(), "to\nken") || newReader(t, origin.Config{URL: "http://h"}).SetToken("a b") == nil {
		t.Error("token repeated or not checked")
	}
}
