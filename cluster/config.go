package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus"
)

// Config says who a node is and how it finds the others. Zero fields take
// their defaults; Name and Address have none.
type Config struct {
	// Name is the node's, unique in the cluster: 1 to 128 bytes, no spaces.
	Name string
	// Address is where peers and clients reach the rpc port, host:port or a
	// URL: 1 to 160 bytes, no spaces.
	Address string
	// Zone is where the node runs, up to 32 bytes. Default: none.
	Zone string
	// Algorithm is the id of the ring's algorithm and its settings, up to 64
	// bytes. Nodes with another one are refused.
	Algorithm string
	// Version is the binary's, up to 32 bytes. It is shown, and refuses nobody.
	Version string

	// Label keeps clusters apart that share a network, up to 64 bytes: packets
	// and streams with another are dropped. Default: tenantry.
	Label string
	// Keys encrypt the gossip: each has 16, 24 or 32 bytes (AES-128, -192 or
	// -256). The first encrypts, all decrypt, so that a new key is rolled out
	// as the last one, then moved to the front, then left alone. Default:
	// none, the gossip is in the clear.
	Keys [][]byte

	// Bind is the host:port to gossip on, by TCP and UDP. An empty host: all
	// addresses. Port 0: a free one. Not used with Transport.
	// Default: 127.0.0.1:7946.
	Bind string
	// Advertise is the host:port at which others reach Bind. A name is
	// resolved once, port 0 is Bind's. Default: Bind's address or, if that is
	// all of them, the host's first private one.
	Advertise string

	// Join are the host:port of the seeds. Names are resolved anew at each
	// attempt, and may have several addresses. Those of the node itself do not
	// count. Default: none.
	Join []string
	// RejoinInterval is the longest time between two attempts to reach seeds
	// that are no members, and members that died: a partition heals within it.
	// After a death or a failure attempts are quicker. At least 1 s.
	// Default: 30 s.
	RejoinInterval time.Duration
	// Expect is the number of members, the node included, at which the cluster
	// counts as formed. Default: 1.
	Expect int
	// ExpectTimeout is when it counts as formed with fewer. Default: 30 s.
	ExpectTimeout time.Duration

	// Transport carries the gossip in place of sockets on Bind. Its dials must
	// end when it is shut down. Default: nil.
	Transport memberlist.Transport
	// Resolve looks up a host name, and ends with ctx. Default: the resolver of package net.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Logger is told of members that come and go, and of refusals.
	// Default: nobody is.
	Logger *slog.Logger
	// Registerer takes the metrics; nil: nobody does.
	Registerer prometheus.Registerer
}

const maxLabel = 64

func (c Config) withDefaults() (Config, error) {
	c.Label = cmp.Or(c.Label, "tenantry")
	c.Bind = cmp.Or(c.Bind, "127.0.0.1:7946")
	c.RejoinInterval = cmp.Or(c.RejoinInterval, 30*time.Second)
	c.Expect = cmp.Or(c.Expect, 1)
	c.ExpectTimeout = cmp.Or(c.ExpectTimeout, 30*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Resolve == nil {
		c.Resolve = lookup
	}
	c.Join = slices.Clone(c.Join)
	return c, c.check()
}

func lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

func (c Config) meta() Meta {
	return Meta{Address: c.Address, Zone: c.Zone, Algorithm: c.Algorithm, Version: c.Version}
}

func (c Config) check() error {
	meta := c.meta()
	errs := []error{checkName(c.Name), meta.check(), text("label", c.Label, 1, maxLabel)}
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	for i, key := range c.Keys {
		refuse(memberlist.ValidateKey(key) != nil, "key %d: has %d bytes; must have 16, 24 or 32", i, len(key))
	}
	for _, seed := range c.Join {
		_, _, err := net.SplitHostPort(seed)
		refuse(err != nil, "seed %.100q: must be host:port", seed)
	}
	refuse(c.RejoinInterval < time.Second, "rejoin interval %v: must be at least 1s", c.RejoinInterval)
	refuse(c.Expect < 1, "expect %d: must be at least 1", c.Expect)
	refuse(c.ExpectTimeout < 0, "expect timeout %v: must not be negative", c.ExpectTimeout)
	return errors.Join(errs...)
}
