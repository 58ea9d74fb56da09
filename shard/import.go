package shard

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tenantry/tenantry/cache"
)

// importable reports whether the tenant is to be taken from another node, rather than
// read from the origin: it is new here, or in doubt. What is only old is read anew,
// for the others are as old.
func (t *tenant) importable(generation uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state == Loading || t.generation != generation
}

// importSome takes what another node has of a tenant, from the first that gives it,
// and returns which of the kinds are still to be read from the origin.
func (n *Node) importSome(ctx context.Context, t *tenant, kinds []*cache.Kind, paced bool, a *attempt) (missing []*cache.Kind) {
	for _, from := range n.importSources(t) {
		if paced && n.resyncs.wait(ctx) != nil {
			return kinds
		}
		taken, ok := n.importFrom(ctx, t, &from, n.kept, a)
		if ok {
			return slices.DeleteFunc(slices.Clone(kinds), func(k *cache.Kind) bool { return slices.Contains(taken, k) })
		}
	}
	return kinds
}

// importSources returns the nodes that may hand a tenant over. Who told that it holds
// it comes first: it lets go when it has been asked.
func (n *Node) importSources(t *tenant) []Peer {
	if n.cluster == nil {
		return nil
	}
	v := n.view.Load()
	sources := v.sources(t.name)
	if first, ok := v.alive[t.firstHolder()]; ok {
		sources = slices.DeleteFunc(sources, func(p Peer) bool { return p.ID == first.ID })
		sources = slices.Insert(sources, 0, first)
	}
	return sources
}

// importTries bounds how often an import is begun anew because of more events than
// it can tell from what it brings.
const importTries = 3

// importFrom takes what a node has of some kinds of a tenant. It returns which are as
// good as there then: the node is live, so that it had read their lists; ok is false if
// it gave nothing to be believed.
func (n *Node) importFrom(ctx context.Context, t *tenant, from *Peer, kinds []*cache.Kind, a *attempt) (taken []*cache.Kind, ok bool) {
	audience := n.view.Load().audience
	for range importTries {
		began := n.Now()
		taken, end, age, err := n.importOnce(ctx, t, from, kinds)
		if errors.Is(err, cache.ErrOverflow) {
			continue
		}
		n.countImport(ctx, t, from, end, err)
		t.took(from.ID, audience)
		if err == nil && end.Undoubted {
			a.began = min(a.began, began-age)
		}
		return taken, err == nil && end.Undoubted
	}
	n.metrics.handoff(outcomeBroken)
	return nil, false
}

func (n *Node) importOnce(ctx context.Context, t *tenant, from *Peer, kinds []*cache.Kind) (taken []*cache.Kind, end cache.End, age time.Duration, err error) {
	taken, age, err = t.cache.Import(ctx, kinds, func(keep func(*cache.Kind, []cache.Handed) error) (cache.End, error) {
		end, err = n.cluster.Colleagues.Export(ctx, *from, t.name, kinds, func(k *cache.Kind, entries []cache.Handed) error {
			n.metrics.handed(directionIn, entries)
			return keep(k, entries)
		})
		return end, err
	})
	return taken, end, age, err
}

func (n *Node) countImport(ctx context.Context, t *tenant, from *Peer, end cache.End, err error) {
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, ErrNotHeld):
		n.metrics.handoff(outcomeRefused)
		return
	case err == nil && end.Undoubted:
		n.metrics.handoff(outcomeImported)
		return
	case err == nil:
		n.metrics.handoff(outcomeDoubted)
	default:
		n.metrics.handoff(outcomeBroken)
	}
	n.log.Debug("a tenant was not handed over, another node or the origin is asked", "tenant", t.name, "node", from.Name, "error", err)
}

// takeFrom takes what a node holds of a tenant that is live here: of the kinds that
// nobody lists, it may have what was read there alone.
func (n *Node) takeFrom(ctx context.Context, t *tenant, from *Peer) {
	n.importFrom(ctx, t, from, n.unlisted, &attempt{})
	t.tookOver()
}
