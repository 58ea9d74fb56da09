package rpc

import (
	"context"
	"encoding/json"

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

func (s *entitlementService) GetRolePermissions(ctx context.Context, req *tenantryv1.GetRolePermissionsRequest) (*tenantryv1.GetRolePermissionsResponse, error) {
	e := entry{req.GetTenant(), kindRole, req.GetRoleId()}
	a, err := s.read(ctx, e, "role_id", req)
	if err != nil {
		return nil, err
	}
	var permissions []string
	if json.Unmarshal(memberOf(a.Value, "permissions"), &permissions) != nil {
		return nil, &unusableError{e, "permissions"}
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
