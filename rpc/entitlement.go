package rpc

import (
	"context"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
)

// entitlementService answers questions from the entries of the crm preset.
type entitlementService struct {
	tenantryv1connect.UnimplementedEntitlementServiceHandler
	*reader
}

func (s *entitlementService) CheckCredits(ctx context.Context, req *tenantryv1.CheckCreditsRequest) (*tenantryv1.CheckCreditsResponse, error) {
	o, t, err := decodeBounds(req.GetMaxAge(), req.GetAfter())
	if err != nil {
		return nil, err
	}
	c, err := s.checkCredits(ctx, &creditsQuestion{
		tenant: req.GetTenant(), operation: req.GetOperation(), user: req.GetUserId(), userField: "user_id",
		options: o, after: t,
	})
	if err != nil {
		return nil, err
	}
	return &tenantryv1.CheckCreditsResponse{
		Operation: req.GetOperation(), CreditCost: c.cost, CanAfford: c.canAfford,
		AvailableCredits: c.available, Freshness: s.composedFreshness(&c.composed),
	}, nil
}

func (s *entitlementService) Authorize(ctx context.Context, req *tenantryv1.AuthorizeRequest) (*tenantryv1.AuthorizeResponse, error) {
	o, t, err := decodeBounds(req.GetMaxAge(), req.GetAfter())
	if err != nil {
		return nil, err
	}
	a, err := s.authorize(ctx, &authorizeQuestion{
		tenant: req.GetTenant(), user: req.GetUserId(), operation: req.GetOperation(), userField: "user_id",
		options: o, after: t,
	})
	if err != nil {
		return nil, err
	}
	return &tenantryv1.AuthorizeResponse{
		Allowed: len(a.reasons) == 0, Reasons: a.reasons, CreditCost: a.cost,
		AvailableCredits: a.available, Freshness: s.composedFreshness(&a.composed),
	}, nil
}

func (s *entitlementService) GetRolePermissions(ctx context.Context, req *tenantryv1.GetRolePermissionsRequest) (*tenantryv1.GetRolePermissionsResponse, error) {
	e := entry{req.GetTenant(), kindRole, req.GetRoleId()}
	a, err := s.read(ctx, e, "role_id", req)
	if err != nil {
		return nil, err
	}
	permissions, _, err := permissionsOf(e, a.Value)
	if err != nil {
		return nil, err
	}
	return &tenantryv1.GetRolePermissionsResponse{
		RoleId: req.GetRoleId(), Permissions: permissions, Freshness: s.freshness(e, &a),
	}, nil
}

func (s *entitlementService) GetUserProfile(ctx context.Context, req *tenantryv1.GetUserProfileRequest) (*tenantryv1.GetUserProfileResponse, error) {
	e := entry{req.GetTenant(), kindUser, req.GetUserId()}
	a, err := s.read(ctx, e, "user_id", req)
	if err != nil {
		return nil, err
	}
	return &tenantryv1.GetUserProfileResponse{Value: a.Value, Freshness: s.freshness(e, &a)}, nil
}

func (s *entitlementService) GetHierarchy(ctx context.Context, req *tenantryv1.GetHierarchyRequest) (*tenantryv1.GetHierarchyResponse, error) {
	e := entry{req.GetTenant(), kindHierarchy, req.GetEntityId()}
	a, err := s.read(ctx, e, "entity_id", req)
	if err != nil {
		return nil, err
	}
	return &tenantryv1.GetHierarchyResponse{Value: a.Value, Freshness: s.freshness(e, &a)}, nil
}

func (s *entitlementService) GetUserStatus(ctx context.Context, req *tenantryv1.GetUserStatusRequest) (*tenantryv1.GetUserStatusResponse, error) {
	e := entry{req.GetTenant(), kindUserStatus, req.GetUserId()}
	a, err := s.read(ctx, e, "user_id", req)
	if err != nil {
		return nil, err
	}
	u, err := statusOf(e, a.Value)
	if err != nil {
		return nil, err
	}
	return &tenantryv1.GetUserStatusResponse{
		UserId: req.GetUserId(), Status: u.status, Roles: u.roles, Freshness: s.freshness(e, &a),
	}, nil
}

func (s *entitlementService) GetConfig(ctx context.Context, req *tenantryv1.GetConfigRequest) (*tenantryv1.GetConfigResponse, error) {
	e := entry{req.GetTenant(), kindConfig, req.GetName()}
	a, err := s.read(ctx, e, "name", req)
	if err != nil {
		return nil, err
	}
	value, err := configOf(e, a.Value)
	if err != nil {
		return nil, err
	}
	return &tenantryv1.GetConfigResponse{Name: req.GetName(), Value: value, Freshness: s.freshness(e, &a)}, nil
}
