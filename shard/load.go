package shard

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"github.com/tenantry/tenantry/cache"
)

// loaders is how many tenants are loaded at once for the first time, and as
// many again that are loaded anew: a resync does not hold up who is new. Each
// reads one list at a time, so that this bounds the lists in flight; the origin
// reader's own limit leaves the larger part to reads that somebody waits for.
const loaders = 16

// queue is the tenants to load, in order. Each is in it at most once, so the
// number of active tenants bounds it.
type queue struct {
	mu      sync.Mutex
	tenants []*tenant
	poke    chan struct{} // capacity 1: the queue is not empty
}

func (q *queue) init() { q.poke = make(chan struct{}, 1) }

func (q *queue) add(t *tenant) {
	q.mu.Lock()
	q.tenants = append(q.tenants, t)
	q.mu.Unlock()
	q.wake()
}

func (q *queue) wake() {
	select {
	case q.poke <- struct{}{}:
	default:
	}
}

// take returns the first tenant, nil if there is none, and wakes another
// loader if there are more.
func (q *queue) take() *tenant {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.tenants) == 0 {
		q.tenants = nil
		return nil
	}
	t := q.tenants[0]
	q.tenants[0] = nil
	q.tenants = q.tenants[1:]
	if len(q.tenants) > 0 {
		q.wake()
	}
	return t
}

// enqueue puts a tenant into the queue of its loaders.
func (n *Node) enqueue(t *tenant) {
	if t.loadedBefore() {
		n.again.add(t)
	} else {
		n.first.add(t)
	}
}

// runLoader loads tenants of a queue; paced, at the pace of resyncs.
func (n *Node) runLoader(ctx context.Context, q *queue, paced bool) error {
	for {
		select {
		case <-q.poke:
		case <-ctx.Done():
			return nil
		}
		for t := q.take(); t != nil && ctx.Err() == nil; t = q.take() {
			n.load(ctx, t, paced)
		}
	}
}

// load reads the lists of the critical kinds that are missing. A tenant of
// which the origin has none is let go: see [Node.forget].
func (n *Node) load(ctx context.Context, t *tenant, paced bool) {
	kinds, ok := t.loading()
	if !ok {
		return
	}
	a := attempt{began: n.Now(), generation: t.cache.Generation()}
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
	if paced {
		if err := n.resyncs.Wait(ctx); err != nil {
			return err
		}
	}
	err := t.cache.Load(ctx, k)
	if err != nil && ctx.Err() == nil && !errors.Is(err, cache.ErrAbsent) {
		n.metrics.failedLoads.Inc()
		n.log.Warn("a list could not be read, it will be repeated", "tenant", t.name, "kind", k.Name, "error", err)
	}
	return err
}

// caretakerInterval is the time between two looks at all tenants.
const caretakerInterval = time.Second

// runCaretaker lets go of idle tenants, repeats failed loads, and has loaded
// anew what is outdated.
func (n *Node) runCaretaker(ctx context.Context) error {
	ticker := time.NewTicker(caretakerInterval)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			n.tenants.Range(func(_ string, t *tenant) bool {
				n.look(t)
				return ctx.Err() == nil
			})
			n.strangers.sweep(now)
		case <-ctx.Done():
			return nil
		}
	}
}

func (n *Node) look(t *tenant) {
	switch now := n.Now(); {
	case t.cache.LastRead() > n.idleTimeout && !n.preload[t.name]:
		n.letGo(t)
	case t.retry(now), t.outdated(now, n.refreshAfter(t.name), n.critical):
		n.enqueue(t)
	}
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
