package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/cache/origin"
	"github.com/tenantry/tenantry/cluster"
	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/rpc/peers"
	"github.com/tenantry/tenantry/shard"
	"github.com/tenantry/tenantry/shard/kinds"
	"github.com/tenantry/tenantry/shard/ring"
	"github.com/tenantry/tenantry/subscriber"
)

// Node is one node of Tenantry in this process.
type Node struct {
	log     *slog.Logger
	version string
	limits  liveLimits
	origin  *origin.Reader
	cache   *cache.Cache
	shard   *shard.Node
	bus     *subscriber.Subscriber
	cluster *cluster.Cluster
	peers   *peers.Peers
	rpc     *rpc.Server
	admin   *rpc.Server
	rpcAt   net.Addr
	adminAt net.Addr
	bounds  bounds
	// drained is closed when the node is asked to leave.
	drained chan struct{}
	drain   func()
}

// New puts a node together and binds its ports, so that a port in use is an
// error at once. Version is the binary's, as members show it. Nodes of one process
// may share the rings that they make; nil: this one makes its own. Close it with
// Run.
func New(cfg *config.Config, version string, log *slog.Logger, rings *ring.Shared) (*Node, error) {
	n, reg := &Node{log: log, version: version, drained: make(chan struct{})}, prometheus.NewRegistry()
	n.drain = sync.OnceFunc(func() { close(n.drained) })
	n.bounds = bounds{cfg.Cluster.WarmTimeout, cfg.Cluster.DrainTimeout, cfg.Cluster.DrainLinger}
	n.Reload(cfg)
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	set, err := cfg.Kinds.Set()
	if err != nil {
		return nil, err
	}
	if n.origin, err = newOrigin(cfg, set, &n.limits, log, reg); err != nil {
		return nil, err
	}
	n.cache = newCache(cfg, set, &n.limits, n.origin, log, reg)
	n.shard = newShard(cfg, set, n.cache, log, reg)
	if n.bus, err = newBus(cfg, set, n.shard, log, reg); err != nil {
		return nil, err
	}
	n.shard.Connect(n.bus)
	if rings == nil {
		if rings, err = ring.NewShared(RingSettings(cfg)); err != nil {
			return nil, fmt.Errorf("ring: %w", err)
		}
	}
	return n, n.listen(cfg, set, rings, reg)
}

// listen binds the ports: what others are told of one is known then.
func (n *Node) listen(cfg *config.Config, set *kinds.Set, rings *ring.Shared, reg *prometheus.Registry) error {
	name, err := nodeName(cfg)
	if err != nil {
		return err
	}
	rpcListener, err := bind("listen.rpc", cfg.Listen.RPC)
	if err != nil {
		return err
	}
	adminListener, err := bind("listen.admin", cfg.Listen.Admin)
	if err != nil {
		return errors.Join(err, rpcListener.Close())
	}
	n.rpcAt, n.adminAt = rpcListener.Addr(), adminListener.Addr()
	m, err := n.join(cfg, name, rings, reg)
	if err != nil {
		return errors.Join(err, rpcListener.Close(), adminListener.Close())
	}
	n.rpc = rpc.NewServer(rpcListener, traced(rpc.NewHandler(rpc.Config{
		Node: n.shard, Readiness: n, Authenticate: rpc.Anonymous, Name: name, CORSOrigins: cfg.CORS.Origins,
		Epoch: n.shard.Epoch, Peers: n.peers, Secrets: []string{secret(cfg, n.cluster)}, Members: m.members, Drain: n.drain,
		Passer: newPasser(n.origin, n.cache, set.Cache()),
		Logger: n.log, Registerer: reg,
	})), n.log)
	n.admin = rpc.NewServer(adminListener, rpc.NewAdmin(n, reg), n.log)
	return nil
}

func bind(key string, at config.Address) (net.Listener, error) {
	l, err := net.Listen("tcp", string(at))
	if err != nil {
		return nil, fmt.Errorf("%s: %w; free the port or configure another", key, err)
	}
	return l, nil
}

func nodeName(cfg *config.Config) (string, error) {
	if cfg.Node.Name != "" {
		return cfg.Node.Name, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("node.name is empty and the host has none: %w", err)
	}
	return name, nil
}

// RPC returns the address of the rpc port.
func (n *Node) RPC() string { return n.rpcAt.String() }

// Admin returns the address of the admin port.
func (n *Node) Admin() string { return n.adminAt.String() }

// Readiness says whether the node should get requests; see [shard.Node.Readiness].
// One whose name another had first should not: the others would take it for that one.
func (n *Node) Readiness() (ready bool, reasons, degraded []string) {
	ready, reasons, degraded = n.shard.Readiness()
	if by, taken := n.cluster.NameTaken(); taken {
		ready, reasons = false, append(reasons, "node.name is that of the node at "+by.String())
	}
	return ready, reasons, degraded
}

// RingMembers returns how many members the ring has.
func (n *Node) RingMembers() int {
	_, members, _ := n.shard.Ring()
	return len(members)
}

// TenantState says where a tenant is in its life on this node, such as "live".
func (n *Node) TenantState(tenant string) string { return n.shard.State(tenant).String() }

// Run serves until ctx ends, or the node is drained; then it hands over what it has
// and stops in order. It returns when everything that it started has ended: nil, or
// what failed.
func (n *Node) Run(ctx context.Context) error {
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, inner := errgroup.WithContext(inner)
	for _, run := range []func(context.Context) error{
		n.bus.Run, n.cache.Run, n.cluster.Run, n.tell, n.warm, n.shard.Run, n.peers.Run, n.admin.Run,
	} {
		g.Go(func() error { return run(inner) })
	}
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	defer context.AfterFunc(inner, stopServing)()
	g.Go(func() error {
		select {
		case <-ctx.Done():
		case <-n.drained:
		case <-inner.Done():
			return nil
		}
		n.leave(inner)
		stopServing()
		return nil
	})

	err := n.rpc.Run(serving)
	stop()
	err = errors.Join(err, g.Wait())
	n.origin.Close()
	return err
}
