package peers

import (
	"context"

	"google.golang.org/protobuf/types/known/durationpb"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/shard"
)

// Activity tells a node of tenants that were read here.
func (p *Peers) Activity(ctx context.Context, to shard.Peer, tenants []shard.Activity) error {
	req := &tenantryv1.ActivityRequest{Node: p.cfg.Self, Tenants: make([]*tenantryv1.TenantActivity, len(tenants))}
	for i, t := range tenants {
		req.Tenants[i] = &tenantryv1.TenantActivity{Tenant: t.Tenant, Idle: durationpb.New(t.Idle)}
	}
	_, err := p.lane(&to).client.Activity(ctx, req)
	return err
}
