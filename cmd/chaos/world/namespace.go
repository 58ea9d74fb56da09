package world

import "github.com/tenantry/tenantry/cmd/chaos/proxy"

// The ports of a node that has a namespace of its own.
const (
	namespaceRPC    = "7070"
	namespaceAdmin  = "7071"
	namespaceGossip = "7946"
)

// inNamespace places a node in its namespace: clients reach it over its line to the
// host, where its proxies are, and other nodes over the bridges.
func (n *Node) inNamespace() (err error) {
	w := n.world
	outside := w.cfg.Net.Outside(n.Number)
	n.rpc, n.admin = "0.0.0.0:"+namespaceRPC, outside+":"+namespaceAdmin
	n.gossip = w.cfg.Net.Inside(n.Number) + ":" + namespaceGossip
	n.URL = "http://" + outside + ":" + namespaceRPC
	host := w.cfg.Net.Host(n.Number)
	if n.BusProxy, err = proxy.StartAt(host, w.redisAt); err != nil {
		return err
	}
	n.OriginProxy, err = proxy.StartAt(host, w.originAt)
	return err
}

// reached returns where the other nodes reach this one.
func (n *Node) reached() (rpc, gossip string) {
	if n.world.cfg.Net != nil {
		inside := n.world.cfg.Net.Inside(n.Number)
		return inside + ":" + namespaceRPC, inside + ":" + namespaceGossip
	}
	return n.Peers.Addr(), n.Gossip.Addr()
}
