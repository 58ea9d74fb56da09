package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"

	"github.com/hashicorp/memberlist"
)

// Listen binds the gossip port, so that a port in use is an error at once, and
// finds out what address to tell others. [Cluster.Run] does it if nobody has;
// once bound, the port is freed by Run alone. Calling Listen again does nothing.
func (c *Cluster) Listen() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport != nil {
		return nil
	}
	inner, err := c.bind()
	if err != nil {
		return err
	}
	advertise, err := c.advertised(inner)
	if err != nil {
		return errors.Join(err, discard(inner))
	}
	c.transport = newTransport(inner, advertise, c.metrics.dropped)
	c.roster.changeSelf(func(m *Member) { m.GossipAddress = advertise })
	return nil
}

// GossipAddress returns the address that others are told, once Listen has bound
// it.
func (c *Cluster) GossipAddress() netip.AddrPort {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport == nil {
		return netip.AddrPort{}
	}
	return c.transport.advertise
}

// bind returns the configured transport or sockets on the configured address.
func (c *Cluster) bind() (memberlist.NodeAwareTransport, error) {
	if aware, ok := c.cfg.Transport.(memberlist.NodeAwareTransport); ok {
		return aware, nil
	}
	if c.cfg.Transport != nil {
		return nodeAware{c.cfg.Transport}, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	at, err := c.address(ctx, c.cfg.Bind, 0)
	if err != nil {
		return nil, fmt.Errorf("bind the gossip to %s: %w", c.cfg.Bind, err)
	}
	return c.sockets(at)
}

// sockets binds TCP and UDP. The kernel's choice of a free TCP port may be
// taken as a UDP port: then it chooses again.
func (c *Cluster) sockets(at netip.AddrPort) (memberlist.NodeAwareTransport, error) {
	host := at.Addr().String()
	if at.Addr().IsUnspecified() {
		host = "0.0.0.0" // memberlist knows all addresses by this name alone
	}
	var last error
	for range 10 {
		t, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{host}, BindPort: int(at.Port()), Logger: slog.NewLogLogger(handler{c.gossipLog}, slog.LevelDebug),
		})
		if err == nil {
			return t, nil
		}
		if last = err; at.Port() != 0 {
			break
		}
	}
	return nil, fmt.Errorf("%w: %s: %w", ErrAddressInUse, c.cfg.Bind, last)
}

// advertised returns the address to tell others.
func (c *Cluster) advertised(inner memberlist.Transport) (netip.AddrPort, error) {
	ip, port, err := inner.FinalAdvertiseAddr("", 0)
	if c.cfg.Advertise != "" {
		if sockets, ok := inner.(*memberlist.NetTransport); ok {
			port = sockets.GetAutoBindPort()
		}
		ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
		defer cancel()
		at, err := c.address(ctx, c.cfg.Advertise, uint16(port))
		if err != nil || at.Addr().IsUnspecified() {
			return at, fmt.Errorf("%w: %s cannot be talked to: %w", ErrNoAdvertise, c.cfg.Advertise, err)
		}
		return at, nil
	}
	addr, ok := netip.AddrFromSlice(ip)
	if err != nil || !ok || addr.IsUnspecified() {
		return netip.AddrPort{}, errors.Join(ErrNoAdvertise, err)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), nil
}

// address resolves host:port to one address, of IPv4 if there is a choice; a
// port 0 becomes the default.
func (c *Cluster) address(ctx context.Context, hostport string, port uint16) (netip.AddrPort, error) {
	all, err := c.resolve(ctx, hostport)
	if err != nil {
		return netip.AddrPort{}, err
	}
	at := all[max(0, slices.IndexFunc(all, func(a netip.AddrPort) bool { return a.Addr().Is4() }))]
	if at.Port() == 0 {
		at = netip.AddrPortFrom(at.Addr(), port)
	}
	return at, nil
}

var errNoAddress = errors.New("the name has no address")

// resolve returns at least one address, or an error.
func (c *Cluster) resolve(ctx context.Context, hostport string) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %.20q: %w", service, strconv.ErrSyntax)
	}
	addrs := []netip.Addr{netip.IPv4Unspecified()}
	if host != "" {
		if addrs, err = c.lookup(ctx, host); err != nil {
			return nil, err
		}
	}
	all := make([]netip.AddrPort, 0, len(addrs))
	for _, a := range addrs {
		all = append(all, netip.AddrPortFrom(a.Unmap(), uint16(port)))
	}
	return all, nil
}

func (c *Cluster) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	addrs, err := c.cfg.Resolve(ctx, host)
	if err == nil && len(addrs) == 0 {
		err = errNoAddress
	}
	return addrs, err
}

// discard shuts a transport down that nobody listens to: it would wait for
// somebody to take what it has received.
func discard(t memberlist.Transport) error {
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-t.PacketCh():
			case conn := <-t.StreamCh():
				_ = conn.Close()
			case <-done:
				return
			}
		}
	})
	err := t.Shutdown()
	close(done)
	wg.Wait()
	return err
}
