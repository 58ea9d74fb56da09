package world

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/history"
	"github.com/tenantry/tenantry/cmd/chaos/proxy"
)

// Node is a node of a world.
type Node struct {
	// Name is the node's, Number its place among the nodes of the world, from 0.
	Name   string
	Number int
	// URL is where clients reach it.
	URL string
	// BusProxy and OriginProxy are between this node and Redis, and the origin.
	BusProxy, OriginProxy *proxy.Proxy
	// Peers and Gossip are in front of what other nodes send to this one; nil, if it
	// is alone.
	Peers, Gossip *proxy.Gate

	world              *World
	process            process
	rpc, admin, gossip string // where it listens
	out                atomic.Bool
	back               func() // in service again
}

// Number returns the place of the node of a name, from 1; 0: there is none such.
func Number(name string) uint8 {
	n, err := strconv.ParseUint(strings.TrimPrefix(name, "n"), 10, 8)
	if err != nil {
		return 0
	}
	return uint8(n)
}

// MutationVariable names the rule that a node built for it is to break.
const MutationVariable = "CHAOS_MUTATION"

// newNode makes a node that does not run yet, with all that is around it. It is to
// be closed even after an error.
func (w *World) newNode(number int) (*Node, error) {
	n := &Node{Name: fmt.Sprintf("n%d", number+1), Number: number, world: w}
	if w.cfg.Net != nil {
		return n, n.inNamespace()
	}
	for _, at := range []*string{&n.rpc, &n.admin, &n.gossip} {
		port, err := freePort()
		if err != nil {
			return n, err
		}
		*at = net.JoinHostPort("127.0.0.1", port)
	}
	n.URL = "http://" + n.rpc
	var err error
	if n.BusProxy, err = proxy.Start(w.redisAt); err != nil {
		return n, err
	}
	if n.OriginProxy, err = proxy.Start(w.originAt); err != nil {
		return n, err
	}
	if w.cfg.Nodes > 1 {
		return n, n.openGates()
	}
	return n, nil
}

func (n *Node) openGates() (err error) {
	w := n.world
	if n.Peers, err = proxy.OpenGate(n.rpc, proxy.Callers{Stream: peer}); err != nil {
		return err
	}
	n.Gossip, err = proxy.OpenGate(n.gossip, proxy.Callers{Stream: w.dialer, Datagram: w.gossiper})
	return err
}

// configure writes the node's configuration. It joins the others by their gates.
func (n *Node) configure(others []*Node) error {
	w := n.world
	name := n.Name + ".yaml"
	if err := w.write(name, n.config(others)); err != nil {
		return err
	}
	p := &n.process
	p.dir, p.log = w.cfg.Dir, n.Name+".log"
	n.Use(w.cfg.Binary)
	if w.cfg.Mutation != "" {
		p.env = []string{MutationVariable + "=" + w.cfg.Mutation}
	}
	return nil
}

// Use has the node be another binary from its next start on.
func (n *Node) Use(binary string) {
	p, w := &n.process, n.world
	p.path, p.args = binary, []string{"serve", "--config", n.Name + ".yaml"}
	if w.cfg.Net != nil {
		words := w.cfg.Net.Command(n.Number, p.path, append(p.args, "--insecure")...) // there is nobody else
		p.path, p.args = words[0], words[1:]
	}
}

// config is the node's configuration.
func (n *Node) config(others []*Node) string {
	cfg := &n.world.cfg
	resyncs, concurrency, limits := "", "", ""
	if cfg.Resyncs > 0 {
		resyncs = fmt.Sprintf(", resync_per_second: %d", cfg.Resyncs)
	}
	if cfg.Concurrency > 0 {
		concurrency, limits = fmt.Sprintf(", concurrency: %d", cfg.Concurrency), fmt.Sprintf("limits: {tenant_origin_concurrency: %d}\n", cfg.Concurrency)
	}
	return fmt.Sprintf(`node: {name: %s}
listen: {rpc: "%s", admin: "%s", gossip: "%s"}
redis: {addresses: ["%s"], heartbeat: %v}
coherence: {bound: %v, proof_ttl: %v%s}
origin: {url: "http://%s"%s}
kinds: {preset: "", file: kinds.yaml}
%s%s`, n.Name, n.rpc, n.admin, n.gossip, n.BusProxy.Addr(), cfg.Heartbeat, cfg.Bound, cfg.ProofTTL, resyncs,
		n.OriginProxy.Addr(), concurrency, limits, n.membership(others))
}

// membership is the part of the configuration that a node that is alone has not.
// Worlds that run beside each other have labels of their own: the one's ports may
// have been the other's.
func (n *Node) membership(others []*Node) string {
	if n.world.cfg.Nodes == 1 {
		return ""
	}
	var join []string
	for _, other := range others {
		if other != n {
			_, gossip := other.reached()
			join = append(join, gossip)
		}
	}
	rpc, gossip := n.reached()
	leisure := ""
	if d := n.world.cfg.Leisure; d > 0 {
		leisure = fmt.Sprintf(", warm_timeout: %v, drain_timeout: %v", d, d)
	}
	return fmt.Sprintf(`advertise: {rpc: "%s", gossip: "%s"}
cluster: {label: "%s", join: ["%s"], expect: %d, rejoin_interval: 5s, peer_secret: between-nodes%s}
`, rpc, gossip, n.world.label, strings.Join(join, `", "`), n.world.cfg.Nodes, leisure)
}

// Serving says that the node is neither killed nor stopped: a load balancer that
// knows of it sends requests there.
func (n *Node) Serving() bool { return !n.out.Load() }

// Start starts the node and waits until it listens, and, if it is not alone, until
// it is ready.
func (n *Node) Start(ctx context.Context) error {
	if err := n.process.start(); err != nil {
		return err
	}
	if err := await(ctx, strings.TrimPrefix(n.URL, "http://")); err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	if n.world.cfg.Nodes > 1 {
		if err := n.awaitReady(ctx); err != nil {
			return err
		}
	}
	n.serve()
	return nil
}

func (n *Node) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(readyTimeout, n.world.cfg.Leisure+startTimeout))
	defer cancel()
	for !n.Ready(ctx) {
		if !Pause(ctx, pollInterval) {
			return fmt.Errorf("%s is not ready in time", n.Name)
		}
	}
	return nil
}

// readyTimeout is for a node that comes back while others are still given up, on a
// busy machine.
const readyTimeout = time.Minute

// Kill kills the node.
func (n *Node) Kill() {
	n.leave()
	n.process.kill()
}

// Stop stops the node's execution.
func (n *Node) Stop() {
	n.leave()
	n.process.signal(syscall.SIGSTOP)
}

// Continue lets a stopped node go on.
func (n *Node) Continue() {
	n.process.signal(syscall.SIGCONT)
	n.serve()
}

// leave and serve note when clients cannot expect an answer of this node.
func (n *Node) leave() {
	if n.back == nil {
		n.back = n.world.cfg.Log.Out(n.Number)
	}
	n.out.Store(true)
}

// closed notes that the node takes no requests since a time, but answers what it took.
func (n *Node) closed(since history.Time) {
	if n.back == nil {
		n.back = n.world.cfg.Log.Closed(n.Number, since)
	}
}

func (n *Node) serve() {
	if n.back != nil {
		n.back()
		n.back = nil
	}
	n.out.Store(false)
}

// close ends the node and what is around it.
func (n *Node) close() {
	n.process.signal(syscall.SIGCONT)
	n.process.kill()
	for _, p := range []*proxy.Proxy{n.BusProxy, n.OriginProxy} {
		if p != nil {
			p.Close()
		}
	}
	for _, g := range []*proxy.Gate{n.Peers, n.Gossip} {
		if g != nil {
			g.Close()
		}
	}
}
