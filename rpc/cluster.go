package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/durationpb"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/shard"
)

// clusterService shows operators the tenants of this node, and lets them act on
// them. What concerns one tenant is authorised as reads of it are, with another
// scope where something changes; a list has only the tenants that its caller may
// name.
type clusterService struct {
	tenantryv1connect.UnimplementedClusterServiceHandler
	*reader

	zone, address, version string
}

// ListMembers returns this node, the only one it knows.
func (s *clusterService) ListMembers(ctx context.Context, _ *tenantryv1.ListMembersRequest) (*tenantryv1.ListMembersResponse, error) {
	if _, err := allowScope(ctx, ScopeRead); err != nil {
		return nil, err
	}
	m := s.node.Member()
	self := &tenantryv1.Member{
		Name: s.name, Zone: s.zone, RpcAddress: s.address, Version: s.version, State: memberState(m.State),
		Epoch: s.epoch(), BusLive: m.BusLive, ActiveTenants: uint64(m.ActiveTenants),
	}
	return &tenantryv1.ListMembersResponse{Members: []*tenantryv1.Member{self}, Node: s.name, Epoch: s.epoch()}, nil
}

func memberState(s shard.MemberState) tenantryv1.Member_State {
	return [...]tenantryv1.Member_State{
		shard.Joining: tenantryv1.Member_STATE_JOINING, shard.Ready: tenantryv1.Member_STATE_READY,
		shard.Departing: tenantryv1.Member_STATE_DRAINING,
	}[s]
}

// Sizes of a page of tenants.
const (
	defaultPage = 100
	maxPage     = 1000
)

// ListTenants returns a page of this node's active tenants.
func (s *clusterService) ListTenants(ctx context.Context, req *tenantryv1.ListTenantsRequest) (*tenantryv1.ListTenantsResponse, error) {
	after, err := s.validateList(req)
	if err != nil {
		return nil, err
	}
	caller, err := allowScope(ctx, ScopeOperate)
	if err != nil {
		return nil, err
	}
	if req.GetNode() != "" && req.GetNode() != s.name {
		return nil, &memberError{}
	}
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultPage
	}
	page, next := s.node.List(after, req.GetPrefix(), size, caller.may)
	res := &tenantryv1.ListTenantsResponse{Tenants: make([]*tenantryv1.TenantSummary, len(page)), NextPageToken: pageToken(next)}
	for i := range page {
		res.Tenants[i] = s.summaryMessage(&page[i])
	}
	return res, nil
}

func (s *clusterService) validateList(req *tenantryv1.ListTenantsRequest) (after string, err error) {
	if req.GetPageSize() > maxPage {
		return "", &fieldError{"page_size", "more than 1000"}
	}
	if req.GetPrefix() != "" {
		if problem := nameProblem(req.GetPrefix()); problem != "" {
			return "", &fieldError{"prefix", problem}
		}
	}
	return pageAfter(req.GetPageToken())
}

// GetTenant describes a tenant as this node has it.
func (s *clusterService) GetTenant(ctx context.Context, req *tenantryv1.GetTenantRequest) (*tenantryv1.GetTenantResponse, error) {
	tenant := req.GetTenant()
	if err := validateTenant("tenant", tenant); err != nil {
		return nil, err
	}
	if err := allow(ctx, tenant, ScopeRead); err != nil {
		return nil, err
	}
	d := s.node.Describe(tenant)
	return s.tenantMessage(&d), nil
}

// InvalidateEntry makes an entry known old. A tenant that is not active has none
// that could be old, so that no node is named.
func (s *clusterService) InvalidateEntry(ctx context.Context, req *tenantryv1.InvalidateEntryRequest) (*tenantryv1.InvalidateEntryResponse, error) {
	e := entry{req.GetTenant(), req.GetKind(), req.GetKey()}
	if err := e.validate("key"); err != nil {
		return nil, err
	}
	if err := allow(ctx, e.tenant, ScopeOperate); err != nil {
		return nil, err
	}
	active, err := s.node.Invalidate(e.tenant, e.kind, e.key)
	if err != nil {
		return nil, err
	}
	return &tenantryv1.InvalidateEntryResponse{Nodes: s.nodes(active)}, nil
}

// DropTenant lets go of a tenant.
func (s *clusterService) DropTenant(ctx context.Context, req *tenantryv1.DropTenantRequest) (*tenantryv1.DropTenantResponse, error) {
	tenant := req.GetTenant()
	if err := validateTenant("tenant", tenant); err != nil {
		return nil, err
	}
	if err := allow(ctx, tenant, ScopeOperate); err != nil {
		return nil, err
	}
	return &tenantryv1.DropTenantResponse{Nodes: s.nodes(s.node.Drop(tenant))}, nil
}

// nodes names this node, if it did what was asked.
func (s *clusterService) nodes(did bool) []string {
	if !did {
		return nil
	}
	return []string{s.name}
}

func (s *clusterService) summaryMessage(t *shard.Summary) *tenantryv1.TenantSummary {
	return &tenantryv1.TenantSummary{
		Tenant: t.Name, Node: s.name, State: tenantState(t.State), Entries: uint64(t.Entries), Bytes: uint64(t.Bytes),
		Idle: durationpb.New(t.Idle), Primary: true,
	}
}

// tenantState is the state as messages have it: one higher.
func tenantState(s shard.State) tenantryv1.TenantState { return tenantryv1.TenantState(s) + 1 }
