package config

import (
	"reflect"
	"slices"

	"github.com/tenantry/tenantry/shard/kinds/strictyaml"
)

// Live returns the keys that a running node takes up when it reads its
// configuration again. Who makes another one live adds its row.
func Live() []string {
	return []string{
		"limits.tenant_bytes",
		"limits.tenant_origin_concurrency",
		"limits.overrides",
		"telemetry.log_level",
	}
}

// Reload returns the running configuration with what of next a running node
// takes up, and the keys whose values differ: those taken, and those that keep
// their values until a restart. It changes neither configuration.
func Reload(running, next *Config) (merged *Config, taken, restart []string) {
	c := *running
	values := map[string]reflect.Value{}
	for leaf := range strictyaml.Leaves(next) {
		values[leaf.Key] = leaf.Value
	}
	for leaf := range strictyaml.Leaves(&c) {
		value := values[leaf.Key]
		switch {
		case same(value, leaf.Value.Interface()):
		case slices.Contains(Live(), leaf.Key):
			leaf.Value.Set(value)
			taken = append(taken, leaf.Key)
		default:
			restart = append(restart, leaf.Key)
		}
	}
	return &c, taken, restart
}
