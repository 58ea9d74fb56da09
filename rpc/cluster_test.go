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
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/rpc/rpctest"
	"github.com/tenantry/tenantry/shard"
)

func (h *harness) cluster(t *testing.T, options ...connect.ClientOption) tenantryv1connect.ClusterServiceClient {
	return tenantryv1connect.NewClusterServiceClient(h1(t), h.url, options...)
}

// described has something in every field.
func described() shard.Description {
	return shard.Description{
		Summary: shard.Summary{Name: "acme", State: shard.Live, Entries: 6, Bytes: 4096, Idle: 2 * time.Second},
		InState: time.Minute, Generation: 1<<32 | 2, Doubtful: true, BytesLimit: 1 << 20, ProofAge: time.Second, Proven: true,
		Preloaded: true, Channels: []string{"crm:acme:roles"},
		Kinds: []shard.KindDescription{
			{Name: "credit-config", Class: cache.Critical, KindStats: cache.KindStats{Entries: 2, Negative: 1, Bytes: 500, Complete: true, Hits: 10, Misses: 2, TTL: time.Hour}},
			{Name: "role", Class: cache.Critical, KindStats: cache.KindStats{Hits: 5, Misses: 1, TTL: time.Hour}},
			{Name: "user", Class: cache.Reference, KindStats: cache.KindStats{Entries: 4, Hits: 3, Misses: 4, TTL: 7 * time.Minute}},
		},
		Stats:  cache.Stats{Evictions: 9, OriginRequests: 11, MeanRead: 120 * time.Microsecond},
		Events: 12, Recent: []shard.Event{
			{Topic: "roles", ID: "change-2", Type: "role-changed", Kind: "role", Key: "admin", Version: 7, Versioned: true, Effect: "set", Age: time.Second},
			{Topic: "roles", Effect: "refused", Reason: "malformed", Age: time.Minute},
		},
		Load: shard.LoadDescription{Age: time.Hour, Fault: "timeout", Missing: []string{"role"}, Failures: 3, RetryIn: 4 * time.Second, Waits: true},
	}
}

func TestGetTenant(t *testing.T) {
	h := serve(t, nil)
	h.node.Activate(described())
	want := &tenantryv1.GetTenantResponse{
		Tenant: "acme", Node: "n1", Epoch: 42, Owners: []string{"n1"}, State: tenantryv1.TenantState_TENANT_STATE_LIVE,
		InState: durationpb.New(time.Minute), Idle: durationpb.New(2 * time.Second), Generation: 1<<32 | 2, Doubtful: true,
		Bytes: 4096, BytesLimit: 1 << 20, Requests: 25, Events: 12, Evictions: 9, OriginRequests: 11,
		ProofAge: durationpb.New(time.Second), Preloaded: true, Channels: []string{"crm:acme:roles"},
		Kinds: []*tenantryv1.TenantKind{
			{Kind: "credit-config", Class: "critical", Entries: 2, NegativeEntries: 1, Bytes: 500, Complete: true, Hits: 10, Misses: 2, Ttl: durationpb.New(time.Hour)},
			{Kind: "role", Class: "critical", Hits: 5, Misses: 1, Ttl: durationpb.New(time.Hour)},
			{Kind: "user", Class: "reference", Entries: 4, Hits: 3, Misses: 4, Ttl: durationpb.New(7 * time.Minute)},
		},
		CacheStats: &tenantryv1.CacheStats{CriticalHits: 15, CriticalMisses: 3, ReferenceHits: 3, ReferenceMisses: 4, AvgResponseTime: durationpb.New(120 * time.Microsecond)},
		LastEvents: []*tenantryv1.TenantEvent{
			{Topic: "roles", EventId: "change-2", Type: "role-changed", Age: durationpb.New(time.Second), Version: proto.Uint64(7), Effect: "set", Kind: "role", Key: "admin"},
			{Topic: "roles", Age: durationpb.New(time.Minute), Effect: "refused", Reason: "malformed"},
		},
		Load: &tenantryv1.TenantLoad{Age: durationpb.New(time.Hour), Error: "timeout", MissingKinds: []string{"role"}, Failures: 3, RetryIn: durationpb.New(4 * time.Second)},
	}
	for _, w := range ways() {
		t.Run(w.name, func(t *testing.T) {
			c := tenantryv1connect.NewClusterServiceClient(w.http(t), h.url, w.options...)
			got, err := c.GetTenant(t.Context(), &tenantryv1.GetTenantRequest{Tenant: "acme"})
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
	got, err := h.cluster(t).GetTenant(t.Context(), &tenantryv1.GetTenantRequest{Tenant: "nobody"})
	if err != nil || got.GetState() != tenantryv1.TenantState_TENANT_STATE_COLD || got.GetInState() != nil {
		t.Errorf("%v, %v", got, err)
	}
	_, body := h.get(t, `/tenantry.v1.ClusterService/GetTenant?connect=v1&encoding=json&message=%7B%22tenant%22:%22acme%22%7D`)
	for _, name := range []string{"cacheStats", "criticalHits", "criticalMisses", "referenceHits", "referenceMisses", "avgResponseTime"} {
		if !strings.Contains(body, `"`+name+`":`) {
			t.Errorf("no %s in %s", name, body)
		}
	}
}

func TestListTenants(t *testing.T) {
	h := serve(t, nil)
	for i := range 250 {
		h.node.Activate(shard.Description{Summary: shard.Summary{Name: fmt.Sprintf("t%03d", i), State: shard.Live, Entries: i}})
	}
	c := h.cluster(t)
	var names []string
	var sizes []int
	for req := (&tenantryv1.ListTenantsRequest{}); ; {
		page, err := c.ListTenants(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.GetTenants() {
			names = append(names, s.GetTenant())
			if s.GetNode() != "n1" || !s.GetPrimary() || s.GetState() != tenantryv1.TenantState_TENANT_STATE_LIVE {
				t.Fatal(s)
			}
		}
		sizes = append(sizes, len(page.GetTenants()))
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if !slices.Equal(sizes, []int{100, 100, 50}) || !slices.IsSorted(names) || len(slices.Compact(names)) != 250 {
		t.Errorf("pages of %v, %d names", sizes, len(names))
	}
	page, err := c.ListTenants(t.Context(), &tenantryv1.ListTenantsRequest{Prefix: "t12", PageSize: 1000, Node: "n1"})
	if err != nil || len(page.GetTenants()) != 10 || page.GetNextPageToken() != "" {
		t.Errorf("%v, %v", page, err)
	}
}

func TestOperations(t *testing.T) {
	h := serve(t, nil)
	h.node.Activate(described())
	c := h.cluster(t)
	nodes := func(got interface{ GetNodes() []string }, err error) []string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return got.GetNodes()
	}
	if got := nodes(c.InvalidateEntry(t.Context(), &tenantryv1.InvalidateEntryRequest{Tenant: "acme", Kind: "role", Key: "a/b"})); !slices.Equal(got, []string{"n1"}) {
		t.Error(got)
	}
	if got := nodes(c.InvalidateEntry(t.Context(), &tenantryv1.InvalidateEntryRequest{Tenant: "nobody", Kind: "role", Key: "a"})); got != nil {
		t.Error(got)
	}
	if got := nodes(c.DropTenant(t.Context(), &tenantryv1.DropTenantRequest{Tenant: "acme"})); !slices.Equal(got, []string{"n1"}) {
		t.Error(got)
	}
	if got := nodes(c.DropTenant(t.Context(), &tenantryv1.DropTenantRequest{Tenant: "acme"})); got != nil {
		t.Error(got)
	}
	want := []rpctest.Operation{
		{What: "invalidate", Entry: rpctest.Entry{Tenant: "acme", Kind: "role", Key: "a/b"}},
		{What: "invalidate", Entry: rpctest.Entry{Tenant: "nobody", Kind: "role", Key: "a"}},
		{What: "drop", Entry: rpctest.Entry{Tenant: "acme"}}, {What: "drop", Entry: rpctest.Entry{Tenant: "acme"}},
	}
	if diff := cmp.Diff(want, h.node.Operations()); diff != "" {
		t.Error(diff)
	}
}

func TestListMembers(t *testing.T) {
	h := serve(t, func(c *rpc.Config) { c.Version, c.Zone, c.Address = "v1.2.3", "a", "10.0.0.1:7070" })
	h.node.Activate(described())
	want := &tenantryv1.ListMembersResponse{Node: "n1", Epoch: 42, Members: []*tenantryv1.Member{{
		Name: "n1", Zone: "a", RpcAddress: "10.0.0.1:7070", Version: "v1.2.3", State: tenantryv1.Member_STATE_READY, Epoch: 42, BusLive: true, ActiveTenants: 1,
	}}}
	got, err := h.cluster(t).ListMembers(t.Context(), &tenantryv1.ListMembersRequest{})
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || err != nil {
		t.Error(err, diff)
	}
	h.node.SetReadiness([]string{"draining"}, nil)
	got, err = h.cluster(t).ListMembers(t.Context(), &tenantryv1.ListMembersRequest{})
	if err != nil || got.GetMembers()[0].GetState() != tenantryv1.Member_STATE_DRAINING {
		t.Errorf("%v, %v", got, err)
	}
}

func TestOperationsRefuse(t *testing.T) {
	h := serve(t, nil)
	c := h.cluster(t)
	list := func(req *tenantryv1.ListTenantsRequest) error {
		_, err := c.ListTenants(t.Context(), req)
		return err
	}
	invalidate := func(tenant, kind, key string) error {
		_, err := c.InvalidateEntry(t.Context(), &tenantryv1.InvalidateEntryRequest{Tenant: tenant, Kind: kind, Key: key})
		return err
	}
	drop := func(tenant string) error {
		_, err := c.DropTenant(t.Context(), &tenantryv1.DropTenantRequest{Tenant: tenant})
		return err
	}
	get := func(tenant string) error {
		_, err := c.GetTenant(t.Context(), &tenantryv1.GetTenantRequest{Tenant: tenant})
		return err
	}
	for _, test := range []struct {
		err  error
		code connect.Code
		text string
	}{
		{get(""), connect.CodeInvalidArgument, "tenant: missing"},
		{get(".."), connect.CodeInvalidArgument, "tenant: "},
		{get("a:b"), connect.CodeInvalidArgument, "tenant: "},
		{drop("a b"), connect.CodeInvalidArgument, "tenant: "},
		{invalidate("a", "role", ""), connect.CodeInvalidArgument, "key: missing"},
		{invalidate("a", "", "k"), connect.CodeInvalidArgument, "kind: missing"},
		{invalidate("a", "none", "k"), connect.CodeFailedPrecondition, `known are role, user`},
		{invalidate("a", "history", "k"), connect.CodeInvalidArgument, "kind: on-demand"},
		{list(&tenantryv1.ListTenantsRequest{PageSize: 1001}), connect.CodeInvalidArgument, "page_size: "},
		{list(&tenantryv1.ListTenantsRequest{Prefix: "a*"}), connect.CodeInvalidArgument, "prefix: "},
		{list(&tenantryv1.ListTenantsRequest{PageToken: "?"}), connect.CodeInvalidArgument, "page_token: "},
		{list(&tenantryv1.ListTenantsRequest{PageToken: "MWFjbWU"}), connect.CodeInvalidArgument, "page_token: "},  // of another format
		{list(&tenantryv1.ListTenantsRequest{PageToken: "Mi4uL24x"}), connect.CodeInvalidArgument, "page_token: "}, // after ".."
		{list(&tenantryv1.ListTenantsRequest{PageToken: strings.Repeat("MTE", 100)}), connect.CodeInvalidArgument, "page_token: "},
		{list(&tenantryv1.ListTenantsRequest{Node: "n2"}), connect.CodeNotFound, "node: "},
	} {
		if connect.CodeOf(test.err) != test.code || !strings.Contains(test.err.Error(), test.text) {
			t.Errorf("got %v, want %v %q", test.err, test.code, test.text)
		}
	}
	if got := h.node.Operations(); got != nil {
		t.Errorf("the node was asked for %v", got)
	}
}

// Whoever may read may look at its tenants; changing and listing them is the
// operator's, and no list tells of a tenant that its caller may not name.
func TestScopesOfOperations(t *testing.T) {
	callers := map[string]*rpc.Caller{
		"reader":   {Name: "reader", Tenants: []string{"acme"}, Scope: rpc.ScopeRead},
		"operator": {Name: "operator", Tenants: []string{"acme"}, Scope: rpc.ScopeRead | rpc.ScopeOperate},
		"blind":    {Name: "blind", AllTenants: true, Scope: rpc.ScopeOperate},
	}
	h := serve(t, func(c *rpc.Config) {
		c.Authenticate = func(_ context.Context, header http.Header) (*rpc.Caller, error) {
			return callers[header.Get("Authorization")], nil
		}
	})
	for _, tenant := range []string{"acme", "other"} {
		h.node.Activate(shard.Description{Summary: shard.Summary{Name: tenant}})
	}
	try := func(caller string) string {
		c := h.cluster(t, connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
				req.Header().Set("Authorization", caller)
				return next(ctx, req)
			}
		})))
		var denied []string
		note := func(what string, err error) {
			if connect.CodeOf(err) == connect.CodePermissionDenied {
				denied = append(denied, what)
			} else if err != nil {
				t.Errorf("%s: %s: %v", caller, what, err)
			}
		}
		for _, tenant := range []string{"acme", "other"} {
			_, err := c.GetTenant(t.Context(), &tenantryv1.GetTenantRequest{Tenant: tenant})
			note("get "+tenant, err)
			_, err = c.InvalidateEntry(t.Context(), &tenantryv1.InvalidateEntryRequest{Tenant: tenant, Kind: "role", Key: "a"})
			note("invalidate "+tenant, err)
		}
		_, err := c.DropTenant(t.Context(), &tenantryv1.DropTenantRequest{Tenant: "none"})
		note("drop none", err)
		_, err = c.ListMembers(t.Context(), &tenantryv1.ListMembersRequest{})
		note("members", err)
		page, err := c.ListTenants(t.Context(), &tenantryv1.ListTenantsRequest{})
		note("list", err)
		for _, s := range page.GetTenants() {
			denied = append(denied, "saw "+s.GetTenant())
		}
		return strings.Join(denied, ", ")
	}
	for caller, want := range map[string]string{
		"reader":   "invalidate acme, get other, invalidate other, drop none, list",
		"operator": "get other, invalidate other, drop none, saw acme",
		"blind":    "get acme, get other, members, saw acme, saw other",
	} {
		if got := try(caller); got != want {
			t.Errorf("%s: denied %s; want %s", caller, got, want)
		}
	}
}

func TestANodeWithoutRingOwnsEverything(t *testing.T) {
	h := serve(t, nil)
	got, err := h.cluster(t).GetRing(t.Context(), &tenantryv1.GetRingRequest{Tenant: "acme"})
	want := &tenantryv1.GetRingResponse{Owners: []string{"n1"}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || err != nil {
		t.Error(err, diff)
	}
}
