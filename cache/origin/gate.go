package origin

import (
	"container/list"
	"context"
	"errors"
	"sync"
)

var errQueueFull = errors.New("too many reads wait for the origin")

// gate bounds the reads in flight, in all and of each tenant, and those that
// wait for them. Tenants with waiters take turns; the reads of one tenant are
// served in the order in which they came. It knows only tenants that have reads
// in flight or waiting.
//
// While a slot is free, no tenant in turns has a waiter: whoever comes then and
// is below the tenant's own limit overtakes nobody.
type gate struct {
	maxWaiting       int
	maxTenantWaiting int

	mu      sync.Mutex
	free    int
	waiting int
	tenants map[string]*queue
	turns   list.List // of the *queue that have a waiter and are below their limit
}

// queue is the reads of one tenant.
type queue struct {
	tenant   string
	limit    int
	inFlight int
	waiters  list.List     // of chan struct{}, closed to let the read in
	turn     *list.Element // in gate.turns, nil if not there
}

func newGate(slots, maxWaiting, maxTenantWaiting int) *gate {
	return &gate{free: slots, maxWaiting: maxWaiting, maxTenantWaiting: maxTenantWaiting, tenants: make(map[string]*queue)}
}

// enter waits for a slot until ctx ends; errQueueFull comes at once. The
// tenant's reads in flight are at most limit from now on.
func (g *gate) enter(ctx context.Context, tenant string, limit int) error {
	q, place, err := g.line(tenant, limit)
	if place == nil {
		return err
	}
	admitted := place.Value.(chan struct{})
	select {
	case <-admitted:
		return nil
	case <-ctx.Done():
		g.giveUp(q, place)
		return context.Cause(ctx)
	}
}

// line takes a slot, or a place in the queue where there is none.
func (g *gate) line(tenant string, limit int) (q *queue, place *list.Element, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if q = g.tenants[tenant]; q == nil {
		q = &queue{tenant: tenant}
		g.tenants[tenant] = q
	}
	q.limit = limit
	defer g.settle(q)
	switch {
	case g.free > 0 && q.inFlight < q.limit && q.waiters.Len() == 0:
		g.free--
		q.inFlight++
		return q, nil, nil
	case g.waiting >= g.maxWaiting || q.waiters.Len() >= g.maxTenantWaiting:
		return q, nil, errQueueFull
	}
	g.waiting++
	return q, q.waiters.PushBack(make(chan struct{})), nil
}

// giveUp leaves the queue, or gives back the slot that came at the same moment.
func (g *gate) giveUp(q *queue, place *list.Element) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-place.Value.(chan struct{}):
		g.free++
		q.inFlight--
	default:
		g.waiting--
		q.waiters.Remove(place)
	}
	g.settle(q)
}

// leave gives a slot back.
func (g *gate) leave(tenant string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	q := g.tenants[tenant]
	g.free++
	q.inFlight--
	g.settle(q)
}

// settle lets waiters in after a change of q. Callers hold mu.
func (g *gate) settle(q *queue) {
	g.place(q)
	for g.free > 0 && g.turns.Len() > 0 {
		next := g.turns.Front().Value.(*queue)
		g.turns.Remove(next.turn)
		next.turn = nil
		g.admit(next)
		g.place(next)
	}
}

// admit lets the first waiter in. Callers hold mu.
func (g *gate) admit(q *queue) {
	g.free--
	g.waiting--
	q.inFlight++
	close(q.waiters.Remove(q.waiters.Front()).(chan struct{}))
}

// place puts q into the turns or takes it out, as its state has it, and forgets
// it when nothing is left of it. Callers hold mu.
func (g *gate) place(q *queue) {
	ready := q.waiters.Len() > 0 && q.inFlight < q.limit
	switch {
	case ready && q.turn == nil:
		q.turn = g.turns.PushBack(q)
	case !ready && q.turn != nil:
		g.turns.Remove(q.turn)
		q.turn = nil
	}
	if q.inFlight == 0 && q.waiters.Len() == 0 {
		delete(g.tenants, q.tenant)
	}
}

// queued returns how many reads wait.
func (g *gate) queued() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting
}
