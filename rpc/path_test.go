package rpc

import (
	"bufio"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSegments(t *testing.T) {
	for raw, want := range map[string][]string{
		"/api/users/u1":             {"api", "users", "u1"},
		"/api/users/..%2Fx":         {"api", "users", "../x"},
		"/api/users/%2e%2e":         {"api", "users", ".."},
		"/api/users/%252e%252e":     {"api", "users", "%2e%2e"},
		"/api/users/a%2fb":          {"api", "users", "a/b"},
		"/api/users/a%2Fb\"c":       {"api", "users", `a/b"c`},
		"/api/users/../x":           {"api", "users", "..", "x"},
		"//api/users/x":             {"", "api", "users", "x"},
		"/api/users/":               {"api", "users", ""},
		"/api/users/a%20b+c":        {"api", "users", "a b+c"},
		"/api/users/%D0%B6":         {"api", "users", "ж"},
		"/api/users/a;b=c":          {"api", "users", "a;b=c"},
		"/":                         {""},
		strings.Repeat("/x", 33):    nil,
		"*":                         nil,
		strings.Repeat("/x", 10000): nil,
	} {
		u, err := url.ParseRequestURI(raw)
		if raw == "*" {
			u, err = &url.URL{Path: "*"}, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, segments(u)); diff != "" {
			t.Errorf("%.40s: %s", raw, diff)
		}
	}
}

// FuzzPath sends keys through net/http's parser, percent-encoded as one
// segment, and any bytes as they are.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"../x", "a/b", "%2e%2e", "..", "", "a?b#c", "ж", "\x00", `"`, "//", "+"} {
		f.Add(s)
	}
	pattern := []string{"v1", "tenants", "{tenant}", "entries", "{kind}", "{key}"}
	f.Fuzz(func(t *testing.T, key string) {
		if r, ok := parseRequest("/v1/tenants/t/entries/k/" + url.PathEscape(key)); ok {
			got, ok := match(pattern, segments(r.URL))
			if !ok || !slices.Equal(got, []string{"t", "k", key}) {
				t.Fatalf("%q: got %q, %v", key, got, ok)
			}
		} else {
			t.Fatalf("%q: refused", key)
		}
		if r, ok := parseRequest("/" + key); ok {
			segments(r.URL)
		}
	})
}

func parseRequest(target string) (*http.Request, bool) {
	if strings.ContainsAny(target, " \r\n") {
		return nil, false
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")))
	return r, err == nil
}
