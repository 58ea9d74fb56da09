package shard

import (
	"context"
	"errors"
	"hash/maphash"
	"time"

	"github.com/tenantry/tenantry/cache"
)

// loaders is how many tenants are loaded at once for the first time, and as
// many again that are loaded anew: a resync does not hold up who is new. Each
// reads one list at a time, so that this bounds the lists in flight; the origin
// reader's own limit leaves the larger part to reads that somebody waits for.
const loaders = 16

// takers is how many tenants are taken over from other nodes at once. They are few:
// that is work of this machine and others alone, at the cost of the reads meanwhile, of
// which nobody has to wait for it.
const takers = 2

// enqueue puts a tenant into the queue of its loaders; one that is new, and that
// another node may hold, is to be taken over from there.
func (n *Node) enqueue(t *tenant) {
	switch {
	case t.loadedBefore():
		n.again.add(task{tenant: t, reads: t.lately()})
	case len(n.importSources(t)) > 0:
		n.moves.add(task{tenant: t})
	default:
		n.first.add(task{tenant: t})
	}
}

// runLoader does the tasks of a queue.
func (n *Node) runLoader(ctx context.Context, q *queue) error {
	for {
		select {
		case <-q.poke:
		case <-ctx.Done():
			return nil
		}
		for t, ok := q.take(); ok && ctx.Err() == nil; t, ok = q.take() {
			switch {
			case t.from != nil:
				n.takeFrom(ctx, t.tenant, t.from)
			case t.entries:
				n.revalidate(ctx, t.tenant)
			case q == &n.moves:
				n.takeOver(ctx, t)
			default:
				n.load(ctx, t.tenant, q == &n.again)
			}
		}
	}
}

// load reads the lists of the critical kinds that are missing; paced, at the pace of
// resyncs, and what another node has of a tenant in doubt comes first. A tenant of which
// the origin has no list is let go: see [Node.forget].
func (n *Node) load(ctx context.Context, t *tenant, paced bool) {
	kinds, ok := t.loading()
	if !ok {
		return
	}
	a := attempt{began: n.Now(), generation: t.cache.Generation()}
	if paced && t.doubtful() && len(n.importSources(t)) > 0 {
		if n.resyncs.wait(ctx) != nil {
			return
		}
		kinds = n.importSome(ctx, t, kinds, &a)
	}
	absent := 0
	for _, k := range kinds {
		switch err := n.loadList(ctx, t, k, paced); {
		case errors.Is(err, cache.ErrAbsent):
			absent++
		case err != nil:
			a.failed, a.fault = append(a.failed, k), faultOf(err)
		}
	}
	if absent > 0 && absent == len(n.critical) && !n.preload[t.name] {
		n.forget(t)
		return
	}
	t.loaded(n.Now(), &a)
}

func (n *Node) loadList(ctx context.Context, t *tenant, k *cache.Kind, paced bool) error {
	load := t.cache.Load
	if paced {
		load = func(ctx context.Context, k *cache.Kind) error { return t.cache.LoadPaced(ctx, k, n.resyncs.wait) }
	}
	err := load(ctx, k)
	if err != nil && ctx.Err() == nil && !errors.Is(err, cache.ErrAbsent) {
		n.metrics.failedLoads.Inc()
		n.log.Warn("a list could not be read, it will be repeated", "tenant", t.name, "kind", k.Name, "error", err)
	}
	return err
}

// revalidateAtOnce is how many entries of a tenant are read anew before it is
// another's turn.
const revalidateAtOnce = 64

// revalidate reads anew what no list tells of, some of it.
func (n *Node) revalidate(ctx context.Context, t *tenant) {
	generation := t.cache.Generation()
	more, err := t.cache.Revalidate(ctx, revalidateAtOnce, n.resyncs.wait)
	if err != nil && ctx.Err() == nil {
		n.log.Debug("entries in doubt could not be read anew, it will be tried again", "tenant", t.name, "error", err)
	}
	if t.revalidated(generation, more, err != nil) {
		n.again.add(task{tenant: t, entries: true, reads: t.lately()})
	}
}

// caretakerInterval is the time between two looks at all tenants.
const caretakerInterval = time.Second

// runCaretaker lets go of idle tenants, repeats failed loads, and has read anew
// what is outdated or in doubt: lists, then what no list tells of.
func (n *Node) runCaretaker(ctx context.Context) error {
	ticker := time.NewTicker(caretakerInterval)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			n.lookAtAll(ctx)
			n.strangers.sweep(now)
		case <-ctx.Done():
			return nil
		}
	}
}

// lookAtAll queues what is due all at once, so that the most read come first.
func (n *Node) lookAtAll(ctx context.Context) {
	var again []task
	n.tenants.Range(func(_ string, t *tenant) bool {
		if due, ok := n.look(t); ok {
			again = append(again, due)
		}
		return ctx.Err() == nil
	})
	n.again.add(again...)
}

// look lets go of a tenant that is idle, and returns what is to be read anew of
// another.
func (n *Node) look(t *tenant) (due task, ok bool) {
	now := n.Now()
	_, proven := n.links[n.bus.Conn(t.name)].proofAge(now)
	switch {
	case t.cache.LastRead() > n.idleTimeout && !(n.preload[t.name] && n.view.Load().holds(t.name)):
		n.letGo(t)
	case t.retry(now), t.outdated(now, n.refreshAfter(t.name), proven, n.critical):
		if t.loadedBefore() {
			return task{tenant: t, reads: t.lately()}, true
		}
		n.enqueue(t)
	case proven && t.unverified():
		return task{tenant: t, entries: true, reads: t.lately()}, true
	}
	return task{}, false
}

// refreshAfter returns the age at which a tenant's lists are read anew: a part
// of the shortest TTL between refreshMin and refreshMax. Tenants that were
// activated together do not ask the origin together again, and ever less so,
// since each keeps its own pace.
func (n *Node) refreshAfter(name string) time.Duration {
	const steps = 1 << 16
	least, most := n.shortest/refreshDen*refreshMin, n.shortest/refreshDen*refreshMax
	step := int64(maphash.String(n.seed, name) % steps)
	return least + time.Duration(int64(most-least)/steps*step)
}
