package rpc

import (
	"context"
	"slices"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/shard"
)

// Drain has a member leave: this node, or another, which is asked to.
func (s *clusterService) Drain(ctx context.Context, req *tenantryv1.DrainRequest) (*tenantryv1.DrainResponse, error) {
	if c, err := allowScope(ctx, ScopeOperate); err != nil {
		return nil, err
	} else if !c.AllTenants {
		return nil, &forbiddenError{caller: c.Name} // it concerns all tenants
	}
	if name := req.GetNode(); name != "" && name != s.name {
		return s.drainOther(ctx, req)
	}
	if s.drain == nil {
		return nil, &unimplementedError{"this node cannot be drained"}
	}
	s.drain()
	return &tenantryv1.DrainResponse{Node: s.name, RemainingTenants: uint64(s.node.Member().ActiveTenants)}, nil
}

// hasGone reports whether a member left or died: the ring may not show that yet.
func (s *clusterService) hasGone(name string) bool {
	return slices.ContainsFunc(s.members(), func(m Member) bool {
		return m.Name == name && (m.State == tenantryv1.Member_STATE_LEFT || m.State == tenantryv1.Member_STATE_DEAD)
	})
}

func (s *clusterService) drainOther(ctx context.Context, req *tenantryv1.DrainRequest) (*tenantryv1.DrainResponse, error) {
	others := s.others(ctx, s.node.Peers)
	i := slices.IndexFunc(others, func(p shard.Peer) bool { return p.Name == req.GetNode() })
	if i < 0 || s.hasGone(req.GetNode()) {
		return nil, &memberError{}
	}
	res, err := ask(ctx, s, others[i], tenantryv1connect.ClusterServiceClient.Drain, req)
	if err != nil {
		return nil, unreachable(ctx, others[i].Name, err)
	}
	return res, nil
}
