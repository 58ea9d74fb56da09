package client

import (
	"context"
	"iter"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

// Tenant describes a tenant. One that is not active is described as cold, and
// stays so. Errors: [ErrInvalid], [ErrDenied], [*UnavailableError], those of ctx.
func (c *Client) Tenant(ctx context.Context, tenant string) (*tenantryv1.GetTenantResponse, error) {
	res, err := c.cluster.GetTenant(ctx, &tenantryv1.GetTenantRequest{Tenant: tenant})
	return res, typed(err)
}

// pageSize is how many tenants are asked for at once.
const pageSize = 500

// Tenants yields the active tenants of a node, or of all if none is named, whose
// names begin with prefix, in order, a page at a time; ctx is that of all pages. Tenants that come or go meanwhile may
// or may not be among them. An error is the last that it yields: [ErrInvalid],
// [ErrDenied], [*UnavailableError], or that of ctx.
func (c *Client) Tenants(ctx context.Context, prefix, node string) iter.Seq2[*tenantryv1.TenantSummary, error] {
	return func(yield func(*tenantryv1.TenantSummary, error) bool) {
		req := &tenantryv1.ListTenantsRequest{Node: node, Prefix: prefix, PageSize: pageSize}
		for {
			res, err := c.cluster.ListTenants(ctx, req)
			if err != nil {
				yield(nil, typed(err))
				return
			}
			for _, t := range res.GetTenants() {
				if !yield(t, nil) {
					return
				}
			}
			if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
				return
			}
		}
	}
}

// Invalidate makes an entry known old: its next read asks the origin. It returns
// the names of the nodes that did it, none if the tenant is active on none.
// Errors: [ErrInvalid], also for an on-demand kind, [ErrUnknownKind],
// [ErrDenied], [*UnavailableError], those of ctx.
func (c *Client) Invalidate(ctx context.Context, tenant, kind, key string) (nodes []string, err error) {
	res, err := c.cluster.InvalidateEntry(ctx, &tenantryv1.InvalidateEntryRequest{Tenant: tenant, Kind: kind, Key: key})
	return res.GetNodes(), typed(err)
}

// Drop drops everything of a tenant, which its next request activates again. It
// returns the names of the nodes that held something. Errors: [ErrInvalid],
// [ErrDenied], [*UnavailableError], those of ctx.
func (c *Client) Drop(ctx context.Context, tenant string) (nodes []string, err error) {
	res, err := c.cluster.DropTenant(ctx, &tenantryv1.DropTenantRequest{Tenant: tenant})
	return res.GetNodes(), typed(err)
}

// Ring returns the ring of the node and, if a tenant is named, who owns it. Errors:
// [ErrInvalid], [ErrDenied], [*UnavailableError], those of ctx.
func (c *Client) Ring(ctx context.Context, tenant string) (*tenantryv1.GetRingResponse, error) {
	res, err := c.cluster.GetRing(ctx, &tenantryv1.GetRingRequest{Tenant: tenant})
	return res, typed(err)
}

// Members returns the members of the cluster as the node sees them. Errors:
// [ErrDenied], [*UnavailableError], those of ctx.
func (c *Client) Members(ctx context.Context) (*tenantryv1.ListMembersResponse, error) {
	res, err := c.cluster.ListMembers(ctx, &tenantryv1.ListMembersRequest{})
	return res, typed(err)
}

// Drain has a member leave, or the node that is asked if none is named: it hands its
// tenants over and ends. It returns as soon as that has begun; [Client.Members] tells
// how many tenants are left. Errors: [ErrNotFound] if no member has the name,
// [ErrDenied], [*UnavailableError], those of ctx.
func (c *Client) Drain(ctx context.Context, node string) (*tenantryv1.DrainResponse, error) {
	res, err := c.cluster.Drain(ctx, &tenantryv1.DrainRequest{Node: node})
	return res, typed(err)
}
