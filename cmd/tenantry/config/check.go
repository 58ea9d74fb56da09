package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tenantry/tenantry/shard/kinds"
	"github.com/tenantry/tenantry/shard/kinds/strictyaml"
)

// check reports what is wrong although each key by itself could be right.
func (c *Config) check(r *strictyaml.Report) {
	k := checker{r}
	k.addresses(c)
	k.redis(&c.Redis)
	k.coherence(c)
	k.origin(&c.Origin)
	k.limits(&c.Limits)
	k.auth(&c.Auth)
	k.pair("tls.cert", c.TLS.Cert, "tls.key", c.TLS.Key)
	k.readable("tls.client_ca", c.TLS.ClientCA)
	if c.TLS.ClientCA != "" && c.TLS.Cert == "" {
		k.add("tls.client_ca", "asks for clients' certificates without TLS; give tls.cert and tls.key, or leave it out")
	}
	k.kinds(&c.Kinds)
	k.tenants(c.Tenants.Preload)
	k.corsOrigins(c.CORS.Origins)
}

// checker reports mistakes of keys that are not known to be wrong already.
type checker struct{ r *strictyaml.Report }

func (k checker) add(key, format string, args ...any) {
	if !k.r.Bad(key) {
		k.r.Add(key, format, args...)
	}
}

// between reports a mistake of two keys that do not fit together, at the place of
// the first that was given.
func (k checker) between(key, other, format string, args ...any) {
	if !k.r.Bad(key) && !k.r.Bad(other) {
		at := key
		if !k.r.Given(key) && k.r.Given(other) {
			at = other
		}
		k.r.AddAt(at, key, format, args...)
	}
}

func (k checker) addresses(c *Config) {
	listens := []struct {
		key     string
		address Address
	}{{"listen.rpc", c.Listen.RPC}, {"listen.admin", c.Listen.Admin}, {"listen.gossip", c.Listen.Gossip}}
	for i, l := range listens {
		if l.address == "" {
			k.add(l.key, "is empty; give an address such as 127.0.0.1:7070")
		}
		for _, other := range listens[:i] {
			if l.address == other.address && l.address != "" && !strings.HasSuffix(string(l.address), ":0") {
				k.add(l.key, "is the address of %s too; give each its own port", other.key)
			}
		}
	}
	k.reachable("advertise.rpc", c.Advertise.RPC, true)
	k.reachable("advertise.gossip", c.Advertise.Gossip, true)
	for i, a := range c.Cluster.Join {
		k.reachable(strictyaml.Index("cluster.join", i), a, false)
	}
}

// reachable refuses addresses that one can listen on but not talk to.
func (k checker) reachable(key string, a Address, mayBeEmpty bool) {
	if a == "" && mayBeEmpty {
		return
	}
	ip, err := netip.ParseAddr(a.Host())
	if a.Host() == "" || err == nil && ip.IsUnspecified() || strings.HasSuffix(string(a), ":0") {
		k.add(key, "%q cannot be talked to; a host and a port are needed, such as 10.0.0.5:7070", string(a))
	}
}

func (k checker) redis(r *Redis) {
	if len(r.Addresses) == 0 {
		k.add("redis.addresses", "is empty; give at least one, such as 127.0.0.1:6379")
	}
	for i, a := range r.Addresses {
		k.reachable(strictyaml.Index("redis.addresses", i), a, false)
	}
	if r.Mode == "sentinel" && r.MasterName == "" {
		k.add("redis.master_name", "missing; sentinels are asked for a master by its name")
	}
	if !isName(r.Namespace) {
		k.add("redis.namespace", "%.70q is no namespace; 1 to 64 of letters, digits, '.', '_' and '-' are needed", r.Namespace)
	}
	k.one("redis.password", r.Password, "redis.password_file", r.PasswordFile)
	k.pair("redis.tls.cert", r.TLS.Cert, "redis.tls.key", r.TLS.Key)
	k.readable("redis.tls.ca", r.TLS.CA)
	if t := r.TLS; !t.Enabled && t != (RedisTLS{}) {
		k.add("redis.tls.enabled", "is not true, but the other keys say how to encrypt; set it, or leave them out")
	}
}

func (k checker) coherence(c *Config) {
	if low := 2 * c.Redis.Heartbeat; c.Coherence.ProofTTL < low {
		k.between("coherence.proof_ttl", "redis.heartbeat", "%v is less than twice redis.heartbeat (%v); at least %v", c.Coherence.ProofTTL, c.Redis.Heartbeat, low)
	}
	if low := c.Coherence.ProofTTL + time.Second; c.Coherence.Bound < low {
		k.between("coherence.bound", "coherence.proof_ttl", "%v is less than coherence.proof_ttl + 1s; at least %v", c.Coherence.Bound, low)
	}
}

func (k checker) origin(o *Origin) {
	if o.URL == "" {
		k.add("origin.url", "is empty; give a URL such as http://127.0.0.1:9000")
	}
	if k.r.Given("origin.soft_timeout") && o.SoftTimeout > o.Timeout {
		k.add("origin.soft_timeout", "%v is more than origin.timeout (%v); give less, or 0s for none", o.SoftTimeout, o.Timeout)
	}
	k.one("origin.token", o.Token, "origin.token_file", o.TokenFile)
}

func (k checker) limits(l *Limits) {
	if l.TenantBytes > l.NodeBytes {
		k.between("limits.tenant_bytes", "limits.node_bytes", "%s is more than limits.node_bytes (%s); a tenant fits into the node", text(l.TenantBytes), text(l.NodeBytes))
	}
	for tenant, o := range l.Overrides {
		key := "limits.overrides." + tenant
		if !isName(tenant) {
			k.add(key, "%.70q is no tenant; 1 to 64 of letters, digits, '.', '_' and '-' are needed", tenant)
		}
		if o.TenantBytes != nil && *o.TenantBytes > l.NodeBytes {
			k.add(key+".tenant_bytes", "%s is more than limits.node_bytes (%s); a tenant fits into the node", text(*o.TenantBytes), text(l.NodeBytes))
		}
	}
}

func text(s Size) []byte {
	b, _ := s.MarshalText()
	return b
}

func (k checker) auth(a *Auth) {
	k.readable("auth.tokens_file", a.TokensFile)
	if a.Mode == "tokens" && a.TokensFile == "" {
		k.add("auth.tokens_file", "missing; mode tokens reads them there")
	}
	if a.Mode == "jwt" && a.JWT.JWKS == "" {
		k.add("auth.jwt.jwks", "missing; mode jwt checks tokens with the keys there")
	}
}

func (k checker) kinds(c *Kinds) {
	if c.File == "" {
		if _, err := c.Set(); err != nil {
			k.add("kinds.preset", "%v, and no kinds.file; give one of them", err)
		}
		return
	}
	if k.readable("kinds.file", c.File) {
		_, err := c.Set()
		k.every(err)
	}
}

// every adds the mistakes of another file as they are.
func (k checker) every(err error) {
	if m, ok := errors.AsType[*strictyaml.MistakesError](err); ok {
		for _, one := range m.All {
			k.r.Variable(one.Place, one.Key, "%s", one.Text)
		}
		return
	}
	if err != nil {
		k.add("kinds.file", "%v", err)
	}
}

// Set reads the kinds: those of the file if there is one, else the preset.
func (c *Kinds) Set() (*kinds.Set, error) {
	o := kinds.Options{Aliases: c.Aliases}
	if c.File == "" {
		return kinds.Preset(c.Preset, o)
	}
	data, err := read(c.File)
	if err != nil {
		return nil, err
	}
	return kinds.Parse(c.File, data, o)
}

func (k checker) tenants(preload []string) {
	for i, t := range preload {
		key := strictyaml.Index("tenants.preload", i)
		if !isName(t) {
			k.add(key, "%.70q is no tenant; 1 to 64 of letters, digits, '.', '_' and '-' are needed", t)
		} else if slices.Contains(preload[:i], t) {
			k.add(key, "%s stands here twice; name it once", t)
		}
	}
}

func (k checker) corsOrigins(origins []string) {
	for i, o := range origins {
		var u URL
		if o == "*" {
			continue
		}
		if err := u.UnmarshalText([]byte(o)); err != nil || o == "" || strings.Count(o, "/") != 2 {
			k.add(strictyaml.Index("cors.origins", i), "%.70q is no origin; https://host is needed, without a path", o)
		}
	}
}

// one refuses a secret that is given twice.
func (k checker) one(key string, s Secret, fileKey, file string) {
	if s != "" && file != "" {
		k.add(fileKey, "%s is given too; give one of them", key)
	}
	k.readable(fileKey, file)
}

// pair refuses a certificate without its key and the other way round.
func (k checker) pair(certKey, cert, keyKey, key string) {
	if (cert == "") != (key == "") {
		missing, there := certKey, keyKey
		if cert != "" {
			missing, there = keyKey, certKey
		}
		k.add(missing, "missing; %s needs it", there)
	}
	k.readable(certKey, cert)
	k.readable(keyKey, key)
}

// readable reports a file that is named but cannot be read.
func (k checker) readable(key, file string) bool {
	if file == "" {
		return false
	}
	f, err := os.Open(file)
	if err == nil {
		defer f.Close()
		stat, statErr := f.Stat()
		if err = statErr; err == nil && stat.IsDir() {
			err = fmt.Errorf("%s is a folder", file)
		}
	}
	if err != nil {
		k.add(key, "cannot be read: %v; name a file that this user may read", err)
	}
	return err == nil
}

// isName says whether s can be a tenant or a namespace.
func isName(s string) bool {
	bad := strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-')
	})
	return !bad && len(s) <= 64 && s != "" && s != "." && s != ".."
}
