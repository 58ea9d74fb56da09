package origin

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/tenantry/tenantry/cmd/chaos/history"
)

// pageKeys is how many keys the first page of a list has, for tenants whose
// lists have two.
const pageKeys = 2

// ServeHTTP answers with a document, a list, or as the fault says.
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.asked.Add(1)
	switch {
	case isList(r.URL.Path):
		o.lists.Add(1)
	case strings.HasSuffix(r.URL.Path, "/credits"):
		o.balances.Add(1)
	}
	f := o.misbehaviour(r.URL.Path)
	if !dawdle(r.Context(), f.Before) {
		return
	}
	body, etag, next := o.look(r.URL.Path, r.URL.RawQuery)
	if !dawdle(r.Context(), f.After) {
		return
	}
	switch {
	case f.Hang && !f.InBody:
		<-r.Context().Done()
		return
	case f.Status != 0:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(f.Status)
		return
	}
	if next != "" {
		w.Header().Set("Link", "<"+next+`>; rel="next"`)
	}
	answer(w, r, f, body, etag)
}

// dawdle waits for a random part of the time, and reports whether the client
// still waits.
func dawdle(ctx context.Context, most time.Duration) bool {
	if most <= 0 {
		return true
	}
	timer := time.NewTimer(rand.N(most))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// answer sends a document; an empty one is not there.
func answer(w http.ResponseWriter, r *http.Request, f Fault, body, etag string) {
	w.Header().Set("Content-Type", "application/json")
	if body == "" {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"error":"not found"}`)
		return
	}
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if !f.InBody {
		_, _ = io.WriteString(w, body)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = io.WriteString(w, body[:len(body)/2])
	_ = http.NewResponseController(w).Flush()
	if f.Hang {
		<-r.Context().Done()
	}
	panic(http.ErrAbortHandler)
}

// look returns the document of a path; none is empty. What is looked up is
// current at some instant within the call.
func (o *Origin) look(path, query string) (body, etag, next string) {
	parts := strings.Split(strings.Trim(path, "/"), "/") // api tenants T collection [key [suffix]]
	if len(parts) < 4 {
		return "", "", ""
	}
	tenant, collection, rest := parts[2], parts[3], append(slices.Clone(parts[4:]), "", "")
	if _, known := o.byName[o.name(tenant, Credit, "k0")]; !known {
		return "", "", ""
	}
	for f := range families {
		for _, kind := range f.views() {
			v := &o.views[kind]
			switch {
			case v.collection != collection:
			case rest[0] == "" && v.suffix == "" && collection != "users":
				return o.list(tenant, f, v, path, query)
			case rest[0] != "" && rest[1] == v.suffix:
				body = o.one(tenant, f, v, rest[0])
				return body, tag(body), ""
			}
		}
	}
	return "", "", ""
}

// isList says whether a path is that of a list.
func isList(path string) bool { return strings.Count(path, "/") == 4 }

func tag(body string) string { return fmt.Sprintf(`"%x"`, xxhash.Sum64String(body)) }

func (o *Origin) one(tenant string, f Family, v *view, key string) string {
	at, ok := o.byName[o.name(tenant, f, key)]
	if !ok {
		return ""
	}
	if c := o.log.Items[at].Current(); !c.Absent {
		return v.render(key, c)
	}
	return ""
}

// isPaged says whether a tenant's lists have two pages: t7, t17, … t97. Of these no
// absence is known without asking.
func isPaged(tenant string) bool { return strings.HasSuffix(tenant, "7") && len(tenant) <= len("t97") }

// list returns all documents, for some tenants on two pages.
func (o *Origin) list(tenant string, f Family, v *view, path, query string) (body, etag, next string) {
	var docs []string
	paged := isPaged(tenant)
	for k := range o.perTenant {
		if second := k >= pageKeys; paged && second != (query == "page=2") {
			continue
		}
		if doc := o.one(tenant, f, v, fmt.Sprintf("k%d", k)); doc != "" {
			docs = append(docs, doc)
		}
	}
	if paged && query == "" {
		next = path + "?page=2"
	}
	body = "[" + strings.Join(docs, ",") + "]"
	return body, tag(body), next
}

// Entries returns the entries of a history by tenant.
func (o *Origin) Entries() (byTenant map[string][]int32) {
	byTenant = make(map[string][]int32)
	for e, entry := range o.log.Entries {
		tenant := o.items[entry.Item].tenant
		byTenant[tenant] = append(byTenant[tenant], int32(e))
	}
	return byTenant
}

var _ http.Handler = (*Origin)(nil)

// Kind returns the kind of an entry.
func (o *Origin) Kind(e history.Entry) history.Kind { return o.log.Kinds[e.Kind] }
