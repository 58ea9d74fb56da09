package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/cluster"
	"github.com/tenantry/tenantry/cluster/clustertest"
	"github.com/tenantry/tenantry/cmd/tenantry/config"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/rpc/client"
	"github.com/tenantry/tenantry/rpc/peers"
	"github.com/tenantry/tenantry/rpc/rpctest"
	"github.com/tenantry/tenantry/shard"
	"github.com/tenantry/tenantry/shard/ring"
	"github.com/tenantry/tenantry/subscriber"
)

// bound is the coherence bound, the default.
const bound = 4 * time.Second

// source is an origin with one item, "a", of each kind and tenant, whose value is its
// version. It remembers when each version was replaced, and when that was announced.
type source struct {
	mu       sync.Mutex
	down     bool
	replaced map[string][]time.Time // by tenant; version v+1 at [v]
	reads    int
}

const originTakes = 20 * time.Millisecond

func (s *source) One(ctx context.Context, tenant string, _ *cache.Kind, key, _ string) (cache.Document, error) {
	d, err := s.read(ctx, tenant)
	if err == nil && key != "a" {
		return cache.Document{}, cache.ErrAbsent
	}
	return d, err
}

func (s *source) List(ctx context.Context, tenant string, _ *cache.Kind, _ string, page func([]cache.Document) error) (string, error) {
	d, err := s.read(ctx, tenant)
	if err != nil {
		return "", err
	}
	return "", page([]cache.Document{d})
}

func (s *source) read(ctx context.Context, tenant string) (cache.Document, error) {
	if err := ctx.Err(); err != nil {
		return cache.Document{}, err
	}
	time.Sleep(originTakes / 2)
	d, err := s.document(tenant)
	time.Sleep(originTakes / 2)
	return d, err
}

var errOriginDown = &cache.FaultError{Reason: "connect", Err: errors.New("refused")}

func (s *source) document(tenant string) (cache.Document, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.down {
		return cache.Document{}, errOriginDown
	}
	v := uint64(len(s.replaced[tenant]))
	return cache.Document{Key: "a", Value: strconv.AppendUint(nil, v, 10), Version: v, Versioned: true}, nil
}

func (s *source) set(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// change replaces a tenant's items and returns their new version.
func (s *source) change(tenant string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replaced[tenant] = append(s.replaced[tenant], time.Now())
	return uint64(len(s.replaced[tenant]))
}

// replacedAt returns when a version was replaced, if it was.
func (s *source) replacedAt(tenant string, version uint64) (at time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.replaced[tenant]
	if version >= uint64(len(all)) {
		return at, false
	}
	return all[version], true
}

// pubsub is a bus that all nodes of a town share.
type pubsub struct {
	mu    sync.Mutex
	buses map[*nodeBus]bool
}

// subscribers returns how many nodes follow each tenant.
func (p *pubsub) subscribers() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	count := make(map[string]int)
	for b := range p.buses {
		for _, tenant := range b.names() {
			count[tenant]++
		}
	}
	return count
}

func (p *pubsub) publish(e *subscriber.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for b := range p.buses {
		b.deliver(e)
	}
}

// nodeBus is one node's connection to the bus.
type nodeBus struct {
	shared *pubsub
	node   *shard.Node
	poke   chan struct{}

	mu       sync.Mutex
	followed map[string]bool
	status   subscriber.ConnStatus
	calls    []func()
}

func (p *pubsub) connect() *nodeBus {
	return &nodeBus{shared: p, poke: make(chan struct{}, 1), followed: make(map[string]bool)}
}

func (b *nodeBus) Follow(tenants ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, tenant := range tenants {
		if b.followed[tenant] {
			panic(tenant + " is followed twice")
		}
		b.followed[tenant] = true
		if b.status.Live {
			b.add(func() { b.node.Confirmed(0, tenant) })
		}
	}
}

func (b *nodeBus) Unfollow(tenants ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, tenant := range tenants {
		delete(b.followed, tenant)
	}
}

func (b *nodeBus) Conn(string) int { return 0 }

func (b *nodeBus) Status() []subscriber.ConnStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return []subscriber.ConnStatus{b.status}
}

func (b *nodeBus) Channels(tenant string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.followed[tenant] {
		return nil
	}
	return []string{"crm:" + tenant + ":costs"}
}

func (b *nodeBus) names() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Keys(b.followed))
}

// add has the bus's goroutine call the handler. Callers hold mu.
func (b *nodeBus) add(call func()) {
	b.calls = append(b.calls, call)
	select {
	case b.poke <- struct{}{}:
	default:
	}
}

func (b *nodeBus) deliver(e *subscriber.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.followed[e.Tenant] && b.status.Live {
		b.add(func() { b.node.Event(e) })
	}
}

// set connects the node, or cuts it off.
func (b *nodeBus) set(live bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Live, b.status.Since = live, time.Now()
	if !live {
		b.add(func() { b.node.Doubt(0, subscriber.CauseConnection) })
		return
	}
	for tenant := range b.followed {
		b.add(func() { b.node.Confirmed(0, tenant) })
	}
}

// run connects after a while, and calls the handler 2 ms late.
func (b *nodeBus) run(ctx context.Context) error {
	connect := time.AfterFunc(30*time.Millisecond, func() { b.set(true) })
	defer connect.Stop()
	prove := time.NewTicker(time.Second)
	defer prove.Stop()
	for {
		select {
		case <-b.poke:
			time.Sleep(2 * time.Millisecond)
		case <-prove.C:
			b.mu.Lock()
			if now := time.Now(); b.status.Live {
				b.add(func() { b.node.Proof(0, now) })
			}
			b.mu.Unlock()
		case <-ctx.Done():
			return nil
		}
		b.mu.Lock()
		calls := b.calls
		b.calls = nil
		b.mu.Unlock()
		for _, call := range calls {
			call()
		}
	}
}

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
		bus: c.bus.connect(), log: new(lockedLog), ended: make(chan struct{}), serving: true,
	}
	n := &Node{log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelInfo}))}
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
	for _, run := range []func(context.Context) error{h.bus.run, h.cache.Run, h.cluster.Run, h.tell, h.shard.Run, h.peers.Run} {
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

// leave has a node end as a SIGTERM does.
func (c *town) leave(h *house) {
	h.shard.Drain()
	h.awaitLeft(c.Context())
	h.set(false)
	time.Sleep(100 * time.Millisecond) // calls in work end
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

// tenants of towns.
func tenantsOf(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("t", i)
	}
	return names
}

// readers read tenants through all nodes that serve, one after another, until stop.
// Each read must be answered within a second, and what is FRESH must be. Meanwhile the
// tenants change.
func (c *town) readers(n int, tenants []string) (stop func()) {
	ctx, cancel := context.WithCancel(c.Context())
	var busy sync.WaitGroup
	t := &tally{}
	for range n {
		busy.Go(func() {
			for ctx.Err() == nil {
				c.read(t, tenants[rand.IntN(len(tenants))])
				time.Sleep(rand.N(50 * time.Millisecond))
			}
		})
	}
	busy.Go(func() {
		for ctx.Err() == nil {
			tenant := tenants[rand.IntN(len(tenants))]
			v := c.origin.change(tenant)
			c.bus.publish(&subscriber.Event{Tenant: tenant, Topic: "costs", Version: v, Versioned: true, Changes: []subscriber.Change{
				{Kind: "cost", Key: "a", Effect: subscriber.Set, Value: strconv.AppendUint(nil, v, 10)},
				{Kind: "user", Key: "a", Effect: subscriber.Invalidate},
			}})
			time.Sleep(rand.N(50 * time.Millisecond))
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		busy.Wait()
		c.Logf("%d reads, %d forwarded, %d fresh, the longest %v", t.reads, t.forwarded, t.fresh, t.longest)
	})
	c.ends = append(c.ends, stop)
	return stop
}

type tally struct {
	mu                      sync.Mutex
	reads, forwarded, fresh int
	longest                 time.Duration
}

func (c *town) read(t *tally, tenant string) {
	serving := c.serving()
	h := serving[rand.IntN(len(serving))]
	kind := []string{"cost", "cost", "user"}[rand.IntN(3)]
	ctx, cancel := context.WithTimeout(c.Context(), 5*time.Second)
	defer cancel()
	yes, turns := h.serves()
	if !yes {
		return
	}
	asked := time.Now()
	e, err := h.client.Get(ctx, tenant, kind, "a")
	took := time.Since(asked)
	if _, now := h.serves(); now != turns || c.Context().Err() != nil {
		return // it was cut off from its caller
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reads++
	t.longest = max(t.longest, took)
	if err != nil || took > time.Second {
		c.Errorf("%s %s through %s took %v: %v", tenant, kind, h.name, took, err)
		return
	}
	if e.Freshness.GetNode() != h.name {
		t.forwarded++
	}
	if e.Freshness.GetState() != tenantryv1.Freshness_FRESH {
		return
	}
	t.fresh++
	v := e.Freshness.GetVersion()
	if replaced, was := c.origin.replacedAt(tenant, v); was && asked.Sub(replaced) > bound {
		c.Errorf("%s %s through %s, by %s: version %d was replaced %v before it was asked for", tenant, kind, h.name, e.Freshness.GetNode(), v, asked.Sub(replaced))
	}
}

// subscribed checks that once it is quiet each tenant that is active is followed by
// as many as should.
func (c *town) subscribed(nodes int) {
	c.Helper()
	want := min(townRing.Replicas, nodes)
	var wrong map[string]int
	took := c.within(15*time.Second, fmt.Sprint("each tenant is followed by ", want), func() bool {
		wrong = c.bus.subscribers()
		maps.DeleteFunc(wrong, func(_ string, n int) bool { return n == want })
		return len(wrong) == 0
	})
	c.Logf("each tenant is followed by %d nodes after %v", want, took)
	for _, h := range c.serving() {
		for _, tenant := range h.bus.names() {
			if !h.shard.Owns(tenant) {
				c.Errorf("%s follows %s, which it does not own", h.name, tenant)
			}
		}
	}
}

var townSizes = []int{3, 5, 9}

func eachSize(t *testing.T, test func(c *town, size int)) {
	for _, size := range townSizes {
		t.Run(fmt.Sprint(size, " nodes"), func(t *testing.T) {
			inBubble(t, size, func(c *town) { test(c, size) })
		})
	}
}

// Nodes come, leave, crash and come back, and whoever asks does not notice.
func TestNodesComeAndGo(t *testing.T) {
	eachSize(t, func(c *town, size int) {
		tenants := tenantsOf(60)
		stop := c.readers(6, tenants)
		c.subscribed(size)

		c.start(size + 1)
		c.agree(5 * time.Second)
		c.subscribed(size + 1)

		c.leave(c.houses[1])
		c.agree(5 * time.Second)
		c.subscribed(size)

		c.crash(c.houses[size])
		c.agree(10 * time.Second)
		c.subscribed(size - 1)

		c.start(size + 1) // again
		c.start(2)
		c.agree(10 * time.Second)
		c.subscribed(size + 1)
		stop()
		if n := len(c.bus.subscribers()); n != len(tenants) {
			c.Errorf("%d of %d tenants are active", n, len(tenants))
		}
	})
}

// The sides of a partition each keep answering, and are one again soon after it heals.
func TestPartition(t *testing.T) {
	eachSize(t, func(c *town, size int) {
		stop := c.readers(6, tenantsOf(60))
		c.subscribed(size)
		a, b := c.houses[:(size+1)/2], c.houses[(size+1)/2:]
		c.gossip.Partition(gossipOf(a), gossipOf(b))
		c.links.Cut(rpcOf(a), rpcOf(b))
		c.agree(30*time.Second, a...)
		c.agree(30*time.Second, b...)
		time.Sleep(20 * time.Second)
		for _, side := range [][]*house{a, b} {
			for _, h := range side {
				if _, members, _ := h.shard.Ring(); len(members) != len(side) {
					c.Errorf("%s has a ring of %d", h.name, len(members))
				}
			}
		}
		c.gossip.Heal()
		c.links.Heal()
		c.agree(30 * time.Second)
		c.subscribed(size)
		stop()
	})
}

func gossipOf(houses []*house) (at []string) {
	for _, h := range houses {
		at = append(at, h.gossipAt)
	}
	return at
}

func rpcOf(houses []*house) (at []string) {
	for _, h := range houses {
		at = append(at, h.rpcAt)
	}
	return at
}

// Restarting one node after the other costs no read, however quickly it is done.
func TestRollingRestart(t *testing.T) {
	eachSize(t, func(c *town, size int) {
		stop := c.readers(6, tenantsOf(60))
		c.subscribed(size)
		for i := range size {
			c.leave(c.houses[i])
			c.start(i + 1)
			if i%2 == 0 {
				c.agree(10 * time.Second)
			}
		}
		c.agree(10 * time.Second)
		c.subscribed(size)
		stop()
	})
}

// A node that crashes and is back before anybody has noticed has lost what it had.
func TestCrashThatNobodyNotices(t *testing.T) {
	eachSize(t, func(c *town, size int) {
		stop := c.readers(6, tenantsOf(60))
		c.subscribed(size)
		c.crash(c.houses[size-1])
		c.start(size)
		stop() // so that only what it is told makes it active
		time.Sleep(3 * time.Second)
		c.agree(10 * time.Second)
		c.subscribed(size)
		if n := c.houses[size].shard.Active(); n < 5 {
			c.Errorf("it has %d tenants", n)
		}
	})
}

// Most of a cluster ends at once, and the others answer.
func TestMostCrashAtOnce(t *testing.T) {
	for _, left := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(left, " of 9 are left"), func(t *testing.T) {
			inBubble(t, 9, func(c *town) {
				stop := c.readers(6, tenantsOf(60))
				c.subscribed(9)
				var busy sync.WaitGroup
				for _, h := range c.houses[left:] {
					busy.Go(func() { c.crash(h) })
				}
				busy.Wait()
				c.agree(30 * time.Second)
				c.subscribed(left)
				stop()
			})
		})
	}
}

// A node that stops, and goes on later, is gone meanwhile, or it is waited for; it is
// a member again either way.
func TestNodeThatStops(t *testing.T) {
	for _, lasts := range []time.Duration{2 * time.Second, 20 * time.Second} {
		t.Run(fmt.Sprint(lasts), func(t *testing.T) {
			inBubble(t, 5, func(c *town) {
				stop := c.readers(6, tenantsOf(60))
				c.subscribed(5)
				h := c.houses[2]
				h.set(false)
				c.gossip.Stall(h.gossipAt)
				h.host.Freeze()
				time.Sleep(lasts)
				c.gossip.Resume(h.gossipAt)
				h.host.Work(0)
				h.set(true)
				c.agree(30 * time.Second)
				c.subscribed(5)
				stop()
			})
		})
	}
}

// While the origin is down, what owners hold is answered by every node, also when the
// owners change meanwhile.
func TestWithoutOrigin(t *testing.T) {
	eachSize(t, func(c *town, size int) {
		tenants := tenantsOf(60)
		t := &tally{}
		for _, tenant := range tenants {
			c.read(t, tenant)
		}
		time.Sleep(5 * time.Second)
		c.origin.set(true)
		time.Sleep(2 * bound)
		answered := func(when string) {
			for _, tenant := range tenants {
				for _, h := range c.serving() {
					if ready, _, _ := h.Readiness(); !ready {
						continue
					}
					asked := time.Now()
					_, err := h.client.Get(c.Context(), tenant, "cost", "a")
					if took := time.Since(asked); err != nil || took > time.Second {
						c.Errorf("%s: %s through %s took %v: %v", when, tenant, h.name, took, err)
					}
				}
			}
		}
		answered("all are there")
		c.start(size + 1)
		for range 10 {
			answered("one has joined")
			time.Sleep(100 * time.Millisecond)
		}
		c.agree(5 * time.Second)
		answered("it is in the ring")
		c.origin.set(false)
		c.subscribed(size + 1)
	})
}

// The ring is that of before when nodes lose the bus: one that loses it alone is not
// ready after a while, and answers all the same.
func TestTheBusIsNoMember(t *testing.T) {
	inBubble(t, 3, func(c *town) {
		stop := c.readers(6, tenantsOf(60))
		c.subscribed(3)
		epoch := c.houses[0].shard.Epoch()
		ready := func(want ...bool) {
			c.Helper()
			for i, h := range c.houses {
				if got, reasons, _ := h.Readiness(); got != want[i] {
					c.Errorf("%s is ready: %v, %v", h.name, got, reasons)
				}
			}
		}
		c.houses[0].bus.set(false)
		time.Sleep(4 * time.Second)
		ready(true, true, true)
		time.Sleep(3 * time.Second)
		ready(false, true, true)
		c.houses[1].bus.set(false)
		c.houses[2].bus.set(false)
		time.Sleep(3 * time.Second)
		ready(true, true, true)
		time.Sleep(time.Minute)
		ready(true, true, true)
		for _, h := range c.houses {
			h.bus.set(true)
			time.Sleep(2 * time.Second)
			ready(true, true, true)
		}
		if c.houses[0].shard.Epoch() != epoch {
			c.Error("the ring is another")
		}
		c.subscribed(3)
		stop()
	})
}

// A node whose name is another's takes no place in the ring, and disturbs nobody.
func TestNameThatIsTaken(t *testing.T) {
	inBubble(t, 3, func(c *town) {
		stop := c.readers(6, tenantsOf(60))
		c.subscribed(3)
		second := c.build("n2", 7)
		second.set(false)
		time.Sleep(30 * time.Second)
		if second.shard.Within() {
			c.Error("it has taken the place of the other")
		}
		c.agree(time.Second)
		c.subscribed(3)
		stop()
	})
}
