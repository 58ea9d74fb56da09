package node

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/cluster"
	"github.com/tenantry/tenantry/cluster/clustertest"
	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/rpc/client"
	"github.com/tenantry/tenantry/rpc/peers"
	"github.com/tenantry/tenantry/rpc/rpctest"
	"github.com/tenantry/tenantry/shard"
	"github.com/tenantry/tenantry/shard/ring"
)

// town is a whole cluster in one bubble: real gossip, rings, forwarding and caches, over
// a network, a bus and an origin in memory.
type town struct {
	*testing.T
	gossip *clustertest.Network
	hosts  *rpctest.Network
	links  *rpctest.Links
	bus    *pubsub
	origin *source
	rings  *ring.Shared
	ends   []func()

	mu     sync.Mutex
	houses []*house // all that ever were
}

// house is a node of a town.
type house struct {
	*Node
	name, gossipAt, rpcAt string
	bus                   *nodeBus
	transport             *clustertest.Transport
	host                  *rpctest.Host
	client                *client.Client
	log                   *lockedLog
	stop                  context.CancelFunc // ends all at once
	ended                 chan struct{}

	mu      sync.Mutex
	serving bool
	turns   int // that it began or ceased to serve
}

// lockedLog is a log that many goroutines write to.
type lockedLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lockedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// townRing is small, and so quick to build.
var townRing = ring.Settings{Partitions: 271, VirtualNodes: 20, Load: 1.25, Replicas: 2}

// inBubble runs a test of a town of so many nodes, all of which own tenants.
func inBubble(t *testing.T, size int, test func(c *town)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &town{
			T: t, gossip: clustertest.NewNetwork(), hosts: &rpctest.Network{}, bus: &pubsub{buses: make(map[*nodeBus]bool)},
			origin: &source{replaced: make(map[string][]time.Time)},
		}
		c.links = &rpctest.Links{Network: c.hosts}
		var err error
		if c.rings, err = ring.NewShared(townRing); err != nil {
			t.Fatal(err)
		}
		defer c.end()
		for i := range size {
			c.start(i + 1)
		}
		c.agree(10 * time.Second)
		test(c)
	})
}

func (c *town) end() {
	for _, end := range c.ends {
		end()
	}
	for _, h := range c.houses {
		h.stop()
		<-h.ended
		if c.Failed() && len(c.houses) < 6 {
			c.Logf("log of %s:\n%s", h.name, h.log)
		}
	}
}

// start starts the node of a number, which takes the first and the third for seeds.
func (c *town) start(i int) *house { return c.build(fmt.Sprint("n", i), i) }

// build starts a node of a name at the addresses of a number.
func (c *town) build(name string, i int) *house {
	h := &house{
		name: name, gossipAt: fmt.Sprintf("10.0.0.%d:7946", i), rpcAt: fmt.Sprintf("10.0.0.%d:7070", i),
		bus: newNodeBus(name), log: new(lockedLog), ended: make(chan struct{}), serving: true,
	}
	n := &Node{bounds: bounds{warm: 10 * time.Second, drain: 20 * time.Second}, log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelInfo}))}
	h.Node = n
	kinds := kindsOfTowns()
	n.cache = cache.New(cache.Config{Kinds: kinds, Source: c.origin, Bound: bound})
	n.shard = shard.New(shard.Config{Kinds: kinds, Cache: n.cache, IdleTimeout: 5 * time.Minute, Logger: n.log})
	n.shard.Connect(h.bus)
	h.bus.node = n.shard
	h.transport = c.gossip.NewTransport(h.gossipAt)
	var err error
	n.cluster, err = cluster.New(cluster.Config{
		Name: h.name, Address: h.rpcAt, Algorithm: townRing.Algorithm(), Join: []string{"10.0.0.1:7946", "10.0.0.3:7946"},
		Transport: h.transport, Logger: n.log,
	})
	if err != nil {
		c.Fatal(err)
	}
	n.peers = peers.New(peers.Config{Self: h.name, Epoch: n.shard.Epoch, Transport: c.links.From(h.rpcAt), Logger: n.log})
	m := &membership{Cluster: n.cluster, changes: n.cluster.Changes()}
	n.shard.Join(shard.Cluster{Self: h.name, Members: m, Rings: c.rings, Colleagues: n.peers})
	h.host = c.hosts.Serve(h.rpcAt, rpc.NewHandler(rpc.Config{
		Node: n.shard, Readiness: n.shard, Authenticate: rpc.Anonymous, Name: h.name, Epoch: n.shard.Epoch, Peers: n.peers,
		Secrets: []string{secret(&config.Config{}, n.cluster)}, Members: m.members, Logger: n.log,
	}))
	h.client = client.New("http://"+h.rpcAt, &http.Client{Transport: c.links.From("client")})
	c.bus.mu.Lock()
	c.bus.buses[h.bus] = true
	c.bus.mu.Unlock()
	c.run(h)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.houses = append(c.houses, h)
	return h
}

func kindsOfTowns() []*cache.Kind {
	kind := func(id int, name string, c cache.Class) *cache.Kind {
		return &cache.Kind{ID: id, Name: name, Class: c, TTL: time.Hour, NegativeTTL: time.Minute,
			MaxStale: time.Minute, ConfirmAfter: 200 * time.Millisecond, Listed: c == cache.Critical}
	}
	return []*cache.Kind{kind(0, "cost", cache.Critical), kind(1, "user", cache.Reference)}
}

// run runs what a node runs, but its servers, until it is stopped.
func (c *town) run(h *house) {
	ctx, stop := context.WithCancel(c.Context())
	h.stop = stop
	g, ctx := errgroup.WithContext(ctx)
	for _, run := range []func(context.Context) error{h.bus.run, h.cache.Run, h.cluster.Run, h.tell, h.warm, h.shard.Run, h.peers.Run} {
		g.Go(func() error { return run(ctx) })
	}
	go func() {
		defer close(h.ended)
		if err := g.Wait(); err != nil {
			c.Errorf("%s: %v", h.name, err)
		}
		c.bus.mu.Lock()
		defer c.bus.mu.Unlock()
		if left := h.bus.names(); len(left) > 0 || h.shard.Active() > 0 {
			c.Errorf("%s: %v are followed at the end, %d tenants active", h.name, left, h.shard.Active())
		}
		delete(c.bus.buses, h.bus)
	}()
}

// leave has a node end as a SIGTERM does. When it ceases to answer, nobody asks it any
// longer.
func (c *town) leave(h *house) {
	c.Helper()
	h.leave(c.Context())
	if !h.shard.HandedOver() {
		c.Errorf("%s has left with %d tenants", h.name, h.shard.Active())
	}
	h.set(false)
	time.Sleep(100 * time.Millisecond) // calls in work end
	h.host.Requests()
	time.Sleep(300 * time.Millisecond)
	for _, path := range h.host.Requests() {
		if path == tenantryv1connect.PeerServiceGetProcedure {
			c.Errorf("%s has left, and is asked", h.name)
		}
	}
	h.host.Kill()
	h.stop()
	<-h.ended
}

// crash has a node end without a word.
func (c *town) crash(h *house) {
	h.set(false)
	h.host.Kill()
	h.transport.Crash()
	c.bus.mu.Lock()
	delete(c.bus.buses, h.bus)
	c.bus.mu.Unlock()
	h.stop()
	<-h.ended
}

func (h *house) set(serving bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serving = serving
	h.turns++
}

// serves reports whether callers may ask a node, and how often that has changed.
func (h *house) serves() (yes bool, turns int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.serving, h.turns
}

// serving returns the nodes that callers may ask.
func (c *town) serving() []*house {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.houses), func(h *house) bool {
		yes, _ := h.serves()
		return !yes
	})
}

// agree waits until all that serve, or those given, have the ring of just those.
func (c *town) agree(within time.Duration, houses ...*house) {
	c.Helper()
	if houses == nil {
		houses = c.serving()
	}
	var want []string
	for _, h := range houses {
		want = append(want, h.name)
	}
	slices.Sort(want)
	took := c.within(within, fmt.Sprint("one ring of ", want), func() bool {
		epoch := houses[0].shard.Epoch()
		return !slices.ContainsFunc(houses, func(h *house) bool {
			r, _, _ := h.shard.Ring()
			return r == nil || r.Epoch() != epoch || !slices.Equal(want, r.Names(all(len(r.Members()))))
		})
	})
	c.Logf("one ring of %v after %v", want, took)
}

func all(n int) []uint32 {
	numbers := make([]uint32, n)
	for i := range numbers {
		numbers[i] = uint32(i)
	}
	return numbers
}

func (c *town) within(d time.Duration, what string, ok func() bool) time.Duration {
	c.Helper()
	begun := time.Now()
	for synctest.Wait(); !ok(); synctest.Wait() {
		if time.Since(begun) > d {
			for _, h := range c.serving() {
				_, members, _ := h.shard.Ring()
				c.Logf("%s sees %v, ring %x of %d", h.name, h.cluster.Members(), h.shard.Epoch(), len(members))
			}
			c.Fatalf("not within %v: %s", d, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(begun)
}
