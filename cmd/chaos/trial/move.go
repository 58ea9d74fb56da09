package trial

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/cmd/chaos/origin"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
)

// DefaultMove takes about two minutes.
func DefaultMove() Play {
	return Play{
		Quiet: 10 * time.Second, Window: 10 * time.Second, Settle: 60 * time.Second, Slowest: time.Second, Slower: 3, inOrder: true,
		acts: (*stage).moves,
	}
}

// DefaultUpgrade takes about a minute.
func DefaultUpgrade() Play {
	return Play{
		Quiet: 3 * time.Second, Window: 3 * time.Second, Settle: 60 * time.Second, Slowest: time.Second, inOrder: true,
		acts: (*stage).upgrades,
	}
}

// Upgrading returns the run in which three nodes with 300 active tenants are upgraded
// from a previous binary.
func Upgrading(seed uint64, previous, binary, dir string) Config {
	cfg := Moving(seed, binary, dir)
	cfg.Previous, cfg.Nodes, cfg.Tenants = previous, 3, 300
	return cfg
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
	return append(s.comesAndGoes(), act{stepRestart, "", s.Nodes, s.restartAll})
}

// comesAndGoes are the steps in which one node joins, and another is drained.
func (s *stage) comesAndGoes() []act {
	drained := s.world.Nodes()[1]
	return []act{
		s.starts(), s.adds(),
		{stepDrain, drained.Name, s.Nodes, func(ctx context.Context) error { return s.drain(ctx, drained) }},
	}
}

// upgrades are the steps in which all nodes are restarted as another version, one after
// the other, and then as the one before again.
func (s *stage) upgrades() []act {
	return []act{
		s.starts(),
		{stepUpgrade, "", s.Nodes, func(ctx context.Context) error { return s.restartAs(ctx, s.Binary) }},
		{stepDowngrade, "", s.Nodes, func(ctx context.Context) error { return s.restartAs(ctx, s.Previous) }},
	}
}

func (s *stage) restartAll(ctx context.Context) error { return s.restartAs(ctx, s.Binary) }

func (s *stage) restartAs(ctx context.Context, binary string) error {
	for _, n := range s.world.Running() {
		if err := s.drain(ctx, n); err != nil {
			return err
		}
		n.Use(binary)
		if err := n.Start(ctx); err != nil {
			return err
		}
		if err := s.world.AwaitRing(ctx); err != nil {
			return err
		}
	}
	return nil
}

// slowdown says, of a step in which nodes come or go in order, how many times as long as
// before reads took.
func (r *EndResult) slowdown(s *Step) (times float64, ok bool) {
	first := r.Steps[0]
	if !r.moved || s == first || first.P99 == 0 {
		return 0, false
	}
	return s.P99 / first.P99, true
}

// missedMoves returns what is missed of nodes that come and go in order.
func (r *EndResult) missedMoves(s *Step) (all []string) {
	if times, ok := r.slowdown(s); ok && r.slower > 0 && times > r.slower {
		all = append(all, fmt.Sprintf("%s: p99 %.1f ms, before %.1f ms: more than %.1f times", s.Name, 1e3*s.P99, 1e3*r.Steps[0].P99, r.slower))
	}
	if r.moved && s != r.Steps[0] && (s.HandedOver == 0 || s.Entries == 0 || s.Looks == 0) {
		all = append(all, fmt.Sprintf("%s: %.0f tenants were handed over, %.0f entries taken, subscribers looked at %d times", s.Name, s.HandedOver, s.Entries, s.Looks))
	}
	if s.Dark > 0 && r.moved {
		all = append(all, fmt.Sprintf("%s: %d tenants were without a subscriber", s.Name, s.Dark))
	}
	return all
}

// printMoves writes what moved.
func (r *EndResult) printMoves(w io.Writer) {
	if !r.moved {
		return
	}
	fmt.Fprintln(w, "\nstep\ttenants taken\thanded over\tin vain\tentries taken\tMB\temptied after\tCPU\torigin: lists\titems\tas usual\tp99 / before\tfewest subscribers\twithout any\t")
	for _, s := range r.Steps {
		slowdown := ""
		if times, ok := r.slowdown(s); ok {
			slowdown = fmt.Sprintf("%.1f", times)
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t%.1f s\t%.1f s\t%d\t%d\t%.0f\t%s\t%d\t%d\t\n", s.Name, s.Taken, s.HandedOver, s.InVain,
			s.Entries, s.Bytes/1e6, s.Emptied, s.CPU, s.Lists, s.Items, s.Usual, slowdown, s.Fewest, s.Dark)
	}
}
