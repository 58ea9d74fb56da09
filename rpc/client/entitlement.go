package client

import (
	"context"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

// Credits is what an operation costs, and whether a user can afford it.
type Credits struct {
	// Cost and Available are decimal texts; Available is empty without a user.
	Cost, Available string
	CanAfford       bool
	Freshness       *tenantryv1.Freshness
}

// CheckCredits asks what an operation costs and, unless user is empty, whether
// the user can afford it. Errors are those of [Client.Get]; an operation that is
// not configured is [ErrNotFound].
func (c *Client) CheckCredits(ctx context.Context, tenant, operation, user string) (Credits, error) {
	res, err := c.entitlement.CheckCredits(ctx, &tenantryv1.CheckCreditsRequest{
		Tenant: tenant, Operation: operation, UserId: user,
	})
	if err != nil {
		return Credits{}, typed(err)
	}
	return Credits{
		Cost: res.GetCreditCost(), Available: res.GetAvailableCredits(),
		CanAfford: res.GetCanAfford(), Freshness: res.GetFreshness(),
	}, nil
}

// Authorization says whether a user may carry out an operation now.
type Authorization struct {
	Allowed bool
	// Reasons are all that speaks against it, each a word, such as
	// "user_inactive", a colon and a text for people; empty if it is allowed.
	Reasons []string
	// Cost and Available are decimal texts, empty where the origin has none.
	Cost, Available string
	Freshness       *tenantryv1.Freshness
}

// Authorize asks whether a user may carry out an operation now. What cannot be
// read is an [*UnavailableError], never a no. The other errors are those of
// [Client.Get] but [ErrNotFound].
func (c *Client) Authorize(ctx context.Context, tenant, operation, user string) (Authorization, error) {
	res, err := c.entitlement.Authorize(ctx, &tenantryv1.AuthorizeRequest{
		Tenant: tenant, Operation: operation, UserId: user,
	})
	if err != nil {
		return Authorization{}, typed(err)
	}
	return Authorization{
		Allowed: res.GetAllowed(), Reasons: res.GetReasons(), Cost: res.GetCreditCost(),
		Available: res.GetAvailableCredits(), Freshness: res.GetFreshness(),
	}, nil
}

// Status is what a user is, and the roles that the user has.
type Status struct {
	// Status is the origin's word, such as "active".
	Status    string
	Roles     []string
	Freshness *tenantryv1.Freshness
}

// UserStatus reads a user's status. Errors are those of [Client.Get].
func (c *Client) UserStatus(ctx context.Context, tenant, user string) (Status, error) {
	res, err := c.entitlement.GetUserStatus(ctx, &tenantryv1.GetUserStatusRequest{Tenant: tenant, UserId: user})
	if err != nil {
		return Status{}, typed(err)
	}
	return Status{Status: res.GetStatus(), Roles: res.GetRoles(), Freshness: res.GetFreshness()}, nil
}

// RolePermissions reads the permissions of a role; one may end in "*". Errors
// are those of [Client.Get].
func (c *Client) RolePermissions(ctx context.Context, tenant, role string) ([]string, *tenantryv1.Freshness, error) {
	res, err := c.entitlement.GetRolePermissions(ctx, &tenantryv1.GetRolePermissionsRequest{Tenant: tenant, RoleId: role})
	if err != nil {
		return nil, nil, typed(err)
	}
	return res.GetPermissions(), res.GetFreshness(), nil
}

// Config reads the JSON text of a configuration's value. Errors are those of
// [Client.Get].
func (c *Client) Config(ctx context.Context, tenant, name string) (Entry, error) {
	res, err := c.entitlement.GetConfig(ctx, &tenantryv1.GetConfigRequest{Tenant: tenant, Name: name})
	if err != nil {
		return Entry{}, typed(err)
	}
	return Entry{Value: res.GetValue(), Freshness: res.GetFreshness()}, nil
}
