package shard

import (
	"context"
	"sync"
	"time"

	"github.com/tenantry/tenantry/cache"
)

// loaders is how many tenants are loaded at once. Each reads one list at a
// time, so this bounds the lists in flight; the origin reader's own limit
// leaves the larger part to reads that somebody waits for.
const loaders = 32

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

func (n *Node) runLoader(ctx context.Context) error {
	for {
		select {
		case <-n.queue.poke:
		case <-ctx.Done():
			return nil
		}
		for t := n.queue.take(); t != nil && ctx.Err() == nil; t = n.queue.take() {
			n.load(ctx, t)
		}
	}
}

// load reads the lists of the critical kinds that are missing.
func (n *Node) load(ctx context.Context, t *tenant) {
	want, kinds, again, ok := t.loading()
	if !ok {
		return
	}
	var failed []*cache.Kind
	for _, k := range kinds {
		if err := n.loadList(ctx, t, k, again); err != nil {
			failed = append(failed, k)
		}
	}
	if t.loaded(want, failed) {
		n.queue.add(t)
	}
}

// loadList reads one list. For a tenant that has been loaded before it keeps
// to the pace of resyncs.
func (n *Node) loadList(ctx context.Context, t *tenant, k *cache.Kind, again bool) error {
	if again {
		if err := n.resyncs.Wait(ctx); err != nil {
			return err
		}
	}
	err := t.cache.Load(ctx, k)
	if err != nil && ctx.Err() == nil {
		n.metrics.failedLoads.Inc()
		n.log.Warn("a list could not be read, it will be repeated", "tenant", t.name, "kind", k.Name, "error", err)
	}
	return err
}

// caretakerInterval is the time between two looks at all tenants.
const caretakerInterval = time.Second

// runCaretaker repeats failed loads and lets go of idle tenants.
func (n *Node) runCaretaker(ctx context.Context) error {
	ticker := time.NewTicker(caretakerInterval)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			n.tenants.Range(func(_ string, t *tenant) bool {
				n.look(t, now)
				return ctx.Err() == nil
			})
		case <-ctx.Done():
			return nil
		}
	}
}

func (n *Node) look(t *tenant, now time.Time) {
	switch {
	case t.cache.LastRead() > n.idleTimeout && !n.preload[t.name]:
		n.letGo(t)
	case t.retry(now):
		n.queue.add(t)
	}
}
