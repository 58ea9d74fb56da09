package trial

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/cmd/chaos/checker"
	"github.com/tenantry/tenantry/cmd/chaos/history"
	"github.com/tenantry/tenantry/cmd/chaos/nemesis"
	"github.com/tenantry/tenantry/cmd/chaos/netns"
	"github.com/tenantry/tenantry/cmd/chaos/origin"
	"github.com/tenantry/tenantry/cmd/chaos/traffic"
	"github.com/tenantry/tenantry/cmd/chaos/world"
)

// Config says what a run is like. Every field is required but those that say
// otherwise.
type Config struct {
	// Binary is the node's, Dir gets its configuration and the logs.
	Binary, Dir string
	// Seed decides about changes, reads and faults, though not about when the
	// machine does what.
	Seed uint64
	// For is how long the run is.
	For time.Duration
	// Tenants is how many there are, Hot how many of them get most changes and a
	// third of the reads.
	Tenants, Hot int
	// Items is how many items of each of the five families a tenant has; 0: three.
	Items int
	// Writes and Reads are per second; a batch is one read here.
	Writes, Reads float64
	// Dawdling is the part of the origin's good answers, per thousand, that are slow.
	Dawdling int
	// Readers is how many read at the same time.
	Readers int
	// Heartbeat, ProofTTL, Bound, TTL and MaxStale are the node's; the last two of
	// its critical kinds.
	Heartbeat, ProofTTL, Bound, TTL, MaxStale time.Duration
	// Resyncs is the node's coherence.resync_per_second; 0: as it is by default.
	Resyncs int
	// Concurrency is how many reads of the origin the node may have in flight, in
	// all and for a tenant; 0: as it is by default.
	Concurrency int
	// Leisure is the nodes' cluster.warm_timeout and drain_timeout; 0: as they are by
	// default.
	Leisure time.Duration
	// Faults are the types to bring; none: all.
	Faults []string
	// Hold is about how long a fault lasts, Quiet the time between two.
	Hold, Quiet time.Duration
	// Calm brings none at all, and publishes every change.
	Calm bool
	// Turnover has items deleted and made anew far more often.
	Turnover bool
	// Sample is the time between two looks at what the node takes; 0: none.
	Sample time.Duration
	// Slack is the bytes by which memory may grow all the same; 0: none.
	Slack int
	// Overlap brings faults of node, bus and origin at the same time.
	Overlap bool
	// Mutation is the rule that the nodes are to break; empty: none.
	Mutation string
	// Previous is the binary that nodes are of at first; empty: Binary.
	Previous string
	// Nodes is how many there are; 0: one, which is alone.
	Nodes int
	// Net has a namespace for each node; nil: they are on the loopback.
	Net *netns.Network
	// Until ends the run at the first violation of one of these rules.
	Until []checker.Rule
}

// maxViolations bounds those that are kept.
const maxViolations = 20

// checkInterval is how often the checker looks at what is new.
const checkInterval = 200 * time.Millisecond

// run is one run.
type run struct {
	Config
	log     *history.Log
	origin  *origin.Origin
	world   *world.World
	checker *checker.Checker
	checked int
	broken  int
	byRule  map[string]int
	samples []Sample
	pulse   pulse
	found   []*checker.Violation
	hot     []int
	rest    []int
}

// Run runs. An error means that the world could not be had or went to pieces:
// nothing is known of the promise then.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	r, err := begin(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer r.world.Close()
	if err := r.drive(ctx, r.For); err != nil {
		return nil, err
	}
	r.check(true)
	return r.result(), nil
}

// begin makes the world of a run, which is to be closed.
func begin(ctx context.Context, cfg Config) (*run, error) {
	r := &run{Config: cfg, byRule: make(map[string]int), log: history.NewLog(origin.Kinds(cfg.TTL, cfg.MaxStale))}
	r.origin = origin.New(r.log, cfg.Tenants, cmp.Or(cfg.Items, origin.PerTenant), cfg.Dawdling)
	r.checker = checker.New(r.log, cfg.Bound)
	r.part()
	var err error
	r.world, err = world.New(ctx, world.Config{
		Binary: cmp.Or(cfg.Previous, cfg.Binary), Dir: cfg.Dir, Log: r.log, Origin: r.origin, Mutation: cfg.Mutation,
		Heartbeat: cfg.Heartbeat, ProofTTL: cfg.ProofTTL, Bound: cfg.Bound,
		Resyncs: cfg.Resyncs, Concurrency: cfg.Concurrency, Leisure: cfg.Leisure, Nodes: cfg.Nodes, Net: cfg.Net,
	})
	if err != nil {
		r.world.Close()
		return nil, err
	}
	return r, nil
}

// part parts the items of the tenants that change most from the others.
func (r *run) part() {
	hot := make(map[string]bool, r.Hot)
	for t := range r.Hot {
		hot[origin.Tenant(t)] = true
	}
	for i, item := range r.log.Items {
		if hot[item.Tenant] {
			r.hot = append(r.hot, i)
		} else {
			r.rest = append(r.rest, i)
		}
	}
}

// drive lets everybody do their part until the time is over, and whoever else is
// given, of whom an error ends the run.
func (r *run) drive(ctx context.Context, most time.Duration, others ...func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.AfterFunc(most, cancel)
	defer timer.Stop()
	var readers sync.WaitGroup
	readers.Go(func() { r.readers().Run(ctx, r.Seed) })
	g.Go(func() error { readers.Wait(); return nil })
	g.Go(func() error { r.writer().Run(ctx, r.Seed, time.Second); return nil })
	if !r.Calm {
		g.Go(func() error { return r.nemesis().Run(ctx, r.Seed) })
	}
	g.Go(func() error { r.pulse.run(ctx, r.log.Clock); return nil })
	if r.Sample > 0 {
		g.Go(func() error { return r.sample(ctx) })
	}
	for _, other := range others {
		g.Go(func() error { defer cancel(); return other(ctx) })
	}
	g.Go(func() error {
		for world.Pause(ctx, checkInterval) {
			if r.check(false); r.breaks(r.Until) {
				cancel()
			}
		}
		return nil
	})
	return g.Wait()
}

// unlessOver returns an error that is not due to the end of the run.
func unlessOver(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// hotShare is the part of the reads, in percent, that goes to the hot tenants;
// of the changes it is twice that.
const hotShare = 35

func (r *run) readers() *traffic.Readers {
	return &traffic.Readers{
		Log: r.log, Origin: r.origin, Nodes: r.world.Nodes, Count: r.Readers, PerSecond: r.Reads,
		Tenant: func(random *rand.Rand) string {
			if random.IntN(100) < hotShare {
				return origin.Tenant(random.IntN(r.Hot))
			}
			return origin.Tenant(random.IntN(r.Tenants))
		},
	}
}

func (r *run) writer() *traffic.Writer {
	return &traffic.Writer{
		Log: r.log, Origin: r.origin, Bus: r.world.Bus, PerSecond: r.Writes, Late: r.Bound, Silent: !r.Calm && r.TTL < r.For, Turnover: r.Turnover,
		Choose: func(random *rand.Rand) int {
			if len(r.rest) == 0 || random.IntN(100) < 2*hotShare {
				return r.hot[random.IntN(len(r.hot))]
			}
			return r.rest[random.IntN(len(r.rest))]
		},
	}
}

func (r *run) nemesis() *nemesis.Nemesis {
	return &nemesis.Nemesis{
		World: r.world, Origin: r.origin, Log: r.log, Types: r.Faults, Hold: r.Hold, Quiet: r.Quiet,
		Overlap: r.Overlap, Flooded: origin.Tenant(0),
	}
}

// check checks the reads that are new. Those of the last moments wait, unless
// they are the last of the run: what they depend on may be being recorded.
func (r *run) check(all bool) {
	reads := r.log.Reads(r.checked)
	horizon := r.log.Now() - r.Bound/2
	for i := range reads {
		if !all && reads[i].Done > horizon {
			reads = reads[:i]
			break
		}
		if v := r.checker.Check(&reads[i]); v != nil {
			r.byRule[string(v.Rule)]++
			if r.broken++; len(r.found) < maxViolations {
				r.found = append(r.found, v)
			}
		}
	}
	r.checked += len(reads)
}

// breaks says whether one of the rules was broken.
func (r *run) breaks(rules []checker.Rule) bool {
	return slices.ContainsFunc(rules, func(rule checker.Rule) bool { return r.byRule[string(rule)] > 0 })
}
