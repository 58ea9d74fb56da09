package rpc

import (
	"context"
	"slices"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/shard"
)

// clusterService shows operators the cluster and its tenants, and lets them act on
// them. What concerns one tenant is authorised as reads of it are, with another
// scope where something changes; a list has only the tenants that its caller may
// name. What another node asks concerns this node alone.
type clusterService struct {
	tenantryv1connect.UnimplementedClusterServiceHandler
	*reader

	calls   calling // nil: there are no other nodes
	members func() []Member
	drain   func() // nil: it cannot be
}

// calling passes an operator's call on; see [peers.Peers.Cluster].
type calling interface {
	Cluster(to shard.Peer) tenantryv1connect.ClusterServiceClient
}

// others returns the other members that a call concerns; none of a call that
// another node passed on.
func (s *clusterService) others(ctx context.Context, of func() []shard.Peer) []shard.Peer {
	if s.calls == nil || isForwarded(ctx) {
		return nil
	}
	return of()
}

// GetTenant describes a tenant as an owner has it: this node if it is one.
func (s *clusterService) GetTenant(ctx context.Context, req *tenantryv1.GetTenantRequest) (*tenantryv1.GetTenantResponse, error) {
	tenant := req.GetTenant()
	if err := validateTenant("tenant", tenant); err != nil {
		return nil, err
	}
	if err := allow(ctx, tenant, ScopeRead); err != nil {
		return nil, err
	}
	if !s.node.Owns(tenant) {
		for _, owner := range s.others(ctx, func() []shard.Peer { return s.node.Others(tenant) }) {
			if res, err := ask(ctx, s, owner, tenantryv1connect.ClusterServiceClient.GetTenant, req); err == nil {
				return res, nil
			}
		}
	}
	d := s.node.Describe(tenant)
	return s.tenantMessage(&d), nil
}

// InvalidateEntry makes an entry known old on every owner, and on every node that may
// still or already hold the tenant. Where the tenant is not active there is nothing that
// could be old, and the node is not named. All are told twice: one may have taken the
// tenant over meanwhile, from another that had not been told.
func (s *clusterService) InvalidateEntry(ctx context.Context, req *tenantryv1.InvalidateEntryRequest) (*tenantryv1.InvalidateEntryResponse, error) {
	e := entry{req.GetTenant(), req.GetKind(), req.GetKey()}
	if err := e.validate("key"); err != nil {
		return nil, err
	}
	if err := allow(ctx, e.tenant, ScopeOperate); err != nil {
		return nil, err
	}
	rounds := 1
	if len(s.others(ctx, s.node.Peers)) > 0 {
		rounds = 2
	}
	var nodes []string
	for range rounds {
		some, err := s.invalidate(ctx, &e, req)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, some...)
	}
	slices.Sort(nodes)
	return &tenantryv1.InvalidateEntryResponse{Nodes: slices.Compact(nodes)}, nil
}

// invalidate makes an entry known old here, then on the other nodes, and returns the names
// of those that have the tenant.
func (s *clusterService) invalidate(ctx context.Context, e *entry, req *tenantryv1.InvalidateEntryRequest) ([]string, error) {
	active, err := s.node.Invalidate(e.tenant, e.kind, e.key)
	if err != nil {
		return nil, err
	}
	holders := s.others(ctx, func() []shard.Peer { return s.node.Holders(e.tenant) })
	nodes, err := onAll(ctx, s, holders, tenantryv1connect.ClusterServiceClient.InvalidateEntry, req)
	return s.nodes(active, nodes), err
}

// DropTenant lets go of a tenant on every node.
func (s *clusterService) DropTenant(ctx context.Context, req *tenantryv1.DropTenantRequest) (*tenantryv1.DropTenantResponse, error) {
	tenant := req.GetTenant()
	if err := validateTenant("tenant", tenant); err != nil {
		return nil, err
	}
	if err := allow(ctx, tenant, ScopeOperate); err != nil {
		return nil, err
	}
	active := s.node.Drop(tenant)
	nodes, err := onAll(ctx, s, s.others(ctx, s.node.Peers), tenantryv1connect.ClusterServiceClient.DropTenant, req)
	if err != nil {
		return nil, err
	}
	return &tenantryv1.DropTenantResponse{Nodes: s.nodes(active, nodes)}, nil
}
