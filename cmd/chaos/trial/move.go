package trial

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/cmd/chaos/origin"
	"github.com/tenantry/tenantry/cmd/chaos/world"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
)

// Moves is what moved in a step from node to node.
type Moves struct {
	// Taken is how often a node took a tenant from another, HandedOver how often a node
	// let go of one that its owners had taken; Entries and Bytes are what was taken.
	Taken      float64 `json:"tenants_taken"`
	HandedOver float64 `json:"tenants_handed_over"`
	Entries    float64 `json:"entries_taken"`
	Bytes      float64 `json:"bytes_taken"`
	// CPU is what all nodes took, in seconds of a core.
	CPU float64 `json:"cpu_seconds"`
	// Lists and Items are what the origin was asked for, without what is never kept for
	// long; Usual is what it would have been at the pace of the start.
	Lists uint64  `json:"origin_lists"`
	Items uint64  `json:"origin_items"`
	Usual float64 `json:"origin_items_as_usual"`
	// Dark is how many tenants were seen without any subscriber.
	Dark int `json:"tenants_without_subscriber"`
}

// DefaultMove takes about two minutes.
func DefaultMove() Play {
	return Play{
		Quiet: 10 * time.Second, Window: 10 * time.Second, Settle: 60 * time.Second, Slowest: time.Second, Slower: 3, inOrder: true,
		acts: (*stage).moves,
	}
}

// Moving returns the run in which nodes come and go in order: five of them, with 2,000
// active tenants of about 100 entries.
func Moving(seed uint64, binary, dir string) Config {
	return Config{
		Binary: binary, Dir: dir, Seed: seed, Nodes: 5, Tenants: 2000, Items: 17, Hot: 200, Writes: 50, Reads: 200, Readers: 24,
		Heartbeat: time.Second, ProofTTL: 3 * time.Second, Bound: 4 * time.Second, TTL: time.Hour, MaxStale: 5 * time.Minute, Calm: true,
	}
}

// fill reads every entry of every tenant once, so that reference data is kept, too.
func (r *run) fill(ctx context.Context) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: touching}}
	defer client.CloseIdleConnections()
	entries, nodes := r.origin.Entries(), r.world.Nodes()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(touching)
	for t := range r.Tenants {
		tenant, node := origin.Tenant(t), nodes[t%len(nodes)]
		g.Go(func() error {
			m := &tenantryv1.BatchGetRequest{Tenant: tenant}
			for _, e := range entries[tenant] {
				entry := r.log.Entries[e]
				m.Items = append(m.Items, &tenantryv1.BatchGetItem{Kind: r.log.Kinds[entry.Kind].Name, Key: entry.Key})
			}
			_, err := tenantryv1connect.NewCacheServiceClient(client, node.URL).BatchGet(ctx, m)
			return err
		})
	}
	return g.Wait()
}

// moves are the steps in which nodes come and go in order: one joins, another is
// drained, and all are restarted, one after the other.
func (s *stage) moves() []act {
	drained := s.world.Nodes()[1]
	return []act{
		s.starts(), s.adds(),
		{stepDrain, drained.Name, s.Nodes, drained.Drain},
		{stepRestart, "", s.Nodes, s.restartAll},
	}
}

func (s *stage) restartAll(ctx context.Context) error {
	for _, n := range s.world.Running() {
		if err := s.figures.look(ctx, s); err != nil {
			return err
		}
		if err := n.Drain(ctx); err != nil {
			return err
		}
		if err := n.Start(ctx); err != nil {
			return err
		}
		if err := s.world.AwaitRing(ctx); err != nil {
			return err
		}
	}
	return nil
}

// figures adds up what nodes count, which begin anew with each start.
type figures struct {
	last  map[string]map[string]float64 // by node
	sum   map[string]float64
	asked uint64 // of the origin, when the step began
	lists uint64
	pace  float64 // of the items asked for in the first step, a second
	dark  map[int]bool
	stop  func()
}

// look adds what has come since the last look.
func (f *figures) look(ctx context.Context, s *stage) error {
	for _, n := range s.world.Running() {
		m, err := n.Metrics(ctx)
		if err != nil {
			return err
		}
		for name, v := range m {
			if before := f.last[n.Name][name]; v >= before {
				v -= before
			}
			f.sum[name] += v
		}
		f.last[n.Name] = m
	}
	return nil
}

func (f *figures) begin(ctx context.Context, s *stage) error {
	if f.last == nil {
		f.last, f.sum = make(map[string]map[string]float64), make(map[string]float64)
	}
	if err := f.look(ctx, s); err != nil {
		return err
	}
	f.sum = make(map[string]float64)
	f.asked, f.lists = s.origin.Kept(), s.origin.Lists()
	watching, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	f.dark = make(map[int]bool)
	go func() {
		defer close(ended)
		f.watch(watching, s)
	}()
	f.stop = func() { stop(); <-ended }
	return nil
}

// watching is the time between two looks at the subscribers of all tenants.
const watching = 500 * time.Millisecond

// watch looks for tenants without subscribers.
func (f *figures) watch(ctx context.Context, s *stage) {
	channels := make([]string, s.Tenants)
	for t := range channels {
		channels[t] = origin.Channel(origin.Tenant(t))
	}
	for world.Pause(ctx, watching) {
		got, err := s.world.Bus.PubSubNumSub(ctx, channels...).Result()
		if err != nil {
			return // ctx has ended, or the run fails
		}
		for t, name := range channels {
			if got[name] == 0 {
				f.dark[t] = true
			}
		}
	}
}

func (f *figures) end(ctx context.Context, s *stage, step *Step) error {
	f.stop()
	if err := f.look(ctx, s); err != nil {
		return err
	}
	step.Taken, step.HandedOver = f.sum[`tenantry_handoffs_total{outcome="imported"}`], f.sum[`tenantry_handoffs_total{outcome="handed_over"}`]
	step.Entries, step.Bytes = f.sum[`tenantry_handoff_entries_total{direction="in"}`], f.sum[`tenantry_handoff_bytes_total{direction="in"}`]
	step.CPU = f.sum["process_cpu_seconds_total"]
	step.Lists = s.origin.Lists() - f.lists
	step.Items = s.origin.Kept() - f.asked - step.Lists
	step.Dark = len(f.dark)
	now := s.log.Now()
	if f.pace == 0 {
		f.pace = float64(step.Items) / (now - step.begin).Seconds()
	}
	step.Usual = f.pace * (now - step.begin).Seconds()
	return nil
}

// printMoves writes what moved.
func (r *EndResult) printMoves(w io.Writer) {
	if !r.moved {
		return
	}
	fmt.Fprintln(w, "\nstep\ttenants taken\thanded over\tentries taken\tMB\tCPU\torigin: lists\titems\tas usual\twithout a subscriber\t")
	for _, s := range r.Steps {
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\t%.1f\t%.1f s\t%d\t%d\t%.0f\t%d\t\n", s.Name, s.Taken, s.HandedOver, s.Entries, s.Bytes/1e6, s.CPU, s.Lists, s.Items, s.Usual, s.Dark)
	}
}
