package node

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/cache/origin"
	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/shard"
	"github.com/tenantry/tenantry/shard/kinds"
	"github.com/tenantry/tenantry/subscriber"
)

func newOrigin(cfg *config.Config, set *kinds.Set, l *liveLimits, log *slog.Logger, reg prometheus.Registerer) (*origin.Reader, error) {
	token, err := cfg.Origin.Secret()
	if err != nil {
		return nil, fmt.Errorf("origin.token_file: %w", err)
	}
	return origin.New(origin.Config{
		URL: string(cfg.Origin.URL), Timeout: cfg.Origin.Timeout, Token: token,
		MaxBytes: int64(cfg.Origin.MaxBytes), Concurrency: cfg.Origin.Concurrency,
		Retries: retries(cfg.Origin.Retries), TenantConcurrency: l.tenantConcurrency,
	}, set.Origin(), log, reg)
}

// retries says never in the reader's words.
func retries(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// adaptiveTTL returns the bounds of the TTLs that follow the reads.
func adaptiveTTL(a *config.AdaptiveTTL) cache.AdaptiveTTL {
	if !a.Enabled {
		return cache.AdaptiveTTL{}
	}
	return cache.AdaptiveTTL{Min: a.Min, Max: a.Max}
}

func newCache(cfg *config.Config, set *kinds.Set, l *liveLimits, source cache.Source, log *slog.Logger, reg prometheus.Registerer) *cache.Cache {
	return cache.New(cache.Config{
		Kinds: set.Cache(), Source: source, Bound: cfg.Coherence.Bound, ProofTTL: cfg.Coherence.ProofTTL,
		SoftTimeout: cfg.Origin.SoftTimeout, AdaptiveTTL: adaptiveTTL(&cfg.Kinds.AdaptiveTTL),
		FillTimeout: cfg.Origin.Timeout + cfg.Origin.Timeout/4, TenantBytes: l.tenantBytes,
		NodeBytes: int64(cfg.Limits.NodeBytes), Logger: log, Registerer: reg,
	})
}

func newShard(cfg *config.Config, set *kinds.Set, c *cache.Cache, log *slog.Logger, reg prometheus.Registerer) *shard.Node {
	return shard.New(shard.Config{
		Kinds: set.Cache(), Cache: c, Preload: cfg.Tenants.Preload, IdleTimeout: cfg.Tenants.IdleTimeout,
		ActiveTenants: cfg.Limits.ActiveTenants, ActivationsPerSecond: cfg.Limits.ActivationsPerSecond,
		ResyncPerSecond: cfg.Coherence.ResyncPerSecond, Logger: log, Registerer: reg,
	})
}

func newBus(cfg *config.Config, set *kinds.Set, h subscriber.Handler, log *slog.Logger, reg prometheus.Registerer) (*subscriber.Subscriber, error) {
	bus, err := Bus(cfg)
	if err != nil {
		return nil, err
	}
	return subscriber.New(bus, set, h, log, reg)
}

// Bus returns how to reach the bus.
func Bus(cfg *config.Config) (subscriber.Config, error) {
	encryption, err := busTLS(&cfg.Redis.TLS)
	if err != nil {
		return subscriber.Config{}, err
	}
	addresses := make([]string, len(cfg.Redis.Addresses))
	for i, a := range cfg.Redis.Addresses {
		addresses[i] = string(a)
	}
	return subscriber.Config{
		Addresses: addresses, Username: cfg.Redis.Username, Password: cfg.Redis.Password.Reveal(),
		PasswordFile: cfg.Redis.PasswordFile, TLS: encryption, Namespace: cfg.Redis.Namespace,
		Heartbeat: cfg.Redis.Heartbeat, ProofTTL: cfg.Coherence.ProofTTL, Connections: cfg.Redis.Connections,
	}, nil
}

func busTLS(c *config.RedisTLS) (*tls.Config, error) {
	if !c.Enabled {
		return nil, nil
	}
	t := &tls.Config{ServerName: c.ServerName, MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("redis.tls.ca: %w", err)
		}
		if t.RootCAs = x509.NewCertPool(); !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("redis.tls.ca: %s holds no certificate in PEM", c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("redis.tls.cert: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
