package shard

import (
	"slices"
	"time"
)

// move is what is known of a tenant that moves from node to node.
type move struct {
	began   time.Duration // since when its owners are asked to take it over; 0: they are not
	untaken time.Duration // since when none of them works on that; 0: one does
	// tries are by the nodes that were asked for their entries, under the ring of which
	// the audience is.
	tries    []try
	audience uint32
}

// try is how often a node, by its ID, was asked for its entries.
type try struct {
	holder string
	times  int
}

// moving returns the tenant's move, made if needed. Callers hold mu.
func (t *tenant) moving() *move {
	if t.move == nil {
		t.move = new(move)
	}
	return t.move
}

// stays notes that this node owns the tenant.
func (t *tenant) stays() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.move != nil {
		t.move.began, t.move.untaken = 0, 0
	}
}

// asked returns since how long the owners of a stray have been asked to take it over.
func (t *tenant) asked(now time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.move == nil || t.move.began == 0 {
		return 0
	}
	return now - t.move.began
}

// untaken notes whether one of the owners that were asked works on a stray, and returns
// since how long none has.
func (t *tenant) untaken(now time.Duration, working bool) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.moving()
	if m.began == 0 {
		m.began = now
	}
	switch {
	case working:
		m.untaken = 0
		return 0
	case m.untaken == 0:
		m.untaken = now
	}
	return now - m.untaken
}

// States returns where tenants are in their life on this node, in their order.
func (n *Node) States(tenants []string) []State {
	states := make([]State, len(tenants))
	for i, name := range tenants {
		states[i] = n.State(name)
	}
	return states
}

// TakeOver takes the word of another node, by its name, that it holds tenants that
// are owned here. They are activated here, and take over from it what they lack:
// a tenant that is live is told to be loading until it has, if there is anything, and
// to be subscribing as long as what is held of it is in doubt. What is not owned here is
// cold.
func (n *Node) TakeOver(from string, tenants []Activity) []State {
	v := n.view.Load()
	holder, known := v.named(from)
	n.Hear(tenants)
	states := make([]State, len(tenants))
	for i, a := range tenants {
		t, ok := n.tenants.Load(a.Tenant)
		if !ok {
			continue
		}
		if !known {
			states[i] = n.State(a.Tenant)
			continue
		}
		var todo *task
		if states[i], todo = t.takeOver(&holder, v.audience, &a, n.sound(t)); todo != nil {
			n.moves.add(*todo)
		}
	}
	return states
}

// named returns the other member of a name.
func (v *view) named(name string) (p Peer, ok bool) {
	for _, p := range v.alive {
		if p.Name == name {
			return p, true
		}
	}
	return p, false
}

// takeOver notes that another node holds the tenant, and returns where it is as far
// as that node is concerned, and what is to be queued for it. A live tenant is subscribing
// until it is sound, then loading until the node has been asked for its entries, if it has
// any besides.
// A node that is in doubt itself has nothing to give, and waits for nothing.
func (t *tenant) takeOver(holder *Peer, audience uint32, a *Activity, sound bool) (State, *task) {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.moving().taken(holder.ID, audience)
	switch {
	case t.state == Live && a.InDoubt:
	case t.state == Live && !sound:
		return Subscribing, nil
	case t.state == Live && !taken && !a.NothingMore:
		return Loading, t.queue(&task{tenant: t, from: holder})
	case t.retryAt != 0 && !taken: // the origin did not give what that node has
		t.retryAt, t.queued = 0, false
		return t.state, t.queue(&task{tenant: t})
	}
	return t.state, nil
}

// queue returns a task to be queued, nil if the tenant is in somebody's hands. Callers
// hold mu.
func (t *tenant) queue(todo *task) *task {
	if t.queued {
		return nil
	}
	t.queued = true
	return todo
}

// taken reports whether a node was asked for its entries, and gave them or broke off
// too often.
func (m *move) taken(holder string, audience uint32) bool {
	return m.try(holder, audience).times >= importTries
}

// try returns that of a node. What was taken under another ring does not count: who held
// the tenant then may have read more since, and hand it over again.
func (m *move) try(holder string, audience uint32) *try {
	if m.audience != audience {
		m.audience, m.tries = audience, nil
	}
	at := slices.IndexFunc(m.tries, func(t try) bool { return t.holder == holder })
	if at < 0 {
		at, m.tries = len(m.tries), append(m.tries, try{holder: holder})
	}
	return &m.tries[at]
}

// took notes that a node was asked for its entries, and whether that ended well: what
// it did not give then, it does not have to give.
func (t *tenant) took(holder string, audience uint32, well bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tried := t.moving().try(holder, audience)
	if tried.times++; well {
		tried.times = importTries
	}
}

// tookOver ends what takeOver began for a live tenant.
func (t *tenant) tookOver() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queued = false
}
