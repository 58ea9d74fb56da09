package config_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/shard/kinds/strictyaml"
)

func TestReload(t *testing.T) {
	running := parse(t, "limits: {overrides: {acme: {tenant_bytes: 1MiB}}}\ntenants: {preload: [a]}\n")
	next := parse(t, `
limits: {tenant_bytes: 2MiB, node_bytes: 2GiB, overrides: {acme: {tenant_bytes: 3MiB}}}
listen: {rpc: "127.0.0.1:1"}
telemetry: {log_level: debug}
`)
	before := parse(t, "limits: {overrides: {acme: {tenant_bytes: 1MiB}}}\ntenants: {preload: [a]}\n")
	merged, taken, restart := config.Reload(running, next)
	if diff := cmp.Diff([]string{"limits.tenant_bytes", "limits.overrides", "telemetry.log_level"}, taken); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"listen.rpc", "tenants.preload", "limits.node_bytes"}, restart); diff != "" {
		t.Errorf("restart (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, running); diff != "" {
		t.Errorf("the running configuration changed:\n%s", diff)
	}
	want := *running
	want.Limits.TenantBytes, want.Limits.Overrides, want.Telemetry.LogLevel = next.Limits.TenantBytes, next.Limits.Overrides, "debug"
	if diff := cmp.Diff(&want, merged); diff != "" {
		t.Errorf("merged (-want +got):\n%s", diff)
	}
	if _, taken, restart := config.Reload(merged, merged); taken != nil || restart != nil {
		t.Errorf("the same again: %q, %q", taken, restart)
	}
}

// Each key either is taken or needs a restart, and those taken are keys.
func TestReloadKnowsItsKeys(t *testing.T) {
	var keys []string
	for leaf := range strictyaml.Leaves(config.Default()) {
		keys = append(keys, leaf.Key)
	}
	for _, key := range config.Live() {
		if !slices.Contains(keys, key) {
			t.Errorf("%s is no key", key)
		}
	}
}
