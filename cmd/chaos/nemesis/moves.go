package nemesis

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/cmd/chaos/proxy"
	"github.com/tenantry/tenantry/cmd/chaos/world"
)

// drainNode has the node leave in order, and come back after a while.
func drainNode(ctx context.Context, s *strike) error {
	if err := s.node.Drain(ctx); err != nil {
		return err
	}
	world.Pause(ctx, s.random(s.hold/2))
	return s.node.Start(context.WithoutCancel(ctx))
}

// restartNode has the node leave in order, and come back at once.
func restartNode(ctx context.Context, s *strike) error {
	if err := s.node.Drain(ctx); err != nil {
		return err
	}
	return s.node.Start(context.WithoutCancel(ctx))
}

// joinNode has one more node join for a while, and leave in order.
func joinNode(ctx context.Context, s *strike) error {
	guest, err := s.World.Guest(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	world.Pause(ctx, s.random(s.hold))
	return guest.Drain(ctx)
}

// lateJoin has one more node join while events reach the others late: what the others
// hand over must be from after what that node did not hear.
func lateJoin(ctx context.Context, s *strike) error {
	late := s.World.Running()
	set := func(f proxy.Fault) {
		for _, n := range late {
			n.BusProxy.Set(f)
		}
	}
	set(proxy.Fault{Delay: s.hold / 8})
	guest, err := s.World.Guest(context.WithoutCancel(ctx))
	set(proxy.Fault{})
	if err != nil {
		return err
	}
	world.Pause(ctx, s.random(s.hold))
	return guest.Drain(ctx)
}

// flaps is how often a node that flaps is killed.
const flaps = 4

// flapNode kills the node again and again, as soon as it is back.
func flapNode(ctx context.Context, s *strike) error {
	for range flaps {
		s.node.Kill()
		world.Pause(ctx, s.random(s.hold/8))
		if err := s.node.Start(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// restartNodes has all nodes leave at once, and come back at once.
func restartNodes(ctx context.Context, s *strike) error {
	running := s.World.Running()
	for _, n := range running {
		n.Withdraw()
	}
	for _, do := range []func(*world.Node, context.Context) error{(*world.Node).Drain, (*world.Node).Start} {
		var g errgroup.Group
		for _, n := range running {
			g.Go(func() error { return do(n, context.WithoutCancel(ctx)) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return s.World.AwaitRing(context.WithoutCancel(ctx))
}
