package wrapper

import (
	"fmt"
	"net/http"
	"sync/atomic"
)

// counts are the requests of a family of paths.
type counts struct{ One, List, Put, Delete atomic.Uint64 }

// count returns the counts of a family; only route calls it.
func (w *Wrapper) count(name string) *counts {
	if w.counts[name] == nil {
		w.counts[name] = new(counts)
	}
	return w.counts[name]
}

// counted counts a request when it comes, whatever becomes of it.
func counted(n *atomic.Uint64, h http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, req *http.Request) {
		n.Add(1)
		h(rw, req)
	}
}

// stats answers with the requests so far: how rarely the origin is asked.
func (w *Wrapper) stats(rw http.ResponseWriter, _ *http.Request) {
	type family struct {
		One    uint64 `json:"one"`
		List   uint64 `json:"list"`
		Put    uint64 `json:"put"`
		Delete uint64 `json:"delete"`
	}
	families, reads := make(map[string]family), uint64(0)
	for name, c := range w.counts {
		f := family{c.One.Load(), c.List.Load(), c.Put.Load(), c.Delete.Load()}
		families[name] = f
		reads += f.One + f.List
	}
	write(rw, http.StatusOK, encode(map[string]any{"reads": reads, "families": families, "unannounced": len(w.bus.slots)}))
}

// noSuchPath answers in plain text: a 404 in JSON would say that an item is
// absent, and a mistaken path says nothing of items.
func noSuchPath(rw http.ResponseWriter, _ *http.Request) {
	http.Error(rw, "no such path or method; GET / lists them", http.StatusNotFound)
}

// index tells people what there is.
func (w *Wrapper) index(rw http.ResponseWriter, _ *http.Request) {
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(rw, "Sample Wrapper: an origin for Tenantry.\n\nTenants: 123, %s", SeedTenant)
	if w.cfg.Tenants > 0 {
		fmt.Fprintf(rw, ", %s to %s", TenantName(1), TenantName(w.cfg.Tenants))
	}
	fmt.Fprint(rw, "\n\n")
	for _, f := range w.families {
		if f.listed {
			fmt.Fprintf(rw, "GET             /api/tenants/{tenant}/%s[?page=N]\n", f.name)
		}
		fmt.Fprintf(rw, "GET PUT DELETE  /api/tenants/{tenant}/%s\n", f.one)
		fmt.Fprintf(rw, "                  announced on %s:{tenant}:%s; e.g. %s\n", w.cfg.Namespace, f.topic, example(f.table))
	}
	fmt.Fprint(rw, "GET             /api/tenants/{tenant}/history/{path}\nGET             /api/tenants/{tenant}/audit-logs/{path}\n"+
		"GET             /stats                        how often each was asked\n\n"+
		"curl -X PUT -d '{\"creditCost\": 3.10}' http://THIS/api/tenants/123/credit-configs/crm.leads.create\n")
}

func example(t table) string { return seedKeys(t, 0)[0] }
