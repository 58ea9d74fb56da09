package rpc_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"pgregory.net/rapid"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/shard"
)

func (m *member) cluster() tenantryv1connect.ClusterServiceClient {
	return tenantryv1connect.NewClusterServiceClient(m.http, m.url)
}

// holding is a tenant on a node, as a list has it.
type holding struct{ tenant, node string }

func (h holding) String() string { return h.tenant + " on " + h.node }

func (ms *members) hold(h holding) {
	ms.named(h.node).node.Activate(shard.Description{Summary: shard.Summary{Name: h.tenant, State: shard.Live}})
}

func (ms *members) named(node string) *member {
	return ms.all[slices.IndexFunc(ms.all, func(m *member) bool { return m.peer.Name == node })]
}

// list reads all pages; between two of them, meanwhile is called.
func (ms *members) list(ctx context.Context, req *tenantryv1.ListTenantsRequest, meanwhile func()) (all []holding, sizes []int, err error) {
	for i := 0; ; i++ {
		page, err := ms.all[i%len(ms.all)].cluster().ListTenants(ctx, req) // any node goes on
		if err != nil {
			return nil, nil, err
		}
		for _, s := range page.GetTenants() {
			all = append(all, holding{s.GetTenant(), s.GetNode()})
		}
		sizes = append(sizes, len(page.GetTenants()))
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			return all, sizes, nil
		}
		meanwhile()
	}
}

// sorted returns holdings in the order of a list.
func sortedHoldings(all []holding) []holding {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b holding) int {
		return strings.Compare(a.tenant+"\x00"+a.node, b.tenant+"\x00"+b.node)
	})
	return slices.Compact(all)
}

func TestPagesOfAllNodes(t *testing.T) {
	bubble(t, 3, func(t *testing.T, ms *members) {
		var want []holding
		for i := range 7 {
			for _, node := range []string{fmt.Sprintf("n%d", 1+i%3), fmt.Sprintf("n%d", 1+(i+1)%3)} {
				want = append(want, holding{fmt.Sprintf("t%d", i), node})
				ms.hold(want[len(want)-1])
			}
		}
		want = sortedHoldings(want)
		for size := 1; size <= len(want)+1; size++ {
			got, sizes, err := ms.list(t.Context(), &tenantryv1.ListTenantsRequest{PageSize: uint32(size)}, func() {})
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("pages of %d: %v, %v", size, got, err)
			}
			for i, n := range sizes {
				if n != min(size, len(want)-i*size) {
					t.Errorf("pages of %d have %v", size, sizes)
				}
			}
		}
		got, _, err := ms.list(t.Context(), &tenantryv1.ListTenantsRequest{PageSize: 2, Node: "n3"}, func() {})
		if err != nil || len(got) != 4 || slices.ContainsFunc(got, func(h holding) bool { return h.node != "n3" }) {
			t.Error(got, err)
		}
		if _, _, err := ms.list(t.Context(), &tenantryv1.ListTenantsRequest{Node: "n4"}, func() {}); connect.CodeOf(err) != connect.CodeNotFound {
			t.Error(err)
		}
		ms.all[2].Freeze()
		start := time.Now()
		_, _, err = ms.list(t.Context(), &tenantryv1.ListTenantsRequest{}, func() {})
		wantCode(t, err, connect.CodeUnavailable, "node n3 could not be reached")
		_, _, err = ms.list(t.Context(), &tenantryv1.ListTenantsRequest{Node: "n3"}, func() {})
		wantCode(t, err, connect.CodeUnavailable, "node n3 could not be reached")
		if took := time.Since(start); took > 11*time.Second {
			t.Error(took)
		}
	})
}

// drawHolding draws from names that are next to each other.
func drawHolding(t *rapid.T, of string) holding {
	return holding{
		of + rapid.StringMatching(`[-.0aAb_z]{1,3}`).Draw(t, "tenant"),
		rapid.SampledFrom([]string{"n1", "n2", "n3"}).Draw(t, "node"),
	}
}

// Each tenant on each node is listed once and in order, whatever the size of a page,
// who may see it, and what comes and goes meanwhile.
func TestPagesWhileTenantsComeAndGo(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var stay []holding
		for range rapid.IntRange(0, 12).Draw(r, "staying") {
			h := drawHolding(r, rapid.SampledFrom([]string{"p", "q"}).Draw(r, "prefix"))
			stay = append(stay, h, holding{h.tenant, []string{"n2", "n3", "n1"}[h.node[1]-'1']})
		}
		visible := func(string) bool { return true }
		var may []string
		restricted := rapid.Bool().Draw(r, "restricted")
		if restricted {
			for _, h := range stay {
				if rapid.Bool().Draw(r, "may") {
					may = append(may, h.tenant)
				}
			}
			slices.Sort(may)
			visible = func(tenant string) bool { return slices.Contains(may, tenant) }
		}
		req := &tenantryv1.ListTenantsRequest{PageSize: uint32(rapid.IntRange(1, 9).Draw(r, "size"))}
		if rapid.Bool().Draw(r, "with a prefix") {
			req.Prefix = "p"
		}
		if rapid.Bool().Draw(r, "of a node") {
			req.Node = "n2"
		}
		var want []holding
		for _, h := range sortedHoldings(stay) {
			if visible(h.tenant) && strings.HasPrefix(h.tenant, req.Prefix) && (req.Node == "" || req.Node == h.node) {
				want = append(want, h)
			}
		}
		ms := assemble(t, 3, func(_ string, c *rpc.Config) {
			c.Authenticate = func(context.Context, http.Header) (*rpc.Caller, error) {
				return &rpc.Caller{Name: "x", Tenants: may, AllTenants: !restricted, Scope: rpc.ScopeOperate}, nil
			}
		})
		for _, h := range stay {
			ms.hold(h)
		}
		got, _, err := ms.list(r.Context(), req, func() {
			for range rapid.IntRange(0, 4).Draw(r, "changes") {
				h := drawHolding(r, rapid.SampledFrom([]string{"p", "q"}).Draw(r, "prefix"))
				if slices.ContainsFunc(stay, func(s holding) bool { return s.tenant == h.tenant }) {
					continue
				}
				if rapid.Bool().Draw(r, "comes") {
					ms.hold(h)
				} else {
					ms.named(h.node).node.Drop(h.tenant)
				}
			}
		})
		if err != nil {
			r.Fatal(err)
		}
		if !slices.Equal(got, sortedHoldings(got)) {
			r.Fatalf("not in order, or twice: %v", got)
		}
		for _, h := range got {
			if !visible(h.tenant) {
				r.Fatalf("shows %v", h)
			}
		}
		stayed := slices.DeleteFunc(got, func(h holding) bool { return !slices.Contains(stay, h) })
		if !slices.Equal(stayed, want) {
			r.Fatalf("listed %v, want %v", stayed, want)
		}
	})
}

// Of a long list a caller may see little, and finds it all the same.
func TestPagesForACallerWhoMaySeeLittle(t *testing.T) {
	var may []string
	bubbleWith(t, 3, func(_ string, c *rpc.Config) {
		c.Authenticate = func(context.Context, http.Header) (*rpc.Caller, error) {
			return &rpc.Caller{Name: "x", Tenants: may, Scope: rpc.ScopeOperate}, nil
		}
	}, func(t *testing.T, ms *members) {
		var want []holding
		for i := range 2500 {
			h := holding{fmt.Sprintf("t%04d", i), fmt.Sprintf("n%d", 1+i%2)}
			ms.hold(h)
			if i == 1248 || i == 2496 || i == 2497 {
				want, may = append(want, h), append(may, h.tenant)
			}
		}
		for _, size := range []uint32{1, 2, 10} {
			got, _, err := ms.list(t.Context(), &tenantryv1.ListTenantsRequest{PageSize: size}, func() {})
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("pages of %d: %v, want %v; %v", size, got, want, err)
			}
		}
	})
}

// A page that leads nowhere does not make a node ask for ever.
func TestPagesOfABrokenNode(t *testing.T) {
	for name, token := range map[string]string{"backwards": "MmEvbjI", "not one": "?"} {
		bubble(t, 2, func(t *testing.T, ms *members) {
			ms.hold(holding{"b", "n1"})
			ms.hold(holding{"c", "n1"})
			ms.network.Serve("n2", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/proto")
				_, _ = w.Write([]byte("\x12" + string(rune(len(token))) + token))
			}))
			first, err := ms.all[0].cluster().ListTenants(t.Context(), &tenantryv1.ListTenantsRequest{PageSize: 1, Node: "n1"})
			if err != nil || first.GetNextPageToken() == "" {
				t.Fatal(first, err)
			}
			_, err = ms.all[0].cluster().ListTenants(t.Context(), &tenantryv1.ListTenantsRequest{PageToken: first.GetNextPageToken()})
			wantCode(t, err, connect.CodeUnavailable, "node n2")
			_ = name
		})
	}
}
