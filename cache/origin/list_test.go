package origin_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/cache/origin"
)

// pages serves the given bodies one after another, with links between them.
func pages(link string, bodies ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		n, _ := strconv.Atoi(req.URL.Query().Get("page"))
		if n < len(bodies)-1 {
			w.Header().Set("Link", fmt.Sprintf(link, n+1))
		}
		answer(w, bodies[n])
	}
}

func collect(t *testing.T, r *origin.Reader) (got [][]string, err error) {
	t.Helper()
	_, err = r.List(t.Context(), "123", role, "", func(docs []cache.Document) error {
		page := []string{}
		for _, d := range docs {
			page = append(page, d.Key+"="+string(d.Value))
		}
		got = append(got, page)
		return nil
	})
	return got, err
}

func TestList(t *testing.T) {
	for _, link := range []string{`<?page=%d>; rel="next"`, `</api/tenants/123/roles?page=%d>; rel=next`,
		`<?page=9>; rel="prev", <roles?page=%d#x>; title="a, b"; rel="last next"`} {
		r := serve(t, origin.Config{}, pages(link, ` [ {"id":"a","v":3.10} , {"id":"b","v":{"x":[1,"],[",2]}}]`, `[]`, `[{"id":"c","v":"\u0000"}]`))
		got, err := collect(t, r)
		want := [][]string{{"a=3.10", `b={"x":[1,"],[",2]}`}, {}, {`c="\u0000"`}}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", link, err, diff)
		}
	}
}

func TestListFaults(t *testing.T) {
	const next = `<?page=%d>; rel="next"`
	tests := map[string]struct {
		link  string
		pages []string
		want  string
		index string
	}{
		"not an array":         {pages: []string{`{"id":"a"}`}, want: "malformed"},
		"null":                 {pages: []string{`null`}, want: "malformed"},
		"torn":                 {pages: []string{`[{"id":"a"}`}, want: "malformed"},
		"not an object":        {pages: []string{`[{"id":"a"},null]`}, want: "malformed", index: "index 1"},
		"nested list":          {pages: []string{`[[{"id":"a"}]]`}, want: "malformed", index: "index 0"},
		"wrong type of key":    {pages: []string{`[{"id":"a"},{"id":"b"},{"id":3}]`}, want: "malformed", index: "index 2"},
		"no key":               {pages: []string{`[{}]`}, want: "malformed", index: "index 0"},
		"key with control":     {pages: []string{`[{"id":"a\u0000"}]`}, want: "malformed", index: "index 0"},
		"key too long":         {pages: []string{`[{"id":"` + strings.Repeat("k", 513) + `"}]`}, want: "malformed", index: "index 0"},
		"twice":                {pages: []string{`[{"id":"a"},{"id":"a"}]`}, want: "malformed", index: "index 1"},
		"twice over pages":     {link: next, pages: []string{`[{"id":"a"},{"id":"b"}]`, `[{"id":"b"}]`}, want: "malformed", index: "index 2"},
		"64 deep":              {pages: []string{`[{"id":"a","v":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}]`}, want: "<nil>"},
		"65 deep":              {pages: []string{`[{"id":"a","v":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}]`}, want: "malformed"},
		"page too large":       {pages: []string{`["` + strings.Repeat("x", 1200) + `"]`}, want: "oversized"},
		"list too large":       {link: next, pages: []string{filled("a"), filled("b"), filled("c")}, want: "oversized"},
		"too many pages":       {link: next, pages: []string{"[]", "[]", "[]", "[]", "[]", "[]"}, want: "oversized"},
		"to itself":            {link: `<roles>; rel=next; n=%d`, pages: []string{"[]", "[]"}, want: "malformed"},
		"in a circle":          {link: `<?page=1>; rel=next; n=%d`, pages: []string{"[]", "[]", "[]"}, want: "malformed"},
		"to another path":      {link: `<../users?page=%d>; rel=next`, pages: []string{"[]", "[]"}, want: "redirect"},
		"to another tenant":    {link: `</api/tenants/124/roles?page=%d>; rel=next`, pages: []string{"[]", "[]"}, want: "redirect"},
		"to another host":      {link: `<http://127.0.0.2:1/api/tenants/123/roles?page=%d>; rel=next`, pages: []string{"[]", "[]"}, want: "redirect"},
		"to a file":            {link: `<file:///api/tenants/123/roles?page=%d>; rel=next`, pages: []string{"[]", "[]"}, want: "redirect"},
		"not a URL":            {link: `<http://[::1?%d>; rel=next`, pages: []string{"[]", "[]"}, want: "malformed"},
		"not a Link":           {link: `?page=%d; rel=next`, pages: []string{"[]", "[]"}, want: "malformed"},
		"two different Links":  {link: `<?page=%d>; rel=next, <?page=7>; rel=next`, pages: []string{"[]", "[]"}, want: "malformed"},
		"the Link of an other": {link: `<?page=%d>; rel=next; anchor="/x"`, pages: []string{"[]", "torn"}, want: "<nil>"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := serve(t, origin.Config{MaxBytes: 1000, MaxListBytes: 2000, MaxPages: 4}, pages(tt.link, tt.pages...))
			_, err := collect(t, r)
			if reason(err) != tt.want || err != nil && !strings.Contains(err.Error(), tt.index) {
				t.Errorf("got %v, want %s %s", err, tt.want, tt.index)
			}
		})
	}
}

func filled(key string) string {
	return `[{"id":"` + key + `","v":"` + strings.Repeat("x", 900) + `"}]`
}

func TestListStatus(t *testing.T) {
	absentFrom := func(n int) http.HandlerFunc {
		asked := 0
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Link", fmt.Sprintf(`<?page=%d>; rel="next"`, asked+1))
			if asked++; asked > n {
				w.WriteHeader(http.StatusNotFound)
				fmt.Fprint(w, "{}")
				return
			}
			fmt.Fprint(w, "[]")
		}
	}
	if _, err := collect(t, serve(t, origin.Config{}, absentFrom(0))); !errors.Is(err, cache.ErrAbsent) {
		t.Error(err)
	}
	if _, err := collect(t, serve(t, origin.Config{}, absentFrom(2))); reason(err) != "status" {
		t.Errorf("a 404 in the middle of a list: %v", err)
	}
	unasked := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }
	if _, err := collect(t, serve(t, origin.Config{}, unasked)); reason(err) != "status" {
		t.Errorf("304: %v", err)
	}
}

func TestListEndsWithItsReceiver(t *testing.T) {
	asked := 0
	r := serve(t, origin.Config{}, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Link", fmt.Sprintf(`<?page=%d>; rel="next"`, asked))
		answer(w, "[]")
	})
	enough := errors.New("enough")
	_, err := r.List(t.Context(), "123", role, "", func([]cache.Document) error { return enough })
	if !errors.Is(err, enough) || asked != 1 {
		t.Errorf("%v after %d pages", err, asked)
	}
}

func TestListTimeouts(t *testing.T) {
	slow := func(w http.ResponseWriter, req *http.Request) {
		if req.URL.RawQuery == "" {
			w.Header().Set("Link", `<?page=1>; rel="next"`)
			answer(w, "[]")
			return
		}
		<-req.Context().Done()
	}
	for _, cfg := range []origin.Config{{Timeout: 100 * time.Millisecond}, {ListTimeout: 100 * time.Millisecond, Timeout: time.Minute}} {
		began := time.Now()
		_, err := collect(t, serve(t, cfg, slow))
		if reason(err) != "timeout" || time.Since(began) > 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	}
}

// A list of one page has the ETag that the origin gave it, and is asked for with
// that of an earlier one; of several pages none speaks for the whole.
func TestListETag(t *testing.T) {
	var asked []string
	r := serve(t, origin.Config{}, func(w http.ResponseWriter, req *http.Request) {
		asked = append(asked, req.Header.Get("If-None-Match"))
		w.Header().Set("ETag", `"v1"`)
		switch {
		case req.Header.Get("If-None-Match") == `"v1"`:
			w.WriteHeader(http.StatusNotModified)
		case req.Header.Get("X-Tenant-Id") == "paged" && req.URL.RawQuery == "":
			w.Header().Set("Link", `<?page=2>; rel="next"`)
			answer(w, `[]`)
		default:
			answer(w, `[]`)
		}
	})
	for _, test := range []struct {
		tenant, etag, want string
		err                error
		asked              []string
	}{
		{"123", "", `"v1"`, nil, []string{""}},
		{"123", `"v0"`, `"v1"`, nil, []string{`"v0"`}},
		{"123", `"v1"`, "", cache.ErrNotModified, []string{`"v1"`}},
		{"123", "no tag\r\nX: y", `"v1"`, nil, []string{""}},
		{"paged", `"v0"`, "", nil, []string{`"v0"`, ""}},
	} {
		asked = nil
		etag, err := r.List(t.Context(), test.tenant, role, test.etag, func([]cache.Document) error { return nil })
		if etag != test.want || !errors.Is(err, test.err) || !slices.Equal(asked, test.asked) {
			t.Errorf("%s with %q: %q, %v, asked with %q", test.tenant, test.etag, etag, err, asked)
		}
	}
}
