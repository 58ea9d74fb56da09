package cache

import (
	"cmp"
	"context"
	"hash/maphash"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// Config configures a [Cache]. Every field without a default is required.
type Config struct {
	// Kinds are all kinds; Kinds[i].ID is i.
	Kinds []*Kind
	// Source reads the origin.
	Source Source
	// Bound is how long after the start of the origin read that verified it a
	// value is FRESH whatever the bus says (C0 b). Default 4 s.
	Bound time.Duration
	// ProofTTL is the age up to which a link's proof counts (C0 a). Default 3 s.
	ProofTTL time.Duration
	// FillTimeout bounds an origin read of one item, whoever waits for it.
	// It should be a little more than the source's own time-out. Default 3 s.
	FillTimeout time.Duration
	// SoftTimeout is how long a read of a reference kind waits for the origin
	// before it is answered with what is kept, if that may be served STALE. The
	// origin read goes on. Default: reads wait for the origin.
	SoftTimeout time.Duration
	// AdaptiveTTL lets the TTLs of reference kinds follow the reads. Default:
	// they do not.
	AdaptiveTTL AdaptiveTTL
	// TenantBytes returns a tenant's memory budget in bytes. It is asked at
	// each write and must be fast. Default: 16 MiB for each.
	TenantBytes func(tenant string) int64
	// NodeBytes is the memory budget of all tenants. Default 1 GiB.
	NodeBytes int64
	// Logger gets what an operator should know. Default: none.
	Logger *slog.Logger
	// Registerer gets the metrics. Default: none.
	Registerer prometheus.Registerer
}

// Cache is what the tenants of a node share.
type Cache struct {
	kinds       []*Kind
	source      Source
	bound       time.Duration
	proofTTL    time.Duration
	fillTimeout time.Duration
	softTimeout time.Duration
	adaptive    AdaptiveTTL
	tenantBytes func(string) int64
	nodeBytes   int64
	log         *slog.Logger
	metrics     *metrics
	clock       clock
	seed        maphash.Seed

	bytes   atomic.Int64
	entries [OnDemand]atomic.Int64 // by class

	confirms  confirms
	refreshes chan struct{}       // held by reads ahead in flight
	flying    *semaphore.Weighted // held by each flight, so that Run can wait for all

	mu        sync.Mutex
	tenants   []*Tenant // in no order, for sampling and sweeping
	elsewhere []counts  // by kind, the reads of tenants that are closed, or were never active
}

// Default limits, as the configuration documents them.
const (
	defaultBound       = 4 * time.Second
	defaultProofTTL    = 3 * time.Second
	defaultFillTimeout = 3 * time.Second
	defaultTenantBytes = 16 << 20
	defaultNodeBytes   = 1 << 30
)

// allFlights is more than there can be.
const allFlights = 1 << 40

// New returns a cache. It does nothing by itself until [Cache.Run].
func New(cfg Config) *Cache {
	c := &Cache{
		kinds: cfg.Kinds, source: cfg.Source, tenantBytes: cfg.TenantBytes, log: cfg.Logger,
		bound: cmp.Or(cfg.Bound, defaultBound), proofTTL: cmp.Or(cfg.ProofTTL, defaultProofTTL),
		softTimeout: cfg.SoftTimeout, adaptive: cfg.AdaptiveTTL, refreshes: make(chan struct{}, maxRefreshes),
		fillTimeout: cmp.Or(cfg.FillTimeout, defaultFillTimeout), nodeBytes: cmp.Or(cfg.NodeBytes, defaultNodeBytes),
		elsewhere: make([]counts, len(cfg.Kinds)), clock: newClock(), seed: maphash.MakeSeed(), flying: semaphore.NewWeighted(allFlights),
	}
	if c.tenantBytes == nil {
		c.tenantBytes = func(string) int64 { return defaultTenantBytes }
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.confirms.init()
	c.metrics = newMetrics(cfg.Registerer, c)
	return c
}

// Run confirms what is due and sweeps what has expired, until ctx ends. It
// returns when the origin reads in flight have landed, at most FillTimeout
// later.
func (c *Cache) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.runConfirms(ctx) })
	g.Go(func() error { return c.runSweeps(ctx) })
	err := g.Wait()
	_ = c.flying.Acquire(context.Background(), allFlights)
	defer c.flying.Release(allFlights)
	return err
}

// Now is the clock of [Answer.Position].
func (c *Cache) Now() time.Duration { return time.Duration(c.clock.now()) }

// Bytes returns the bytes charged to all tenants.
func (c *Cache) Bytes() int64 { return c.bytes.Load() }

// Entries returns the entries kept of a class, absences and stubs included.
func (c *Cache) Entries(class Class) int64 { return c.entries[class].Load() }

func (c *Cache) register(t *Tenant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.index = len(c.tenants)
	c.tenants = append(c.tenants, t)
}

func (c *Cache) unregister(t *Tenant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := len(c.tenants) - 1
	if t.index > last || c.tenants[t.index] != t {
		return // closed before
	}
	c.tenants[t.index] = c.tenants[last]
	c.tenants[t.index].index = t.index
	c.tenants[last] = nil
	c.tenants = c.tenants[:last]
}

// inherit takes over what a closed store counted.
func (c *Cache) inherit(s *store) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.tally.addTo(&c.elsewhere[s.kind.ID])
}

// CountPass counts what was passed on of an on-demand kind without this cache, or
// could not be.
func (c *Cache) CountPass(k *Kind, err error) {
	if err != nil {
		c.count(k, resultFailed)
		return
	}
	c.count(k, resultPassthrough)
}

// count counts a read of no active tenant.
func (c *Cache) count(k *Kind, result int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.elsewhere[k.ID][result]++
}

// reads returns the reads of all tenants by kind, active and closed.
func (c *Cache) reads() []counts {
	c.mu.Lock()
	tenants, all := slices.Clone(c.tenants), slices.Clone(c.elsewhere)
	c.mu.Unlock()
	for _, t := range tenants {
		for i := range t.stores {
			if s := t.stores[i].Load(); s != nil {
				s.tally.addTo(&all[i])
			}
		}
	}
	return all
}

// forget takes the entries of a closed store out of the count.
func (c *Cache) forget(s *store) {
	c.entries[s.kind.Class].Add(-int64(s.table.Load().live))
}
