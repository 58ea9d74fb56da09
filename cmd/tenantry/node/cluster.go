package node

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantry/tenantry/cluster"
	"github.com/tenantry/tenantry/cmd/tenantry/config"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/rpc/peers"
	"github.com/tenantry/tenantry/shard"
	"github.com/tenantry/tenantry/shard/ring"
)

// RingSettings returns the settings of the ring.
func RingSettings(cfg *config.Config) ring.Settings {
	r := &cfg.Ring
	return ring.Settings{Partitions: r.Partitions, VirtualNodes: r.VirtualNodes, Load: r.Load, Replicas: r.Replicas}
}

// join binds the gossip and gives the node its cluster.
func (n *Node) join(cfg *config.Config, name string, rings *ring.Shared, reg prometheus.Registerer) (*membership, error) {
	at, err := address(cfg, n.rpcAt)
	if err != nil {
		return nil, err
	}
	if n.cluster, err = cluster.New(clusterConfig(cfg, name, at, n.version, n.log, reg)); err != nil {
		return nil, err
	}
	if err := n.cluster.Listen(); err != nil {
		return nil, fmt.Errorf("listen.gossip: %w; free the port or configure another", err)
	}
	n.peers = peers.New(peers.Config{
		Self: name, Epoch: n.shard.Epoch, Secret: cfg.Cluster.PeerSecret.Reveal(), Logger: n.log, Registerer: reg,
	})
	m := &membership{Cluster: n.cluster, changes: n.cluster.Changes()}
	n.shard.Join(shard.Cluster{Self: name, Members: m, Rings: rings, Colleagues: n.peers})
	return m, nil
}

func clusterConfig(cfg *config.Config, name, address, version string, log *slog.Logger, reg prometheus.Registerer) cluster.Config {
	c := cluster.Config{
		Name: name, Address: address, Zone: cfg.Node.Zone, Algorithm: RingSettings(cfg).Algorithm(), Version: version,
		Label: cfg.Cluster.Label, Bind: string(cfg.Listen.Gossip), Advertise: string(cfg.Advertise.Gossip),
		RejoinInterval: cfg.Cluster.RejoinInterval, Expect: cfg.Cluster.Expect, Logger: log, Registerer: reg,
	}
	for _, seed := range cfg.Cluster.Join {
		c.Join = append(c.Join, string(seed))
	}
	for _, key := range cfg.Cluster.SecretKeys {
		c.Keys = append(c.Keys, key.Bytes())
	}
	return c
}

// address returns where others reach the rpc port: as configured, else where it
// listens. If that is every address of the host, its name is what they know.
func address(cfg *config.Config, listening net.Addr) (string, error) {
	at, ok := listening.(*net.TCPAddr)
	if cfg.Advertise.RPC != "" || !ok || !at.IP.IsUnspecified() {
		return cmp.Or(string(cfg.Advertise.RPC), listening.String()), nil
	}
	host := cfg.Advertise.Gossip.Host()
	if host == "" {
		var err error
		if host, err = os.Hostname(); err != nil {
			return "", fmt.Errorf("advertise.rpc is empty, listen.rpc is every address, and the host has no name: %w", err)
		}
	}
	return net.JoinHostPort(host, strconv.Itoa(at.Port)), nil
}

// membership is the cluster as the shard and the edge see it.
type membership struct {
	*cluster.Cluster
	changes <-chan struct{}
}

// Changed has something whenever Alive may return something else.
func (m *membership) Changed() <-chan struct{} { return m.changes }

// Alive returns the members that are not gone.
func (m *membership) Alive() []shard.Peer {
	var alive []shard.Peer
	for _, one := range m.Members() {
		if !one.Reach.Gone() {
			alive = append(alive, shard.Peer{
				ID: one.Name + "/" + one.ID.String(), Name: one.Name, Zone: one.Zone, URL: "http://" + one.Address,
				Token: tokenOf(one.ID), BusLive: one.BusLive, Ready: one.State == cluster.Ready,
			})
		}
	}
	return alive
}

// tokenOf returns what a node is known to another by, unless the cluster has a
// secret: only who takes part in the gossip knows its ID.
func tokenOf(id cluster.ID) string {
	sum := sha256.Sum256(append([]byte("tenantry peer "), id[:]...))
	return hex.EncodeToString(sum[:16])
}

// secret is what this node is to be shown.
func secret(cfg *config.Config, c *cluster.Cluster) string {
	for _, m := range c.Members() {
		if m.Self && cfg.Cluster.PeerSecret == "" {
			return tokenOf(m.ID)
		}
	}
	return cfg.Cluster.PeerSecret.Reveal()
}

// members returns the members as the edge shows them.
func (m *membership) members() []rpc.Member {
	var all []rpc.Member
	for _, one := range m.Members() {
		all = append(all, rpc.Member{
			Name: one.Name, Zone: one.Zone, Version: one.Version, Algorithm: one.Algorithm, Address: one.Address,
			GossipAddress: one.GossipAddress.String(), State: stateOf(&one), InState: time.Since(one.Since),
			Epoch: one.Epoch, BusLive: one.BusLive,
		})
	}
	return all
}

func stateOf(m *cluster.Member) tenantryv1.Member_State {
	switch m.Reach {
	case cluster.Suspect:
		return tenantryv1.Member_STATE_SUSPECT
	case cluster.Dead:
		return tenantryv1.Member_STATE_DEAD
	case cluster.Left:
		return tenantryv1.Member_STATE_LEFT
	}
	return [...]tenantryv1.Member_State{
		cluster.Joining: tenantryv1.Member_STATE_JOINING, cluster.Ready: tenantryv1.Member_STATE_READY,
		cluster.Leaving: tenantryv1.Member_STATE_DRAINING,
	}[m.State]
}

// tellInterval is how often the cluster is told how this node is, if it is
// otherwise.
const tellInterval = 100 * time.Millisecond

// tell tells the cluster how this node is, until ctx ends. It takes a place in the
// ring once the cluster has formed, its bus has been live, and its tenants are warm.
func (n *Node) tell(ctx context.Context) error {
	ticker := time.NewTicker(tellInterval)
	defer ticker.Stop()
	for {
		n.cluster.SetBusLive(n.shard.BusLive())
		n.cluster.SetEpoch(n.shard.Epoch())
		n.cluster.SetState(n.state())
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// warm warms the tenants that this node is going to own, once it is known who the
// others are, and that none of them has its name.
func (n *Node) warm(ctx context.Context) error {
	select {
	case <-n.cluster.Formed():
	case <-ctx.Done():
		return nil
	}
	ticker := time.NewTicker(tellInterval)
	defer ticker.Stop()
	for {
		if _, taken := n.cluster.NameTaken(); !taken {
			n.shard.Warm(ctx, n.bounds.warm)
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// state returns what this node is up to. One whose name is another's owns nothing: to
// the others its place in the ring is that one's.
func (n *Node) state() cluster.State {
	_, taken := n.cluster.NameTaken()
	switch {
	case n.shard.Draining():
		return cluster.Leaving
	case n.shard.MayOwn() && !taken:
		return cluster.Ready
	}
	return cluster.Joining
}
