package node_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tenantry/tenantry/subscriber/redistest"
)

// The origin read that a request begins belongs to the request's trace, over
// every protocol.
func TestTheOriginSeesTheTrace(t *testing.T) {
	s := newStack(t, redistest.Start(t), nil)
	var seen atomic.Value
	inner := s.origin.handler
	s.origin.become(func(w http.ResponseWriter, r *http.Request) {
		if parent := r.Header.Get("Traceparent"); parent != "" {
			seen.Store(parent)
		}
		inner.ServeHTTP(w, r)
	})
	const get = "/tenantry.v1.CacheService/Get"
	for i, ask := range []*http.Request{
		request(t, http.MethodGet, s.node.RPC()+"/api/users/user-1", ""),
		request(t, http.MethodGet, s.node.RPC()+"/api/history/user-1", ""),
		request(t, http.MethodPost, s.node.RPC()+get, `{"tenant":"123","kind":"hierarchy","key":"team-1"}`),
	} {
		parent := strings.Replace("00-4bf92f3577b34da6a3ce929d0e0e473X-00f067aa0ba902b7-01", "X", string(rune('1'+i)), 1)
		ask.Header.Set("Traceparent", parent)
		if a := s.do(ask); a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", ask.URL, a.status, a.body)
		}
		if got := seen.Load(); got != parent {
			t.Errorf("%s: the origin saw %v, want %s", ask.URL.Path, got, parent)
		}
	}
}

func request(t *testing.T, method, at, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+at, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Tenant-Id", "123")
	r.Header.Set("Content-Type", "application/json")
	return r
}
