package node

import (
	"sync/atomic"

	"github.com/tenantry/tenantry/cmd/tenantry/config"
)

// liveLimits are the limits of tenants that count now. They are asked for at
// each write and each origin read, and replaced as a whole.
type liveLimits struct{ at atomic.Pointer[config.Limits] }

// tenantConcurrency returns how many origin reads of a tenant may be in flight.
func (l *liveLimits) tenantConcurrency(tenant string) int {
	now := l.at.Load()
	if o, ok := now.Overrides[tenant]; ok && o.TenantOriginConcurrency != nil {
		return *o.TenantOriginConcurrency
	}
	return now.TenantOriginConcurrency
}

// tenantBytes returns the memory budget of a tenant.
func (l *liveLimits) tenantBytes(tenant string) int64 {
	now := l.at.Load()
	if o, ok := now.Overrides[tenant]; ok && o.TenantBytes != nil {
		return int64(*o.TenantBytes)
	}
	return int64(now.TenantBytes)
}

// Reload takes up the keys of [config.Live] that are the node's: the limits of
// tenants. A smaller budget evicts with the tenant's next write. The rest of cfg
// has no effect.
func (n *Node) Reload(cfg *config.Config) {
	limits := cfg.Limits
	n.limits.at.Store(&limits)
}
