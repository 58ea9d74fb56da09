package world

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/cmd/chaos/origin"
)

// startNodes starts all nodes, which wait for each other.
func (w *World) startNodes(ctx context.Context) error {
	if err := w.write("kinds.yaml", origin.KindsFile(w.cfg.Log.Kinds)); err != nil {
		return err
	}
	var all []*Node
	for number := range w.cfg.Nodes {
		n, err := w.newNode(number)
		all = append(all, n)
		w.keep(all)
		if err != nil {
			return err
		}
	}
	for _, n := range all {
		if err := n.configure(all); err != nil {
			return err
		}
	}
	g, starting := errgroup.WithContext(ctx)
	for _, n := range all {
		g.Go(func() error { return n.Start(starting) })
	}
	if err := g.Wait(); err != nil || w.cfg.Nodes == 1 {
		return err
	}
	return w.AwaitRing(ctx)
}

func (w *World) write(name, text string) error {
	return os.WriteFile(filepath.Join(w.cfg.Dir, name), []byte(text), 0o600)
}

func (w *World) keep(all []*Node) {
	all = slices.Clone(all)
	w.nodes.Store(&all)
}

// AddNode starts one more node, and returns when it is ready. From then on it is
// among those that serve.
func (w *World) AddNode(ctx context.Context) error {
	n, err := w.newNode(len(w.Nodes()))
	n.leave() // clients do not know of it yet
	all := append(slices.Clone(w.Nodes()), n)
	w.keep(all)
	if err != nil {
		return err
	}
	if err := n.configure(all); err != nil {
		return err
	}
	return n.Start(ctx)
}

// Guest starts a node beyond those that there were at first: one that was there before,
// if there is one.
func (w *World) Guest(ctx context.Context) (*Node, error) {
	for _, n := range w.Nodes()[w.cfg.Nodes:] {
		if n.process.pid.Load() == 0 {
			return n, n.Start(ctx)
		}
	}
	err := w.AddNode(ctx)
	all := w.Nodes()
	return all[len(all)-1], err
}

// Running returns the nodes that serve.
func (w *World) Running() []*Node {
	return slices.DeleteFunc(slices.Clone(w.Nodes()), func(n *Node) bool { return !n.Serving() })
}

// AwaitRing returns when all nodes that serve have the same ring: each of them is in
// its own one.
func (w *World) AwaitRing(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for !w.agree(ctx) {
		if !Pause(ctx, 10*pollInterval) {
			return fmt.Errorf("the nodes have no common ring within %v", readyTimeout)
		}
	}
	return nil
}

func (w *World) agree(ctx context.Context) bool {
	epochs := make(map[float64]bool)
	for _, n := range w.Running() {
		m, err := n.Metrics(ctx)
		if err != nil || m["tenantry_ring_epoch"] == 0 {
			return false
		}
		epochs[m["tenantry_ring_epoch"]] = true
	}
	return len(epochs) == 1
}
