package config

import (
	"net"
	"strings"

	"github.com/tenantry/tenantry/shard/kinds/strictyaml"
)

// seed applies the variables that the specification's consumer reads. A host
// without a port has Redis's; a port without a host keeps the host there is. A
// REDIS_PORT such as tcp://10.0.0.1:6379 is what Kubernetes sets for a Service
// called redis: with a host its port counts, without one it says nothing.
func (c *Config) seed(r *strictyaml.Report, set map[string]string) {
	host, port := set["REDIS_HOST"], set["REDIS_PORT"]
	if link, ok := strings.CutPrefix(port, "tcp://"); ok {
		port = ""
		if host != "" {
			_, port, _ = net.SplitHostPort(link)
		}
	}
	name := "REDIS_HOST"
	if host == "" {
		name = "REDIS_PORT"
	}
	if host != "" || port != "" {
		c.apply(r, "redis.addresses", name, c.seedAddress(host, port))
	}
	if user := set["REDIS_USERNAME"]; user != "" {
		c.apply(r, "redis.username", "REDIS_USERNAME", user)
	}
	if password := set["REDIS_PASSWORD"]; password != "" {
		c.apply(r, "redis.password", "REDIS_PASSWORD", password)
	}
}

func (c *Config) seedAddress(host, port string) string {
	if host == "" {
		host = "127.0.0.1"
		if len(c.Redis.Addresses) > 0 {
			host = c.Redis.Addresses[0].Host()
		}
	}
	if port == "" {
		port = "6379"
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

func (c *Config) apply(r *strictyaml.Report, key, variable, value string) {
	for leaf := range strictyaml.Leaves(c) {
		if leaf.Key == key {
			c.replaces(key)
			r.Override(leaf, variable, value)
		}
	}
}
