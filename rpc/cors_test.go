package rpc_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	connectcors "connectrpc.com/cors"

	"github.com/tenantry/tenantry/rpc"
)

const page = "https://app.example.com"

func list(h http.Header, name string) []string {
	var all []string
	for _, v := range h.Values(name) {
		for e := range strings.SplitSeq(v, ",") {
			all = append(all, strings.ToLower(strings.TrimSpace(e)))
		}
	}
	return all
}

func TestCORSPreflight(t *testing.T) {
	h := serve(t, func(c *rpc.Config) { c.CORSOrigins, c.Authenticate = []string{page, "https://*.example.org"}, refuse })
	ask := append(connectcors.AllowedHeaders(), "authorization", "x-tenant-id", "if-none-match")
	for i := range ask {
		ask[i] = strings.ToLower(ask[i])
	}
	slices.Sort(ask)
	for origin, allowed := range map[string]bool{
		page: true, "https://a.example.org": true, "https://evil.example": false, "null": false,
		"http://app.example.com": false, "https://app.example.com.evil.example": false,
	} {
		for _, path := range []string{"/tenantry.v1.CacheService/Get", "/api/users/u"} {
			for _, method := range []string{"GET", "POST"} {
				res, _ := h.send(t, h1(t), http.MethodOptions, path, "Origin", origin,
					"Access-Control-Request-Method", method, "Access-Control-Request-Headers", strings.Join(ask, ","))
				got := res.Header.Get("Access-Control-Allow-Origin")
				if allowed != (got == origin) || !allowed && got != "" || res.Header.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("%s %s: got %v", origin, path, res.Header)
				}
				if allowed && (!slices.Contains(list(res.Header, "Access-Control-Allow-Methods"), strings.ToLower(method)) ||
					!slices.Equal(list(res.Header, "Access-Control-Allow-Headers"), ask)) {
					t.Errorf("%s %s: got %v", origin, path, res.Header)
				}
			}
		}
	}
	res, _ := h.send(t, h1(t), http.MethodOptions, "/api/users/u", "Origin", page, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "x-other")
	if res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("any header may be sent")
	}
}

func TestCORSAnswers(t *testing.T) {
	h := serve(t, func(c *rpc.Config) { c.CORSOrigins = []string{page} })
	h.node.Set("t", "user", "u", fresh(`{}`))
	for _, path := range []string{"/v1/tenants/t/entries/user/u", "/tenantry.v1.CacheService/Get?encoding=json&connect=v1&message=%7B%22tenant%22%3A%22t%22%2C%22kind%22%3A%22user%22%2C%22key%22%3A%22u%22%7D"} {
		res, body := h.get(t, path, "Origin", page)
		exposed := list(res.Header, "Access-Control-Expose-Headers")
		if res.StatusCode != http.StatusOK || res.Header.Get("Access-Control-Allow-Origin") != page || !slices.Contains(list(res.Header, "Vary"), "origin") {
			t.Errorf("%s: got %d %s %v", path, res.StatusCode, body, res.Header)
		}
		for _, name := range []string{"tenantry-freshness", "tenantry-node", "age", "etag", "retry-after", "grpc-status", "grpc-message"} {
			if !slices.Contains(exposed, name) {
				t.Errorf("%s: %s is not exposed", path, name)
			}
		}
		if res, _ := h.get(t, path, "Origin", "https://evil.example"); res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: got %v", path, res.Header)
		}
	}
	none := serve(t, nil)
	if res, _ := none.get(t, "/api/users/u", "Origin", page); res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("without origins: got %v", res.Header)
	}
}
