package wrapper_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/tenantry/tenantry/cmd/tenantry/wrapper"
)

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

// Who hears the event must find the change.
func TestCommittedBeforePublished(t *testing.T) {
	b := &bus{}
	w := wrapper.New(wrapper.Config{Publisher: b})
	b.before = func() {
		expect(t, call(w, "GET", tenant123+"configs/locale", ""), 200, `{"name":"locale","value":1,"version":2}`)
	}
	expect(t, call(w, "PUT", tenant123+"configs/locale", `{"value":1}`), 200, "")
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
