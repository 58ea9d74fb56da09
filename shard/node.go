package shard

import (
	"cmp"
	"context"
	"hash/maphash"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/puzpuzpuz/xsync/v4"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/subscriber"
)

// bus is what the node asks of the bus. Both calls return at once; what they
// lead to comes through the node's [subscriber.Handler] methods.
type bus interface {
	// Follow adds tenants to those whose channels are to be subscribed.
	Follow(tenants ...string)
	// Unfollow takes tenants out of them.
	Unfollow(tenants ...string)
	// Conn returns which connection carries a tenant.
	Conn(tenant string) int
	// Status returns the state of each connection.
	Status() []subscriber.ConnStatus
	// Channels returns the channels of a tenant if they are all confirmed now.
	Channels(tenant string) []string
	// Fence returns when everything that the server had received on a connection
	// before the call has been handled; see [subscriber.Subscriber.Fence].
	Fence(ctx context.Context, conn int) error
}

// Config configures a [Node]. Every field without a default is required.
type Config struct {
	// Kinds are all kinds, as the cache was given them.
	Kinds []*cache.Kind
	Cache *cache.Cache
	// Preload names tenants that are activated at the start and never idle.
	Preload []string
	// IdleTimeout is the time without a read after which a tenant is let go.
	// Default 15 minutes.
	IdleTimeout time.Duration
	// ActiveTenants bounds the tenants that are active at once. Default 100,000.
	ActiveTenants int
	// ActivationsPerSecond bounds the rate at which they become active; a
	// second's worth may come at once. As many again may become active because
	// another node told of them, so that neither holds up the other. Default 1,000.
	ActivationsPerSecond int
	// ResyncPerSecond bounds the lists and entries read anew in the background each
	// second, after a doubt or before their TTL. Default 500.
	ResyncPerSecond int
	// TenantBytes returns a tenant's memory budget, as the cache was given it; it
	// is only told. Default: 16 MiB for each.
	TenantBytes func(tenant string) int64
	// Logger gets what an operator should know. Default: none.
	Logger *slog.Logger
	// Registerer gets the metrics. Default: none.
	Registerer prometheus.Registerer
}

// Node holds the tenants of this node.
type Node struct {
	kinds       map[string]*cache.Kind
	names       []string      // of the kinds, in order
	critical    []*cache.Kind // that the origin lists
	kept        []*cache.Kind // of which anything is
	unlisted    []*cache.Kind // of those, the others
	cache       *cache.Cache
	bus         bus
	links       []*link
	preload     map[string]bool
	idleTimeout time.Duration
	limit       int64
	activations *rate.Limiter
	resyncs     *pacer
	shortest    time.Duration // TTL of the kinds that are listed
	seed        maphash.Seed  // spreads tenants over time
	tenantBytes func(string) int64
	log         *slog.Logger
	metrics     *metrics
	cluster     *Cluster // nil: the node is alone
	sharing     sharing
	view        atomic.Pointer[view]
	strayed     chan struct{} // capacity 1: others own what this node held
	arrivals    *rate.Limiter
	exports     chan struct{} // held by each export
	met         atomic.Bool   // the members were known once
	warm        atomic.Bool   // what it is going to own is live

	tenants   *xsync.Map[string, *tenant]
	active    atomic.Int64
	moves     queue // tenants to take over from other nodes
	first     queue // tenants to load for the first time
	again     queue // tenants to load anew
	strangers strangers
	draining  atomic.Bool
}

// Defaults, as the configuration documents them.
const (
	defaultIdleTimeout     = 15 * time.Minute
	defaultActiveTenants   = 100_000
	defaultActivations     = 1000
	defaultResyncPerSecond = 500
	defaultTenantBytes     = 16 << 20
	longest                = 1000 * time.Hour // lists are read anew at least that often
)

// Lists are read anew after a part of their kind's TTL between these, which their
// jitter shortens to nine tenths: so a TTL never shows as latency. With an hour's
// TTL, 100,000 tenants of four lists activated at once ask for 555 lists a second
// over 12 minutes, not for all at once.
const (
	refreshMin = 6
	refreshMax = 8
	refreshDen = 10
)

// New returns a node without tenants. [Node.Connect] gives it its bus.
func New(cfg Config) *Node {
	n := &Node{
		kinds: make(map[string]*cache.Kind), cache: cfg.Cache, preload: make(map[string]bool),
		idleTimeout: cmp.Or(cfg.IdleTimeout, defaultIdleTimeout), limit: int64(cmp.Or(cfg.ActiveTenants, defaultActiveTenants)),
		log: cfg.Logger, tenants: xsync.NewMap[string, *tenant](), shortest: longest, seed: maphash.MakeSeed(), tenantBytes: cfg.TenantBytes,
	}
	for _, k := range cfg.Kinds {
		n.kinds[k.Name], n.names = k, append(n.names, k.Name)
		switch {
		case k.Class == cache.Critical && k.Listed:
			n.critical = append(n.critical, k)
			n.shortest = min(n.shortest, k.TTL)
		case k.Class != cache.OnDemand:
			n.unlisted = append(n.unlisted, k)
		}
	}
	n.kept = slices.Concat(n.critical, n.unlisted)
	for _, name := range cfg.Preload {
		n.preload[name] = true
	}
	n.activations = limiter(cmp.Or(cfg.ActivationsPerSecond, defaultActivations))
	n.arrivals = limiter(cmp.Or(cfg.ActivationsPerSecond, defaultActivations))
	n.strayed, n.exports = make(chan struct{}, 1), make(chan struct{}, maxExports)
	n.resyncs = newPacer(cmp.Or(cfg.ResyncPerSecond, defaultResyncPerSecond))
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.tenantBytes == nil {
		n.tenantBytes = func(string) int64 { return defaultTenantBytes }
	}
	n.view.Store(&view{changed: make(chan struct{})})
	n.moves.init()
	n.first.init()
	n.again.init()
	n.metrics = newMetrics(cfg.Registerer, n)
	return n
}

func limiter(perSecond int) *rate.Limiter { return rate.NewLimiter(rate.Limit(perSecond), perSecond) }

// Connect gives the node its bus, of which it is the handler. It is called
// once, before Run and before the first read.
func (n *Node) Connect(b bus) {
	n.bus = b
	for range b.Status() {
		n.links = append(n.links, &link{Link: n.cache.NewLink()})
	}
}

// Run activates the tenants to preload and keeps all tenants loaded, until ctx
// ends; then it lets go of all of them.
func (n *Node) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if n.cluster != nil {
		g.Go(func() error { return n.followMembers(ctx) })
		g.Go(func() error { return n.shareActivity(ctx) })
		g.Go(func() error { return n.handOver(ctx) })
		for range takers {
			g.Go(func() error { return n.runLoader(ctx, &n.moves) })
		}
	}
	n.preloadOwned()
	for range loaders {
		g.Go(func() error { return n.runLoader(ctx, &n.first) })
		g.Go(func() error { return n.runLoader(ctx, &n.again) })
	}
	g.Go(func() error { return n.runCaretaker(ctx) })
	err := g.Wait()
	n.Drain()
	n.letGoOfAll()
	return err
}

// Read answers with the entry of a key; see [cache.Tenant.Read]. The tenant is
// activated by its first read, which waits neither for its subscription nor
// for its lists. An unknown kind is an [*UnknownKindError].
func (n *Node) Read(ctx context.Context, tenant, kind, key string, o cache.ReadOptions) (cache.Answer, error) {
	k, ok := n.kinds[kind]
	if !ok {
		return cache.Answer{}, &UnknownKindError{Kind: kind, Known: n.names}
	}
	if t := n.tenant(tenant); t != nil {
		return t.cache.Read(ctx, k, key, o)
	}
	return n.cache.Through(ctx, tenant, k, key, o)
}

// Recall answers a read from memory, or not at all. The tenant is activated as by
// [Node.Read]. An unknown kind is an [*UnknownKindError].
func (n *Node) Recall(tenant, kind, key string, o cache.ReadOptions) (a cache.Answer, ok bool, err error) {
	k, ok := n.kinds[kind]
	if !ok {
		return a, false, &UnknownKindError{Kind: kind, Known: n.names}
	}
	t := n.tenant(tenant)
	if t == nil {
		return a, false, nil
	}
	a, ok = t.cache.Recall(k, key, o)
	return a, ok, nil
}

// tenant returns the tenant for a read, which activates it; nil: it is not to be
// held here.
func (n *Node) tenant(name string) *tenant {
	if t, ok := n.tenants.Load(name); ok {
		return t
	}
	if !n.knowsOthers() {
		n.Hear([]Activity{{Tenant: name}}) // it counts once it is known what this node owns
	}
	t := n.activate(name)
	if t != nil && n.cluster != nil {
		n.sharing.add(t)
	}
	return t
}

// Now is the clock of [cache.Answer.Position]. It is monotonic and never 0.
func (n *Node) Now() time.Duration { return n.cache.Now() }

// Drain says that the node is about to end: from now on it is not ready.
func (n *Node) Drain() { n.draining.Store(true) }

// Draining reports whether the node is about to end.
func (n *Node) Draining() bool { return n.draining.Load() }

// Active returns the number of active tenants.
func (n *Node) Active() int { return int(n.active.Load()) }

// State returns where a tenant is in its life on this node.
func (n *Node) State(name string) State {
	t, ok := n.tenants.Load(name)
	if !ok {
		return Cold
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state
}
