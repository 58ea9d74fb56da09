package shard

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tenantry/tenantry/cache"
)

// takeOver takes what another node has of a tenant that is new here; what is missing
// then is read from the origin.
func (n *Node) takeOver(ctx context.Context, todo task) {
	t := todo.tenant
	kinds, ok := t.loading()
	if !ok {
		return
	}
	a := attempt{began: n.Now(), generation: t.cache.Generation()}
	taken, err := n.importFirst(ctx, t, &a)
	if mayGiveLater(err) && todo.round+1 < importRounds {
		todo.round++
		time.AfterFunc(importPause, func() { n.moves.add(todo) })
		return
	}
	if missing := without(kinds, taken); len(missing) == 0 {
		t.loaded(n.Now(), &a)
	} else if t.lacks(missing, &a) {
		n.first.add(task{tenant: t})
	}
}

// lacks notes that kinds are still to be read from the origin, and reports whether the
// tenant is to be queued for that.
func (t *tenant) lacks(missing []*cache.Kind, a *attempt) (enqueue bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(missing) < len(t.missing) && t.round == 0 {
		t.round, t.loadedAt = a.generation, a.began
	}
	t.missing = missing
	return t.state != Draining
}

const (
	// importRounds is how often all nodes that may hold a tenant are asked, as long as
	// one of them could not be: it may be busy.
	importRounds = 2
	// importPause is the time between two rounds. Nobody waits for it: reads peek, or
	// read through.
	importPause = 300 * time.Millisecond
)

// importSome takes what another node has of a tenant, from the first that gives it,
// and returns which of the kinds are still to be read from the origin.
func (n *Node) importSome(ctx context.Context, t *tenant, kinds []*cache.Kind, a *attempt) (missing []*cache.Kind) {
	taken, err := n.importFirst(ctx, t, a)
	for round := 1; mayGiveLater(err) && round < importRounds && sleep(ctx, importPause); round++ {
		taken, err = n.importFirst(ctx, t, a)
	}
	return without(kinds, taken)
}

// mayGiveLater says that no node has handed over what one of them may have.
func mayGiveLater(err error) bool {
	return err != nil && !errors.Is(err, ErrNotHeld) && !errors.Is(err, ErrUnproven)
}

func without(kinds, taken []*cache.Kind) []*cache.Kind {
	return slices.DeleteFunc(slices.Clone(kinds), func(k *cache.Kind) bool { return slices.Contains(taken, k) })
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// importFirst takes what the first node has that gives it. The error is [ErrNotHeld] if
// none has the tenant, [ErrUnproven], and another if one may give it later.
func (n *Node) importFirst(ctx context.Context, t *tenant, a *attempt) (taken []*cache.Kind, err error) {
	none := ErrNotHeld
	for _, from := range n.importSources(t) {
		taken, err := n.importFrom(ctx, t, &from, n.kept, a)
		switch {
		case err == nil, errors.Is(err, ErrUnproven):
			return taken, err
		case !errors.Is(err, ErrNotHeld):
			none = err
		}
	}
	return nil, none
}

// importSources returns the nodes that may hand a tenant over. What one of them has
// besides is taken when it asks to let go.
func (n *Node) importSources(t *tenant) []Peer {
	if n.cluster == nil {
		return nil
	}
	return n.view.Load().sources(t.name)
}

// importTries bounds how often an import is begun anew because of more events than
// it can tell from what it brings.
const importTries = 3

// errDoubted says that a node doubts what it handed over.
var errDoubted = errors.New("the node had a doubt meanwhile")

// importFrom takes what a node has of some kinds of a tenant, and returns which are as
// good as there then: the node is live, so that it had read their lists. An error says
// why nothing of it is believed.
func (n *Node) importFrom(ctx context.Context, t *tenant, from *Peer, kinds []*cache.Kind, a *attempt) (taken []*cache.Kind, err error) {
	audience := n.view.Load().audience
	err = cache.ErrOverflow
	for try := 0; try < importTries && errors.Is(err, cache.ErrOverflow); try++ {
		began := n.Now()
		var age time.Duration
		if taken, age, err = n.importOnce(ctx, t, from, kinds); err == nil {
			a.began = min(a.began, began-age)
		}
	}
	n.countImport(ctx, t, from, err)
	t.took(from, audience, err == nil || errors.Is(err, ErrUnproven))
	return taken, err
}

func (n *Node) importOnce(ctx context.Context, t *tenant, from *Peer, kinds []*cache.Kind) (taken []*cache.Kind, age time.Duration, err error) {
	var end cache.End
	taken, age, err = t.cache.Import(ctx, kinds, func(keep func(*cache.Kind, []cache.Handed) error) (cache.End, error) {
		end, err = n.cluster.Colleagues.Export(ctx, *from, t.name, kinds, func(k *cache.Kind, entries []cache.Handed) error {
			n.metrics.handed(directionIn, entries)
			return keep(k, entries)
		})
		return end, err
	})
	switch {
	case err != nil:
	case n.relayed(t): // whatever a node of a version before makes of it
		err = ErrUnproven
	case !end.Undoubted:
		err = errDoubted
	}
	return taken, age, err
}

func (n *Node) countImport(ctx context.Context, t *tenant, from *Peer, err error) {
	switch {
	case ctx.Err() != nil:
		return
	case err == nil:
		n.metrics.handoff(outcomeImported)
		return
	case errors.Is(err, ErrNotHeld):
		n.metrics.handoff(outcomeRefused)
		return
	case errors.Is(err, errDoubted), errors.Is(err, ErrUnproven):
		n.metrics.handoff(outcomeDoubted)
	default:
		n.metrics.handoff(outcomeBroken)
	}
	n.log.Debug("a tenant was not handed over, another node or the origin is asked", "tenant", t.name, "node", from.Name, "error", err)
}

// takeFrom takes what a node holds of a tenant that is live here: of the kinds that
// nobody lists, it may have what was read there alone.
func (n *Node) takeFrom(ctx context.Context, t *tenant, from *Peer) {
	_, _ = n.importFrom(ctx, t, from, n.unlisted, &attempt{}) // what it has not is read when it is asked for
	t.tookOver()
}
