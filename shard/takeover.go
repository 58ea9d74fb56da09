package shard

import (
	"cmp"
	"slices"
	"time"
)

// givingTries is how often a node is asked for its entries of a tenant, as long as it
// breaks off.
const givingTries = 3

// move is what is known of a tenant that moves from node to node.
type move struct {
	began   time.Duration // since when its owners are asked to take it over; 0: they are not
	untaken time.Duration // since when none of them works on that; 0: one does
	last    time.Duration // when they were last asked
	taking  bool          // from a node that has more of a tenant that is live
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

// asked returns since how long the owners of a stray have been asked to take it over,
// and when they were last.
func (t *tenant) asked(now time.Duration) (since, last time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.move == nil || t.move.began == 0 {
		return 0, 0
	}
	return now - t.move.began, t.move.last
}

// untaken notes whether one of the owners that were asked works on a stray, and returns
// since how long none has.
func (t *tenant) untaken(now time.Duration, working bool) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.moving()
	m.began, m.last = cmp.Or(m.began, now), now
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
	holder := v.named(from)
	n.Hear(tenants)
	states := make([]State, len(tenants))
	for i, a := range tenants {
		t, ok := n.tenants.Load(a.Tenant)
		if !ok {
			continue
		}
		var todo *task
		if states[i], todo = t.takeOver(holder, v.audience, &a, n.sound(t)); todo != nil {
			n.moves.add(*todo)
		}
	}
	return states
}

// named returns the other member of a name; nil: there is none here yet.
func (v *view) named(name string) *Peer {
	for _, p := range v.alive {
		if p.Name == name {
			return &p
		}
	}
	return nil
}

// takeOver notes that another node holds the tenant, and returns where it is as far
// as that node is concerned, and what is to be queued for it. A live tenant is subscribing
// until it is sound, then loading until the node has been asked for its entries, if it has
// any besides. A node that is in doubt itself has nothing to give: any live tenant will do.
func (t *tenant) takeOver(holder *Peer, audience uint32, a *Activity, sound bool) (State, *task) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.moving()
	tried := m.try(holder, audience)
	switch taken := tried.times >= givingTries; {
	case t.state == Live && a.InDoubt:
	case t.state == Live && !sound:
		return Subscribing, nil
	case t.state == Live && !taken && !a.NothingMore:
		if m.taking {
			return Loading, nil
		}
		m.taking = true
		return Loading, &task{tenant: t, from: holder}
	case t.state < Live && t.retryAt != 0 && !taken && !a.InDoubt: // the origin did not give what that node has
		tried.times++
		t.retryAt = 0
		return t.state, &task{tenant: t}
	}
	return t.state, nil
}

// try returns that of a node; one that is not known cannot be asked. What was taken under
// another ring does not count: who held the tenant then may have read more since, and hand
// it over again.
func (m *move) try(holder *Peer, audience uint32) *try {
	if holder == nil {
		return &try{times: givingTries}
	}
	if m.audience != audience {
		m.audience, m.tries = audience, nil
	}
	at := slices.IndexFunc(m.tries, func(t try) bool { return t.holder == holder.ID })
	if at < 0 {
		at, m.tries = len(m.tries), append(m.tries, try{holder: holder.ID})
	}
	return &m.tries[at]
}

// took notes that a node was asked for its entries, and whether that ended well: what
// it did not give then, it does not have to give.
func (t *tenant) took(holder *Peer, audience uint32, well bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tried := t.moving().try(holder, audience)
	if tried.times++; well {
		tried.times = givingTries
	}
}

// tookOver ends what takeOver began for a live tenant.
func (t *tenant) tookOver() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.move.taking = false
}
