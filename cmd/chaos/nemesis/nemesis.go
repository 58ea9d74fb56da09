package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/history"
	"github.com/tenantry/tenantry/cmd/chaos/origin"
	"github.com/tenantry/tenantry/cmd/chaos/world"
)

// Nemesis brings faults.
type Nemesis struct {
	World  *world.World
	Origin *origin.Origin
	Log    *history.Log
	// Types are the names of the faults to bring; empty: all.
	Types []string
	// Hold is about how long a fault lasts, Quiet how long nothing does between
	// two.
	Hold, Quiet time.Duration
	// Overlap brings a fault of each group, each by itself.
	Overlap bool
	// Flooded is the tenant of which a channel is flooded.
	Flooded string
}

// group is what a fault strikes: two at once strike two groups.
type group int

const (
	theNode group = iota
	theBus
	theOrigin
	thePeers // what nodes say to each other
	groups
)

// fault is one type.
type fault struct {
	name  string
	group group
	// loses says that events may be lost or late.
	loses bool
	// strike lasts for about the time given.
	strike func(ctx context.Context, s *strike) error
}

// strike is a fault being brought.
type strike struct {
	*Nemesis
	rand *rand.Rand
	hold time.Duration
	// node is the one that is struck, if it is one.
	node *world.Node
	// alone says that only the node's own link is to be struck, of those that all
	// have.
	alone bool
}

// Names returns the types there are for so many nodes.
func Names(nodes int) (names []string) {
	for _, f := range faults(nodes) {
		names = append(names, f.name)
	}
	return names
}

// Check returns an error that names the types that are none for so many nodes.
func Check(types []string, nodes int) error {
	var wrong []string
	names := Names(nodes)
	for _, t := range types {
		if !slices.Contains(names, t) {
			wrong = append(wrong, t)
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("no such faults: %s; there are %s", strings.Join(wrong, ", "), strings.Join(names, ", "))
	}
	return nil
}

// OfOrigin says that a type is a fault of the origin, or of the way there from all
// nodes: what is not kept cannot be answered meanwhile.
func OfOrigin(name string) bool {
	return slices.ContainsFunc(faults(1), func(f fault) bool { return f.name == name && f.group == theOrigin })
}

// Run brings faults until ctx ends; the one that is active ends before. An error
// means that the world cannot go on.
func (n *Nemesis) Run(ctx context.Context, seed uint64) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if !n.Overlap {
		return n.bring(ctx, n.chosen(func(fault) bool { return true }), rand.New(rand.NewPCG(seed, 2)))
	}
	var wg sync.WaitGroup
	errs := make(chan error, groups)
	for g := range groups {
		wg.Go(func() {
			mine := n.chosen(func(f fault) bool { return f.group == g })
			if err := n.bring(ctx, mine, rand.New(rand.NewPCG(seed, 3+uint64(g)))); err != nil {
				errs <- err
				stop()
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

func (n *Nemesis) chosen(also func(fault) bool) []fault {
	return slices.DeleteFunc(faults(len(n.World.Nodes())), func(f fault) bool {
		return len(n.Types) > 0 && !slices.Contains(n.Types, f.name) || !also(f)
	})
}

// bring brings all of the faults in a random order, again and again.
func (n *Nemesis) bring(ctx context.Context, all []fault, random *rand.Rand) error {
	if len(all) == 0 {
		return nil
	}
	for {
		for _, i := range random.Perm(len(all)) {
			if !world.Pause(ctx, n.Quiet) {
				return nil
			}
			s := &strike{Nemesis: n, rand: random, hold: n.Hold/2 + time.Duration(random.Int64N(int64(n.Hold)))}
			end := n.Log.Begin(history.Fault{Type: all[i].name, Loses: all[i].loses, Node: s.choose(&all[i]), Note: s.hold.Round(time.Millisecond).String()})
			err := all[i].strike(ctx, s)
			end()
			if err != nil {
				return fmt.Errorf("%s: %w", all[i].name, err)
			}
		}
	}
}

// choose chooses the node that is struck, and returns its name if the fault strikes
// one of several.
func (s *strike) choose(f *fault) string {
	all := s.World.Running()
	if s.node = s.World.Nodes()[0]; len(s.World.Nodes()) == 1 || len(all) == 0 {
		return ""
	}
	s.node = all[s.rand.IntN(len(all))]
	if f.name == nameRestart {
		return ""
	}
	if f.group == theNode || f.group == thePeers && f.name != nameSplit || strings.HasSuffix(f.name, suffixOne) {
		return s.node.Name
	}
	return ""
}
