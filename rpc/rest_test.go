package rpc_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/rpc/rpctest"
	"github.com/tenantry/tenantry/shard"
)

func TestRESTAnswers(t *testing.T) {
	h := serve(t, nil)
	h.node.Set("123", "credit-config", "crm.leads.create", fresh(`{"cost":3.10}`))
	h.node.Set("123", "credit-config", "free", fresh(`{"cost":0}`))
	h.node.Set("123", "credit-config", "text", fresh(`{"cost":"2.50"}`))
	h.node.Set("123", "credit-config", "vast", fresh(`{"cost":1e999999999}`))
	h.node.Set("123", "credit-config", "broken", fresh(`{"cost":null}`))
	h.node.Set("123", "credit-config", `a"<b`, fresh(`{"cost":1}`))
	h.node.Set("123", "credit-balance", "u1", fresh(`{"userId":"u1","availableCredits":3.1}`))
	h.node.Set("123", "credit-balance", "u2", fresh(`{"userId":"u2","availableCredits":3.09}`))
	h.node.Set("123", "user", "u1", fresh(`{"userId": "u1",  "name":"<é>"}`))
	h.node.Set("123", "hierarchy", "e1", fresh(`{"entityId":"e1"}`))
	h.node.Set("123", "role", "admin", fresh(`{"permissions":["crm.*", "a<b"]}`))
	h.node.Set("123", "role", "odd", fresh(`{"permissions":"all"}`))
	h.node.Set("123", "user-status", "u1", fresh(`{"status":"active","roles":["admin"]}`))
	h.node.Set("123", "user-status", "odd", fresh(`{"status":"active"}`))
	h.node.Set("123", "config", "c", fresh(`{"value":[1.50, "<"]}`))
	h.node.Set("123", "config", "null", fresh(`{"value":null}`))
	for _, test := range []struct {
		path   string
		status int
		body   string
	}{
		{"/api/users/u1/status", 200, `{"userId":"u1","status":"active","roles":["admin"]}`},
		{"/api/users/u9/status", 404, `{"error":"the origin has no user-status \"u9\""}`},
		{"/api/users/odd/status", 503, `{"error":"the origin's user-status \"odd\" has no usable roles"}`},
		{"/api/users/%2e%2E/status", 400, `{"error":"userId: \".\" and \"..\" cannot be one segment of a path"}`},
		{"/api/configs/c", 200, `{"name":"c","value":[1.50,"<"]}`},
		{"/api/configs/null", 200, `{"name":"null","value":null}`},
		{"/api/configs/none", 404, `{"error":"the origin has no config \"none\""}`},
		{"/api/roles/odd/permissions", 503, `{"error":"the origin's role \"odd\" has no usable permissions"}`},
		{"/api/authorize/crm.leads.create?userId=u1", 200, `{"allowed":true,"reasons":[],"creditCost":3.10,"availableCredits":3.1}`},
		{"/api/authorize/none?userId=u2", 200, `{"allowed":false,"reasons":["user_unknown: the origin has no user-status \"u2\"","operation_not_configured: the origin has no credit-config \"none\""],"availableCredits":3.09}`},
		{"/api/authorize/crm.leads.create", 400, `{"error":"userId: missing"}`},
		{"/api/authorize/crm.leads.create?userId=", 400, `{"error":"userId: empty"}`},
		{"/api/authorize/?userId=u1", 400, `{"error":"operation: missing"}`},
		{"/api/history/x", 501, `{"error":"/api/history/{path...} is not served by this node"}`},
		{"/api/credits/check/crm.leads.create", 200, `{"operation":"crm.leads.create","creditCost":3.10,"canAfford":true}`},
		{"/api/credits/check/crm.leads.create?userId=u1", 200, `{"operation":"crm.leads.create","creditCost":3.10,"canAfford":true,"availableCredits":3.1}`},
		{"/api/credits/check/crm.leads.create?userId=u2", 200, `{"operation":"crm.leads.create","creditCost":3.10,"canAfford":false,"availableCredits":3.09}`},
		{"/api/credits/check/text", 200, `{"operation":"text","creditCost":"2.50","canAfford":true}`},
		{"/api/credits/check/vast?userId=u1", 200, `{"operation":"vast","creditCost":1e999999999,"canAfford":false,"availableCredits":3.1}`},
		{"/api/credits/check/a%22%3Cb", 200, `{"operation":"a\"<b","creditCost":1,"canAfford":true}`},
		{"/api/credits/check/none", 404, `{"error":"Operation not configured","operation":"none"}`},
		{"/api/credits/check/none?userId=u1", 404, `{"error":"Operation not configured","operation":"none"}`},
		{"/api/credits/check/free?userId=nobody", 404, `{"error":"the origin has no credit-balance \"nobody\""}`},
		{"/api/credits/check/broken", 503, `{"error":"the origin's credit-config \"broken\" has no usable cost"}`},
		{"/api/credits/check/free?userId=", 400, `{"error":"userId: empty"}`},
		{"/api/credits/check/free?userId=u1&userId=u2", 400, `{"error":"userId: given more than once"}`},
		{"/api/credits/check/free?userId=%zz", 400, `{"error":"query: is not percent-encoded as it should be"}`},
		{"/api/credits/check/free?userId=%00", 400, `{"error":"userId: has a control character"}`},
		{"/api/users/u1", 200, `{"userId": "u1",  "name":"<é>"}`},
		{"/api/users/u2", 404, `{"error":"the origin has no user \"u2\""}`},
		{"/api/hierarchy/e1", 200, `{"entityId":"e1"}`},
		{"/api/roles/admin/permissions", 200, `{"roleId":"admin","permissions":["crm.*","a<b"]}`},
		{"/v1/tenants/123/entries/credit-config/crm.leads.create", 200, `{"cost":3.10}`},
		{"/v1/tenants/a%20b/entries/credit-config/x", 400, `{"error":"tenant: has a character other than A-Z a-z 0-9 . _ -"}`},
		{"/v1/tenants/123/entries/a%2Fb/x", 400, `{"error":"kind: has a character other than A-Z a-z 0-9 . _ -"}`},
		{"/api/users/", 400, `{"error":"userId: missing"}`},
		{"/api/users/..", 400, `{"error":"userId: \".\" and \"..\" cannot be one segment of a path"}`},
		{"/api/users/%2E%2e", 400, `{"error":"userId: \".\" and \"..\" cannot be one segment of a path"}`},
		{"/api/users/u1/x", 404, `{"error":"no such path"}`},
		{"//api/users/u1", 404, `{"error":"no such path"}`},
		{"/api/users/../roles", 404, `{"error":"no such path"}`},
		{"/", 404, `{"error":"no such path"}`},
	} {
		res, body := h.get(t, test.path, "X-Tenant-Id", "123")
		if res.StatusCode != test.status || body != test.body {
			t.Errorf("%s: got %d %s, want %d %s", test.path, res.StatusCode, body, test.status, test.body)
		}
		if !json.Valid([]byte(body)) || res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: not JSON", test.path)
		}
	}
}

func TestRESTHeaders(t *testing.T) {
	h := serve(t, nil)
	a := fresh(`{"userId":"u1"}`)
	a.State = cache.Provisional
	h.node.Set("123", "user", "u1", a)
	res, _ := h.get(t, "/api/users/u1", "X-Tenant-Id", "123")
	for name, want := range map[string]string{
		"Tenantry-Freshness": "provisional", "Age": "1", "Tenantry-Node": "n1", "Content-Type": "application/json",
		"Cache-Control": "private, no-cache", "Vary": "X-Tenant-Id, Authorization",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	etag := res.Header.Get("ETag")
	for _, match := range []string{etag, "W/" + etag, `"other", ` + etag, "*"} {
		res, body := h.get(t, "/api/users/u1", "X-Tenant-Id", "123", "If-None-Match", match)
		if res.StatusCode != http.StatusNotModified || body != "" || res.Header.Get("ETag") != etag || res.Header.Get("Tenantry-Freshness") != "provisional" {
			t.Errorf("If-None-Match %s: got %d %q", match, res.StatusCode, body)
		}
	}
	h.node.Set("123", "user", "u1", fresh(`{"userId":"u1","changed":1}`))
	if res, _ := h.get(t, "/api/users/u1", "X-Tenant-Id", "123", "If-None-Match", etag); res.StatusCode != http.StatusOK || res.Header.Get("ETag") == etag {
		t.Errorf("changed: got %d", res.StatusCode)
	}
	if res, body := h.send(t, h1(t), http.MethodHead, "/api/users/u1", "X-Tenant-Id", "123"); res.StatusCode != http.StatusOK || body != "" || res.ContentLength != 27 {
		t.Errorf("HEAD: got %d %q %d", res.StatusCode, body, res.ContentLength)
	}
	if res, body := h.send(t, h1(t), http.MethodPost, "/api/users/u1", "X-Tenant-Id", "123"); res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") == "" {
		t.Errorf("POST: got %d %q", res.StatusCode, body)
	}
}

func TestRESTComposedAnswerIsAsOldAsItsOldestPart(t *testing.T) {
	h := serve(t, nil)
	h.node.Set("123", "credit-config", "op", cache.Answer{Value: []byte(`{"cost":1}`), Age: 2 * time.Second, State: cache.Stale})
	h.node.Set("123", "credit-balance", "u", cache.Answer{Value: []byte(`{"availableCredits":1}`), Age: 9 * time.Second})
	res, _ := h.get(t, "/api/credits/check/op?userId=u", "X-Tenant-Id", "123")
	if res.Header.Get("Tenantry-Freshness") != "stale" || res.Header.Get("Age") != "9" {
		t.Errorf("got %v", res.Header)
	}
}

func TestRESTTenant(t *testing.T) {
	h := serve(t, nil)
	for _, test := range []struct {
		headers []string
		body    string
	}{
		{nil, `{"error":"X-Tenant-Id: missing"}`},
		{[]string{"X-Tenant-Id", ""}, `{"error":"X-Tenant-Id: missing"}`},
		{[]string{"X-Tenant-Id", ".."}, `{"error":"X-Tenant-Id: \".\" and \"..\" are not names"}`},
		{[]string{"X-Tenant-Id", "a/b"}, `{"error":"X-Tenant-Id: has a character other than A-Z a-z 0-9 . _ -"}`},
		{[]string{"X-Tenant-Id", "a", "X-Tenant-Id", "b"}, `{"error":"X-Tenant-Id: given more than once"}`},
	} {
		for _, path := range []string{"/api/users/u", "/api/credits/check/o", "/api/roles/r/permissions", "/api/hierarchy/e"} {
			if res, body := h.get(t, path, test.headers...); res.StatusCode != http.StatusBadRequest || body != test.body {
				t.Errorf("%s %v: got %d %s", path, test.headers, res.StatusCode, body)
			}
		}
	}
	if reads := h.node.Reads(); len(reads) != 0 {
		t.Errorf("read %v", reads)
	}
}

// TestRESTKeysAreTakenAsTheyAre sends hostile keys over both HTTP versions: the
// node sees each exactly, and nobody is redirected.
func TestRESTKeysAreTakenAsTheyAre(t *testing.T) {
	h := serve(t, nil)
	for _, key := range []string{"../x", "a/b", "%2e%2e", "%2F", "a//b", "./.", "…", "a?b#c", "a b+c", `"`, "\\..\\", ";x=1", "é", "../../admin"} {
		for name, c := range map[string]*http.Client{"h1": h1(t), "h2c": h2c(t)} {
			res, _ := h.send(t, c, http.MethodGet, "/v1/tenants/t/entries/user/"+url.PathEscape(key))
			reads := h.node.Reads()
			if res.StatusCode != http.StatusNotFound || len(reads) != 1 || (reads[0].Entry != rpctest.Entry{Tenant: "t", Kind: "user", Key: key}) {
				t.Errorf("%s %q: got %d, %v", name, key, res.StatusCode, reads)
			}
		}
	}
}

func TestRESTFaults(t *testing.T) {
	h := serve(t, nil)
	for _, test := range []struct {
		err        error
		status     int
		retry      string
		body       string
		mustNotSay string
	}{
		{&cache.UnavailableError{RetryAfter: 2500 * time.Millisecond, Err: &cache.FaultError{Reason: "timeout", Err: errors.New("http://10.0.0.1")}}, 503, "3", "timeout", "10.0.0.1"},
		{&cache.UnavailableError{Err: errors.New("secret")}, 503, "1", "origin", "secret"},
		{&cache.FaultError{Reason: "throttled", RetryAfter: 9 * time.Second, Err: errors.New("secret")}, 503, "9", "throttled", "secret"},
		{cache.ErrTooOld, 503, "1", "older", ""},
		{shard.ErrTenantLimit, 429, "1", "limits.active_tenants", ""},
		{&shard.UnknownKindError{Kind: "user", Known: []string{"flag", "shop"}}, 400, "", "flag, shop", ""},
		{errors.New("secret"), 500, "", "internal error", "secret"},
	} {
		h.node.Fail("t", "user", "k", test.err)
		res, body := h.get(t, "/v1/tenants/t/entries/user/k")
		if res.StatusCode != test.status || res.Header.Get("Retry-After") != test.retry || !strings.Contains(body, test.body) {
			t.Errorf("%v: got %d %q %s", test.err, res.StatusCode, res.Header.Get("Retry-After"), body)
		}
		if test.mustNotSay != "" && strings.Contains(body, test.mustNotSay) {
			t.Errorf("%v: said %s", test.err, body)
		}
	}
	h.stop()
	if got := h.log.String(); strings.Count(got, "level=ERROR") != 1 || !strings.Contains(got, "secret") {
		t.Errorf("logged %s", got)
	}
}

func TestRESTAuthorisation(t *testing.T) {
	for _, test := range []struct {
		name         string
		authenticate rpc.Authenticate
		path         string
		status       int
	}{
		{"no authentication is no entry", nil, "/v1/tenants/a/entries/user/u", 401},
		{"who is refused", refuse, "/v1/tenants/a/entries/user/u", 401},
		{"own tenant", only("a"), "/v1/tenants/a/entries/user/u", 200},
		{"the only tenant needs no header", only("a"), "/api/users/u", 200},
		{"another's tenant", only("a"), "/v1/tenants/b/entries/user/u", 403},
		{"one of several needs a header", only("a", "b"), "/api/users/u", 400},
		{"no scope", scopeless, "/v1/tenants/a/entries/user/u", 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := serve(t, func(c *rpc.Config) { c.Authenticate = test.authenticate })
			h.node.Set("a", "user", "u", fresh("{}"))
			h.node.Set("b", "user", "u", fresh("{}"))
			if res, body := h.get(t, test.path); res.StatusCode != test.status || strings.Contains(body, "secret") {
				t.Errorf("got %d %s", res.StatusCode, body)
			}
			if reads := h.node.Reads(); (len(reads) > 0) != (test.status == 200) {
				t.Errorf("read %v", reads)
			}
		})
	}
}
