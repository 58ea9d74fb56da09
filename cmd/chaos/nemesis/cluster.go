package nemesis

import (
	"context"
	"strings"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/proxy"
	"github.com/tenantry/tenantry/cmd/chaos/world"
)

// suffixOne is at the end of the names of faults that strike one node's link to
// what all nodes have a link to.
const suffixOne = "-one"

// The names of faults that strike no one node.
const (
	nameSplit   = "split"
	nameRestart = "nodes-restart"
)

// ofCluster returns the types that are only for several nodes.
func ofCluster() []fault {
	all := []fault{
		{"peer-cut", thePeers, false, peers(proxy.Fault{Cut: true})},
		{"peer-freeze", thePeers, false, peers(proxy.Fault{FreezeUp: true, FreezeDown: true})},
		{"peer-silent", thePeers, false, peers(proxy.Fault{FreezeDown: true})},
		{"peer-delay", thePeers, false, delayPeers},
		{"gossip-cut", thePeers, false, gossip(world.Both, proxy.Fault{Cut: true})},
		{"gossip-deaf", thePeers, false, gossip(world.To, proxy.Fault{Cut: true})},
		{"gossip-mute", thePeers, false, gossip(world.From, proxy.Fault{Cut: true})},
		{"gossip-freeze", thePeers, false, gossip(world.Both, proxy.Fault{FreezeUp: true, FreezeDown: true})},
		{nameSplit, thePeers, false, split},
		{"node-drain", theNode, false, drainNode},
		{"node-restart", theNode, false, restartNode},
		{"node-join", theNode, false, joinNode},
		{"node-join-late", theNode, true, lateJoin},
		{"node-flap", theNode, true, flapNode},
		{nameRestart, theNode, true, restartNodes},
	}
	for _, f := range faults(1) {
		if strings.HasPrefix(f.name, "bus-") || f.name == "origin-cut" || f.name == "origin-freeze" {
			all = append(all, fault{f.name + suffixOne, f.group, f.loses, alone(f.strike)})
		}
	}
	return all
}

// alone has a fault of a link strike that of one node.
func alone(do func(context.Context, *strike) error) func(context.Context, *strike) error {
	return func(ctx context.Context, s *strike) error {
		s.alone = true
		return do(ctx, s)
	}
}

// givenUp is after which time without a sign of life a node has been given up by the
// others, and their rings are without it.
const givenUp = 4 * time.Second

// sometimesGone returns the time, or, every other time in a cluster, one in which the
// node is given up.
func (s *strike) sometimesGone(d time.Duration) time.Duration {
	if len(s.World.Nodes()) > 1 && s.rand.IntN(2) == 0 {
		return max(d, givenUp)
	}
	return d
}

// peers brings a fault of the calls to one node, from it, or both.
func peers(f proxy.Fault) func(context.Context, *strike) error {
	return func(ctx context.Context, s *strike) error { return s.callsOfNode(ctx, f) }
}

func delayPeers(ctx context.Context, s *strike) error {
	return s.callsOfNode(ctx, proxy.Fault{Delay: s.random(s.hold / 6)})
}

func (s *strike) callsOfNode(ctx context.Context, f proxy.Fault) error {
	way, some := world.Way(s.rand.IntN(int(world.Ways))), []*world.Node{s.node}
	return s.through(ctx, func(f proxy.Fault) { s.World.SetPeers(some, way, f) }, f)
}

// gossip brings a fault of the gossip of one node, which is sometimes given up, and
// then comes back.
func gossip(way world.Way, f proxy.Fault) func(context.Context, *strike) error {
	return func(ctx context.Context, s *strike) error {
		some := []*world.Node{s.node}
		s.World.SetGossip(some, way, f)
		world.Pause(ctx, s.sometimesGone(s.hold))
		s.World.SetGossip(some, way, proxy.Fault{})
		world.Pause(ctx, s.hold/2)
		return nil
	}
}

// split parts the nodes into two clusters that do not know of each other any more.
func split(ctx context.Context, s *strike) error {
	all := s.World.Nodes()
	some := make([]*world.Node, 0, len(all)/2)
	for _, i := range s.rand.Perm(len(all))[:len(all)/2] {
		some = append(some, all[i])
	}
	for _, f := range []proxy.Fault{{Cut: true}, {}} {
		s.World.SetGossip(some, world.Both, f)
		s.World.SetPeers(some, world.Both, f)
		if f.Cut {
			world.Pause(ctx, max(s.hold, givenUp))
		}
	}
	world.Pause(ctx, s.hold/2)
	return nil
}
