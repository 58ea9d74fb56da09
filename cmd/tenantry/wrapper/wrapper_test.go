package wrapper_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/cmd/tenantry/wrapper"
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

func TestDocuments(t *testing.T) {
	w := wrapper.New(wrapper.Config{Tenants: 12})
	for path, want := range map[string]string{
		"123/credit-configs/crm.leads.create":                   `{"operationCode":"crm.leads.create","creditCost":2.5,"version":1}`,
		wrapper.SeedTenant + "/credit-configs/crm.leads.create": `{"operationCode":"crm.leads.create","creditCost":2.5,"version":1}`,
		"123/roles/sales-manager":                               `{"roleId":"sales-manager","roleName":"Sales Manager","permissions":["crm.leads.*","crm.contacts.*","crm.deals.*","crm.reports.run"],"version":1}`,
		"123/user-status/user-1":                                `{"userId":"user-1","status":"active","roles":["sales-manager"],"version":1}`,
		"123/users/user-1":                                      `{"email":"user-1@123.example","name":"User 1","team":"team-2","userId":"user-1","version":1}`,
		"123/users/user-1/credits":                              `{"userId":"user-1","availableCredits":100,"version":1}`,
		"123/configs/locale":                                    `{"name":"locale","value":"en-GB","version":1}`,
		"123/hierarchy/division-1":                              `{"children":["team-1","team-2"],"entityId":"division-1","entityName":"Division 1 of 123","parentId":"org-1","version":1}`,
		"tenant-0012/user-status/user-20":                       `{"userId":"user-20","status":"suspended","roles":["admin"],"version":1}`,
		"tenant-0001/credit-configs/crm.leads.create":           ``,
		"123/history/leads/42?from=2024":                        ``,
		"123/audit-logs/x":                                      ``,
		"123/credit-configs":                                    ``,
	} {
		expect(t, call(w, "GET", "/api/tenants/"+path, ""), 200, want)
	}
	for _, path := range []string{"124/roles/admin", "tenant-0013/roles", "tenant-0000/roles", "tenant-012/roles", "tenant-00012/roles", "tenant-+012/roles",
		"123/roles/nobody", "123/users/user-21", "123/users/user-01", "123/credit-configs/crm.generated.11", "123/roles/..%2Fx", "123/roles/%2e%2e%2fadmin"} {
		expect(t, call(w, "GET", "/api/tenants/"+path, ""), 404, "")
	}
	expect(t, call(w, "GET", tenant123+"roles/admin", "", "X-Tenant-Id", "124"), 403, "")
	if got := call(w, "GET", "/api/tenants/123/rules/x", ""); got.Code != 404 || got.Header().Get("Content-Type") == "application/json" {
		t.Errorf("an unknown path must not look like an absence: %d %v", got.Code, got.Header())
	}
	if a, b := call(w, "GET", "/api/tenants/tenant-0001/users/user-1", ""), call(w, "GET", "/api/tenants/tenant-0002/users/user-1", ""); a.Body.String() == b.Body.String() {
		t.Error("two tenants have the same user")
	}
}

func TestETag(t *testing.T) {
	w := wrapper.New(wrapper.Config{})
	for _, path := range []string{"credit-configs/crm.leads.create", "credit-configs"} {
		tag := call(w, "GET", tenant123+path, "").Header().Get("ETag")
		if !strings.HasPrefix(tag, `"`) {
			t.Fatalf("tag %s", tag)
		}
		expect(t, call(w, "GET", tenant123+path, "", "If-None-Match", tag), 304, "")
		expect(t, call(w, "PUT", tenant123+"credit-configs/crm.leads.create", `{"creditCost":`+fmt.Sprint(len(path))+`}`), 200, "")
		expect(t, call(w, "GET", tenant123+path, "", "If-None-Match", tag), 200, "")
	}
}

func TestPages(t *testing.T) {
	w := wrapper.New(wrapper.Config{Items: 1200})
	expect(t, call(w, "PUT", tenant123+"roles/role-1200", `{"permissions":[]}`), 200, "")
	expect(t, call(w, "DELETE", tenant123+"roles/role-5", ""), 200, "")
	expect(t, call(w, "PUT", tenant123+"roles/new", `{"permissions":[]}`), 201, "")
	keys, sizes, path := map[string]bool{}, []int{}, tenant123+"roles"
	for path != "" {
		rec := call(w, "GET", path, "")
		var docs []struct{ RoleID string }
		if err := json.Unmarshal(rec.Body.Bytes(), &docs); err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			keys[d.RoleID] = true
		}
		sizes = append(sizes, len(docs))
		path, _, _ = strings.Cut(strings.TrimPrefix(rec.Header().Get("Link"), "<"), ">")
	}
	if diff := cmp.Diff([]int{500, 500, 200}, sizes); diff != "" || len(keys) != 1200 || keys["role-5"] || !keys["new"] || !keys["admin"] {
		t.Errorf("%d keys: %s", len(keys), diff)
	}
	expect(t, call(w, "GET", tenant123+"roles?page=9", ""), 200, "[]")
	for _, page := range []string{"0", "-1", "x", "", "99999999999999999999"} {
		expect(t, call(w, "GET", tenant123+"roles?page="+page, ""), 400, "")
	}
}

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

func TestPutPublishes(t *testing.T) {
	tests := []struct{ path, body, doc, channel, kind, data string }{
		{"credit-configs/crm.leads.create", `{"creditCost":3.10}`, `{"operationCode":"crm.leads.create","creditCost":3.10,"version":2}`,
			"123:credit-configs", "credit-config-changed", `{"operationCode":"crm.leads.create","changedFields":["credit_cost"],"newValue":3.10,"oldValue":2.5}`},
		{"roles/admin", `{"permissions":["<a&b>"],"roleId":"admin","version":9}`, `{"roleId":"admin","roleName":"Admin","permissions":["<a&b>"],"version":2}`,
			"123:roles", "role-changed", `{"roleId":"admin","roleName":"Admin","permissions":["<a&b>"]}`},
		{"user-status/user-1", `{"status":"suspended"}`, `{"userId":"user-1","status":"suspended","roles":["sales-manager"],"version":2}`,
			"123:users", "user-changed", `{"userId":"user-1","status":"suspended","roles":["sales-manager"]}`},
		{"users/user-1", `{"name":"Ann","score":1.50}`, `{"name":"Ann","score":1.50,"userId":"user-1","version":3}`,
			"123:users", "user-changed", `{"userId":"user-1","status":"suspended","roles":["sales-manager"]}`},
		{"configs/locale", `{"value":{"a":[1.0,null]}}`, `{"name":"locale","value":{"a":[1.0,null]},"version":2}`,
			"123:configs", "config-changed", `{"name":"locale","value":{"a":[1.0,null]}}`},
		{"hierarchy/org-1", `{"entityName":"Org"}`, `{"entityId":"org-1","entityName":"Org","version":2}`,
			"123:hierarchy", "hierarchy-changed", `{"entityId":"org-1","entityName":"Org"}`},
		{"users/user-1/credits", `{"availableCredits":7.00}`, `{"userId":"user-1","availableCredits":7.00,"version":2}`,
			"123:credit-balances", "credit-balance-changed", `{"userId":"user-1"}`},
	}
	b := &bus{}
	w := wrapper.New(wrapper.Config{Publisher: b})
	for i, tt := range tests {
		expect(t, call(w, "PUT", tenant123+tt.path, tt.body), 200, tt.doc)
		expect(t, call(w, "GET", tenant123+tt.path, ""), 200, tt.doc)
		sent := b.events()
		if len(sent) != i+1 {
			t.Fatalf("%s: %d events", tt.path, len(sent))
		}
		channel, e := event(t, sent[i])
		if channel != tt.channel || e["eventType"] != tt.kind || !strings.Contains(sent[i], `"data":`+tt.data) {
			t.Errorf("%s: %s", tt.path, sent[i])
		}
	}
	expect(t, call(w, "GET", tenant123+"user-status/user-1", ""), 200, `{"userId":"user-1","status":"suspended","roles":["sales-manager"],"version":3}`)
}

func TestDeleteAndMakeAnew(t *testing.T) {
	b := &bus{}
	w := wrapper.New(wrapper.Config{Publisher: b})
	const path = tenant123 + "credit-configs/crm.leads.create"
	expect(t, call(w, "DELETE", path, ""), 200, `{"deleted":"crm.leads.create","version":2}`)
	expect(t, call(w, "GET", path, ""), 404, "")
	expect(t, call(w, "DELETE", path, ""), 404, "")
	expect(t, call(w, "PUT", path, `{"creditCost":1}`), 201, `{"operationCode":"crm.leads.create","creditCost":1,"version":3}`)
	expect(t, call(w, "DELETE", tenant123+"users/user-2", ""), 200, "")
	expect(t, call(w, "GET", tenant123+"user-status/user-2", ""), 404, "")
	expect(t, call(w, "DELETE", tenant123+"roles/never", ""), 404, "")
	sent := b.events()
	if len(sent) != 3 {
		t.Fatalf("events %v", sent)
	}
	if _, e := event(t, sent[0]); e["eventType"] != "credit-config-deleted" || e["version"] != 2.0 {
		t.Error(sent[0])
	}
	if _, e := event(t, sent[2]); e["eventType"] != "user-deleted" || !strings.Contains(sent[2], `"data":{"userId":"user-2"}`) {
		t.Error(sent[2])
	}
}

func TestBadPuts(t *testing.T) {
	b := &bus{}
	w := wrapper.New(wrapper.Config{Publisher: b})
	for _, tt := range []struct{ path, body string }{
		{"credit-configs/x", ``}, {"credit-configs/x", `null`}, {"credit-configs/x", `[]`}, {"credit-configs/x", `{}`}, {"credit-configs/x", `{"creditCost":1} x`},
		{"credit-configs/x", `{"creditCost":"1"}`}, {"credit-configs/x", `{"creditCost":null}`}, {"credit-configs/x", `{"creditCost":-1}`},
		{"credit-configs/x", `{"creditCost":1e999}`}, {"credit-configs/x", `{"creditCost":1` + strings.Repeat("0", 99) + `}`},
		{"credit-configs/x", `{"creditcost":1}`}, {"credit-configs/x", `{"operationCode":"y","creditCost":1}`}, {"credit-configs/x", `{"operationCode":"x"}`},
		{"credit-configs/x", "{\"creditCost\":1,\"operationCode\":\"\xff\"}"}, {"credit-configs/a%00b", `{"creditCost":1}`},
		{"credit-configs/" + strings.Repeat("k", 513), `{"creditCost":1}`}, {"credit-configs/x", strings.Repeat("[", 20_000)},
		{"roles/x", `{"roleName":"x"}`}, {"roles/x", `{"permissions":[1]}`}, {"roles/x", `{"permissions":[null]}`}, {"roles/x", `{"permissions":null}`},
		{"user-status/x", `{"status":""}`}, {"user-status/x", `{"status":null}`}, {"user-status/x", `{"roles":"x"}`}, {"users/x", `{"userId":3}`},
	} {
		expect(t, call(w, "PUT", tenant123+tt.path, tt.body), 400, "")
	}
	expect(t, call(w, "PUT", tenant123+"configs/x", `{"value":"`+strings.Repeat("x", 70_000)+`"}`), 413, "")
	expect(t, call(w, "PUT", "/api/tenants/124/configs/x", `{"value":1}`), 404, "")
	if sent := b.events(); len(sent) != 0 {
		t.Errorf("published %v", sent)
	}
	expect(t, call(w, "GET", tenant123+"credit-configs/x", ""), 404, "")
}

// Who hears the event must find the change.
func TestCommittedBeforePublished(t *testing.T) {
	b := &bus{}
	w := wrapper.New(wrapper.Config{Publisher: b})
	b.before = func() {
		expect(t, call(w, "GET", tenant123+"configs/locale", ""), 200, `{"name":"locale","value":1,"version":2}`)
	}
	expect(t, call(w, "PUT", tenant123+"configs/locale", `{"value":1}`), 200, "")
}

func TestUnannounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bus{fail: true}
		w := wrapper.New(wrapper.Config{Publisher: b})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		for i := range 1024 {
			got := call(w, "PUT", tenant123+"configs/locale", `{"value":1}`)
			if got.Code != 502 || !strings.Contains(got.Body.String(), fmt.Sprintf(`"version":%d`, i+2)) {
				t.Fatalf("%d %s", got.Code, got.Body)
			}
		}
		expect(t, call(w, "PUT", tenant123+"configs/locale", `{"value":2}`), 503, "")
		expect(t, call(w, "GET", tenant123+"configs/locale", ""), 200, `{"name":"locale","value":1,"version":1025}`)
		time.Sleep(time.Minute)
		b.mu.Lock()
		b.fail = false
		b.mu.Unlock()
		time.Sleep(10 * time.Second)
		if n := len(b.events()); n != 1024 {
			t.Errorf("%d events", n)
		}
		expect(t, call(w, "PUT", tenant123+"configs/locale", `{"value":2}`), 200, "")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestGivesUpAfterAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bus{fail: true}
		w := wrapper.New(wrapper.Config{Publisher: b})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = w.Run(ctx) }()
		expect(t, call(w, "PUT", tenant123+"configs/locale", `{"value":1}`), 502, "")
		time.Sleep(2 * time.Hour)
		if stats := call(w, "GET", "/stats", "").Body.String(); !strings.Contains(stats, `"unannounced":0`) {
			t.Error(stats)
		}
	})
}

// A slow read answers with what was committed when it began.
func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wrapper.New(wrapper.Config{Latency: 50 * time.Millisecond})
		began := time.Now()
		slow := make(chan *httptest.ResponseRecorder)
		go func() { slow <- call(w, "GET", tenant123+"configs/locale", "") }()
		synctest.Wait()
		expect(t, call(w, "PUT", tenant123+"configs/locale", `{"value":1}`), 200, "")
		if took := time.Since(began); took != 0 {
			t.Errorf("a PUT took %v", took)
		}
		expect(t, <-slow, 200, `{"name":"locale","value":"en-GB","version":1}`)
		if took := time.Since(began); took != 50*time.Millisecond {
			t.Errorf("a read took %v", took)
		}
	})
}

func TestConcurrentChanges(t *testing.T) {
	b := &bus{}
	w := wrapper.New(wrapper.Config{Publisher: b, Tenants: 3})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 25 {
				call(w, "PUT", tenant123+"configs/locale", fmt.Sprintf(`{"value":%d}`, i))
				call(w, "GET", tenant123+"configs", "")
				call(w, "DELETE", fmt.Sprintf("/api/tenants/tenant-000%d/roles/admin", i%3+1), "")
				call(w, "GET", "/stats", "")
			}
		})
	}
	wg.Wait()
	var doc struct{ Version uint64 }
	if err := json.Unmarshal(call(w, "GET", tenant123+"configs/locale", "").Body.Bytes(), &doc); err != nil || doc.Version != 201 {
		t.Errorf("version %d, %v", doc.Version, err)
	}
	seen := map[string]bool{}
	for _, sent := range b.events() {
		var e struct{ TenantID, EventID string }
		_, payload, _ := strings.Cut(sent, " ")
		if err := json.Unmarshal([]byte(payload), &e); err != nil || seen[e.EventID] {
			t.Errorf("%v, or twice: %s", err, sent)
		}
		seen[e.EventID] = true
	}
	if len(seen) != 203 {
		t.Errorf("%d events", len(seen))
	}
}

func TestIndexAndStats(t *testing.T) {
	w := wrapper.New(wrapper.Config{Tenants: 5})
	text := call(w, "GET", "/", "").Body.String()
	for _, part := range []string{"123", wrapper.SeedTenant, "tenant-0005", "/credit-configs/{key}", "/users/{key}/credits", "crm:{tenant}:users", "history", "/stats"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	call(w, "GET", tenant123+"users/user-1", "")
	call(w, "GET", tenant123+"users/nobody", "")
	call(w, "GET", tenant123+"roles", "")
	call(w, "GET", tenant123+"history/a/b", "")
	call(w, "PUT", tenant123+"roles/admin", "")
	var got struct {
		Reads    uint64
		Families map[string]struct{ One, List, Put, Delete uint64 }
	}
	if err := json.Unmarshal(call(w, "GET", "/stats", "").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Reads != 4 || got.Families["users"].One != 2 || got.Families["roles"].List != 1 || got.Families["roles"].Put != 1 || got.Families["history"].One != 1 {
		t.Errorf("%+v", got)
	}
}

// Over a real connection, where a key arrives as one segment.
func TestKeysOnTheWire(t *testing.T) {
	server := httptest.NewServer(wrapper.New(wrapper.Config{}))
	defer server.Close()
	client := server.Client()
	for key, escaped := range map[string]string{"a/b": "a%2Fb", "../x": "..%2Fx", "%2e%2e": "%252e%252e", "a?b#c": "a%3Fb%23c", "ü +": "%C3%BC%20+"} {
		put, _ := http.NewRequestWithContext(t.Context(), "PUT", server.URL+tenant123+"configs/"+escaped, strings.NewReader(`{"value":1}`))
		resp, err := client.Do(put)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		want, _ := json.Marshal(map[string]any{"name": key, "value": 1, "version": 1})
		if string(body) != string(want)+"\n" {
			t.Errorf("%s: %d %s, want %s", key, resp.StatusCode, body, want)
		}
	}
}

func FuzzPut(f *testing.F) {
	for _, seed := range []string{`{"creditCost":3.10}`, `{"permissions":["a"]}`, `{"value":{"a":1e5}}`, `{"a":{"b":[null]}}`, `{"status":"x","roles":[]}`} {
		f.Add([]byte(seed))
	}
	paths := []string{"credit-configs/x", "roles/x", "user-status/x", "users/x", "configs/x", "hierarchy/x", "users/x/credits"}
	f.Fuzz(func(t *testing.T, body []byte) {
		b := &bus{}
		w := wrapper.New(wrapper.Config{Publisher: b})
		for _, path := range paths {
			put := call(w, "PUT", tenant123+path, string(body))
			if put.Code != 200 && put.Code != 201 && put.Code != 400 && put.Code != 413 || !json.Valid(put.Body.Bytes()) {
				t.Fatalf("%s: %d %s", path, put.Code, put.Body)
			}
			if get := call(w, "GET", tenant123+path, ""); put.Code < 300 && get.Body.String() != put.Body.String() {
				t.Errorf("%s: put %s, got %s", path, put.Body, get.Body)
			}
		}
		for _, sent := range b.events() {
			event(t, sent)
		}
	})
}
