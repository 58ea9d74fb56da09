package wrapper_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/cmd/tenantry/wrapper"
)

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
		put, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+tenant123+"configs/"+escaped, strings.NewReader(`{"value":1}`))
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
