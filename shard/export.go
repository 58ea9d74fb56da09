package shard

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tenantry/tenantry/cache"
)

// ErrUnproven says that what was handed over is to be revalidated: the fence proves too
// little, that of any node, since they share the bus.
var ErrUnproven = errors.New("the bus proves too little for a tenant to be handed over")

// ErrNotHeld says that a node cannot hand a tenant over: it is not live for it, or in
// doubt itself. Ask another, or the origin.
var ErrNotHeld = errors.New("the tenant is not live on this node, or in doubt")

const (
	// maxExports bounds the tenants that are handed over at the same time; others
	// wait. Each takes the memory of a page or two, and the time of reads.
	maxExports = 4
	// exportPatience is how long a receiver may take for a part of an export before others
	// get its place: it may be frozen.
	exportPatience = 2 * time.Second
	// fenceTries is how often a fence is begun anew because of a doubt.
	fenceTries = 3
)

// The directions of handed entries.
const (
	directionIn  = "in"
	directionOut = "out"
)

// Definition names a kind as a node has it configured.
type Definition struct {
	Kind string
	Hash uint64
}

// Receiver takes an export. An error of its methods ends it.
type Receiver interface {
	// Begin is called once the fence has held, with the kinds that follow. Proven is
	// false where that proves too little, on Redis Cluster: what was handed over is to be
	// revalidated.
	Begin(kinds []*cache.Kind, proven bool) error
	// Page is some entries of a kind, valid during the call.
	Page(kind *cache.Kind, entries []cache.Handed) error
}

// Export hands over what is held of a tenant, of the kinds that are defined here as
// wanted, behind a fence that begins now (C7). Entries come in pages of about so many
// bytes. Errors: [ErrNotHeld], those of to, and that of ctx.
func (n *Node) Export(ctx context.Context, tenant string, wanted []Definition, pageBytes int, to Receiver) (end cache.End, err error) {
	place, err := n.exportPlace(ctx)
	if err != nil {
		return end, err
	}
	defer place.leave()
	t, ok := n.tenants.Load(tenant)
	if !ok {
		return end, ErrNotHeld
	}
	generation, err := n.fence(ctx, t)
	if err != nil {
		return end, err
	}
	kinds := n.defined(wanted)
	if err := place.wait(func() error { return to.Begin(kinds, !n.relayed(t)) }); err != nil {
		return end, err
	}
	end, err = t.cache.Export(kinds, generation, pageBytes, func(k *cache.Kind, entries []cache.Handed) error {
		n.metrics.handed(directionOut, entries)
		if err := ctx.Err(); err != nil {
			return err
		}
		return place.wait(func() error { return to.Page(k, entries) })
	})
	if errors.Is(err, cache.ErrClosed) {
		err = ErrNotHeld
	}
	return end, err
}

// place is that of an export among those at the same time.
type place struct{ leave func() }

func (n *Node) exportPlace(ctx context.Context) (place, error) {
	select {
	case n.exports <- struct{}{}:
		return place{sync.OnceFunc(func() { <-n.exports })}, nil
	case <-ctx.Done():
		return place{}, ctx.Err()
	}
}

// wait waits for the receiver, and leaves the place if that takes too long.
func (p place) wait(send func() error) error {
	defer time.AfterFunc(exportPatience, p.leave).Stop()
	return send()
}

// relayed reports whether a tenant's events may come by way of another server than that
// which a fence asks.
func (n *Node) relayed(t *tenant) bool { return n.bus.Status()[n.bus.Conn(t.name)].Relayed }

// fence returns the generation in which everything that was published before the call
// has been applied.
func (n *Node) fence(ctx context.Context, t *tenant) (generation uint64, err error) {
	for range fenceTries {
		generation = t.cache.Generation()
		if !t.settled() {
			return 0, ErrNotHeld
		}
		if err := n.bus.Fence(ctx, n.bus.Conn(t.name)); err != nil {
			if ctx.Err() != nil {
				return 0, ctx.Err()
			}
			return 0, ErrNotHeld
		}
		if t.cache.Generation() == generation {
			return generation, nil
		}
	}
	return 0, ErrNotHeld
}

// defined returns the kinds that are defined here as they are wanted, of which
// anything is kept.
func (n *Node) defined(wanted []Definition) (kinds []*cache.Kind) {
	for _, w := range wanted {
		if k := n.kinds[w.Kind]; k != nil && k.Definition == w.Hash && k.Class != cache.OnDemand {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// Fence returns those of the tenants for which everything that was published before
// the call has been applied here. The others are not live here, or their fence proves too
// little.
func (n *Node) Fence(ctx context.Context, tenants []string) (held []string, err error) {
	for _, name := range tenants {
		t, ok := n.tenants.Load(name)
		if !ok || n.relayed(t) {
			continue
		}
		switch _, err := n.fence(ctx, t); {
		case err == nil:
			held = append(held, name)
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
	}
	return held, nil
}

// Peek answers from what is held and known current, and leaves no trace: nothing is
// activated, read, or counted as a read. An unknown kind, and one that is defined
// otherwise than the asker's, has no answer.
func (n *Node) Peek(tenant string, d Definition, key string) (a cache.Answer, ok bool) {
	k := n.kinds[d.Kind]
	t, held := n.tenants.Load(tenant)
	if k == nil || k.Definition != d.Hash || !held {
		return a, false
	}
	return t.cache.Peek(k, key)
}

// Definition returns how a kind is defined here; false: it is not, or nothing of it is
// kept.
func (n *Node) Definition(kind string) (d Definition, ok bool) {
	k := n.kinds[kind]
	if k == nil || k.Class == cache.OnDemand {
		return d, false
	}
	return Definition{k.Name, k.Definition}, true
}
