package node

import (
	"testing"

	"github.com/tenantry/tenantry/cmd/tenantry/config"
)

// The limits that count are those of the last Reload, a tenant's own first.
func TestLimitsAreReloaded(t *testing.T) {
	n, own, reads := &Node{}, config.Size(1<<20), 2
	for _, test := range []struct {
		limits config.Limits
		bytes  int64
		reads  int
	}{
		{config.Limits{TenantBytes: 5, TenantOriginConcurrency: 6}, 5, 6},
		{config.Limits{TenantBytes: 7, TenantOriginConcurrency: 8, Overrides: map[string]config.Override{"other": {TenantBytes: &own}}}, 7, 8},
		{config.Limits{TenantBytes: 7, TenantOriginConcurrency: 8, Overrides: map[string]config.Override{"acme": {TenantBytes: &own}}}, 1 << 20, 8},
		{config.Limits{TenantBytes: 7, TenantOriginConcurrency: 8, Overrides: map[string]config.Override{"acme": {TenantOriginConcurrency: &reads}}}, 7, 2},
	} {
		n.Reload(&config.Config{Limits: test.limits})
		if b, r := n.limits.tenantBytes("acme"), n.limits.tenantConcurrency("acme"); b != test.bytes || r != test.reads {
			t.Errorf("%+v: %d bytes and %d reads, want %d and %d", test.limits, b, r, test.bytes, test.reads)
		}
	}
}
