package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"

	"github.com/hashicorp/memberlist"
)

// targets returns whom to contact: the seeds that are neither this node nor
// live members, some of the members that died, those given besides and, if
// wide, some that live. An error is about seeds that are left out.
func (c *Cluster) targets(ctx context.Context, wide bool, besides []netip.AddrPort) ([]netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	seeds, err := c.seeds(ctx)
	live, lost := c.addresses()
	var targets []netip.AddrPort
	seen := make(map[netip.AddrPort]bool)
	add := func(all []netip.AddrPort, unless map[netip.AddrPort]bool) {
		for _, at := range all {
			if !seen[at] && !unless[at] && !c.isSelf(at) {
				seen[at] = true
				targets = append(targets, at)
			}
		}
	}
	alive := make(map[netip.AddrPort]bool)
	for _, at := range live {
		alive[at] = true
	}
	add(seeds, alive)
	add(some(lost, lostAtOnce), alive)
	add(besides, nil)
	if wide {
		add(some(live, lostAtOnce), nil)
	}
	return targets, err
}

// seeds resolves all of them side by side. One that cannot be resolved is an
// error beside the others' addresses.
func (c *Cluster) seeds(ctx context.Context) (all []netip.AddrPort, failed error) {
	found := make([][]netip.AddrPort, len(c.cfg.Join))
	errs := make([]error, len(c.cfg.Join))
	var wg sync.WaitGroup
	for i, seed := range c.cfg.Join {
		wg.Go(func() { found[i], errs[i] = c.resolve(ctx, seed) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			c.metrics.joins.WithLabelValues(joinUnresolved).Inc()
			errs[i] = fmt.Errorf("resolve %s: %w", c.cfg.Join[i], err)
		}
		all = append(all, found[i]...)
	}
	return all, errors.Join(errs...)
}

// addresses returns where the live members are, and where the dead ones were.
// Those that left are not looked for.
func (c *Cluster) addresses() (live, lost []netip.AddrPort) {
	for _, m := range c.roster.members() {
		switch {
		case m.Self:
		case !m.Reach.Gone():
			live = append(live, m.GossipAddress)
		case m.Reach == Dead:
			lost = append(lost, m.GossipAddress)
		}
	}
	return live, lost
}

// some returns n of the addresses at random, or all of them.
func some(all []netip.AddrPort, n int) []netip.AddrPort {
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:min(n, len(all))]
}

// isSelf says whether this node would reach itself there.
func (c *Cluster) isSelf(at netip.AddrPort) bool {
	if at == c.GossipAddress() {
		return true
	}
	c.mu.Lock()
	sockets, ok := c.transport.NodeAwareTransport.(*memberlist.NetTransport)
	c.mu.Unlock()
	return ok && int(at.Port()) == sockets.GetAutoBindPort() && c.isLocal(at.Addr())
}

// isLocal says whether Bind listens on the address.
func (c *Cluster) isLocal(ip netip.Addr) bool {
	host, _, _ := net.SplitHostPort(c.cfg.Bind)
	if bound, err := netip.ParseAddr(host); err == nil && !bound.IsUnspecified() {
		return bound.Unmap() == ip
	}
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	local, _ := net.InterfaceAddrs()
	for _, a := range local {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Unmap() == ip {
			return true
		}
	}
	return false
}
