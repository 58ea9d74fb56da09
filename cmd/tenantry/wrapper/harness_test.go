package wrapper_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// bus records what was published; fail makes it fail.
type bus struct {
	mu   sync.Mutex
	fail bool
	sent []string
	// before, where set, is called within Publish.
	before func()
}

func (b *bus) Publish(_ context.Context, tenant, topic string, payload []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail {
		return errors.New("no bus")
	}
	if b.before != nil {
		b.before()
	}
	b.sent = append(b.sent, tenant+":"+topic+" "+string(payload))
	return nil
}

func (b *bus) events() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.sent...)
}

func call(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec
}

func expect(t *testing.T, got *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if got.Code != status || body != "" && strings.TrimSpace(got.Body.String()) != body {
		t.Errorf("got %d %s, want %d %s", got.Code, got.Body, status, body)
	}
	if status != http.StatusNotModified && got.Header().Get("Content-Type") != "application/json" {
		t.Errorf("content type %q", got.Header().Get("Content-Type"))
	}
}

const tenant123 = "/api/tenants/123/"

// event decodes what a test wants to see of a published event.
func event(t *testing.T, sent string) (channel string, e map[string]any) {
	t.Helper()
	channel, payload, _ := strings.Cut(sent, " ")
	if err := json.Unmarshal([]byte(payload), &e); err != nil {
		t.Fatal(err)
	}
	if e["eventId"] == "" || e["occurredAt"] == "" || e["tenantId"] != "123" {
		t.Errorf("event %v", e)
	}
	return channel, e
}
