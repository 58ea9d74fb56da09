package config

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/tenantry/tenantry/shard/kinds/strictyaml"
)

// Show writes the effective configuration as YAML, with secrets masked.
func Show(w io.Writer, c *Config) error { return strictyaml.Encode(w, c, false) }

// heading opens the example.
const heading = `# Every key of the file that "tenantry serve --config FILE" reads, with its
# default: what is left out keeps it. TENANTRY_LISTEN_RPC sets listen.rpc, and so
# on. "tenantry config check FILE" says what is wrong with a file, and
# "tenantry config show" what a node would run with.
`

// Example writes the default configuration as YAML with a comment for each key.
func Example(w io.Writer) error {
	var b strings.Builder
	if err := strictyaml.Encode(&b, Default(), true); err != nil {
		return err
	}
	_, err := io.WriteString(w, heading+"\n"+strings.ReplaceAll(b.String(), "\n# ", "\n\n# "))
	return err
}

// gap is a key that has no effect in this version, and what would give it one.
type gap struct{ key, needs string }

// notYet returns the gaps. A key with others below it stands for them all, a *
// for every tenant. Who makes a key work deletes its row.
func notYet() []gap {
	return []gap{
		{"redis.mode", "sentinel and cluster"},
		{"redis.master_name", "sentinel"},
		{"limits.tenant_requests_per_second", "rates"},
		{"limits.overrides.*.tenant_requests_per_second", "rates"},
		{"auth", "authentication"},
		{"tls", "TLS on the rpc port"},
		{"telemetry.otlp_endpoint", "traces"},
		{"telemetry.audit_per_second", "audit"},
	}
}

// NotYet lists the keys that are set to other than their defaults but have no
// effect in this version, a sentence each.
func NotYet(c *Config) []string {
	var all []string
	standard := map[string]any{}
	for leaf := range strictyaml.Leaves(Default()) {
		standard[leaf.Key] = leaf.Value.Interface()
	}
	for leaf := range strictyaml.Leaves(c) {
		needs, ok := missing(leaf.Key)
		if ok && !same(leaf.Value, standard[leaf.Key]) {
			all = append(all, noEffect(leaf.Key, needs))
		}
	}
	all = append(all, overridesNotYet(c.Limits.Overrides)...)
	if len(c.Redis.Addresses) > 1 {
		all = append(all, "redis.addresses: only the first has an effect in mode standalone")
	}
	return all
}

// overridesNotYet is NotYet for the tenants' own limits, by tenant.
func overridesNotYet(overrides map[string]Override) []string {
	var all []string
	for _, tenant := range slices.Sorted(maps.Keys(overrides)) {
		own := overrides[tenant]
		for leaf := range strictyaml.Leaves(&own) {
			needs, ok := missing("limits.overrides.*." + leaf.Key)
			if ok && !leaf.Value.IsNil() {
				all = append(all, noEffect("limits.overrides."+tenant+"."+leaf.Key, needs))
			}
		}
	}
	return all
}

func noEffect(key, needs string) string {
	return fmt.Sprintf("%s has no effect: this version has no %s", key, needs)
}

func missing(key string) (needs string, ok bool) {
	for _, row := range notYet() {
		if key == row.key || strings.HasPrefix(key, row.key+".") {
			return row.needs, true
		}
	}
	return "", false
}

// same compares values; a list or mapping without elements equals none.
func same(v reflect.Value, standard any) bool {
	if k := v.Kind(); (k == reflect.Slice || k == reflect.Map) && v.Len() == 0 {
		return reflect.ValueOf(standard).Len() == 0
	}
	return reflect.DeepEqual(v.Interface(), standard)
}

// Insecure lists why the node may not start without --insecure, a sentence each.
// Authentication and TLS that this version does not have protect nothing,
// whatever the keys say.
func Insecure(c *Config) []string {
	var all []string
	note := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	_, open := missing("auth.mode")
	if open || c.Auth.Mode == "none" {
		if !c.Listen.RPC.Loopback() {
			note("listen.rpc is %s, beyond loopback, and nobody is asked who they are", c.Listen.RPC)
		}
		if !c.Listen.Admin.Loopback() {
			note("listen.admin is %s, beyond loopback, and nobody is asked who they are", c.Listen.Admin)
		}
	}
	if !c.Listen.Gossip.Loopback() && len(c.Cluster.SecretKeys) == 0 {
		note("listen.gossip is %s, beyond loopback, without cluster.secret_keys", c.Listen.Gossip)
	}
	if open && c.Auth.Mode != "none" {
		note("auth.mode is %s, which this version does not enforce", c.Auth.Mode)
	}
	if _, plain := missing("tls.cert"); plain && c.TLS.Cert != "" {
		note("tls.cert is set, but this version serves without TLS")
	}
	return all
}
