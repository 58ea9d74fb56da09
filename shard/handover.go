package shard

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// A tenant that this node no longer owns is a stray. It is held, and reads that come
// here are answered from it, until each of its owners has been seen to be live for it:
// asked, not told, so that no lost word leaks a subscription. To ask is also to tell.
const (
	// askInterval is the time between two questions about a stray.
	askInterval = 100 * time.Millisecond
	// askAtOnce is how many strays are handed over at the same time, the most read
	// first.
	askAtOnce = 200
	// parting is how long owners are asked to take a stray, before it is let go of
	// untaken: one may be over its limits, say.
	parting = 30 * time.Second
)

// handOver hands over what this node no longer owns, until ctx ends.
func (n *Node) handOver(ctx context.Context) error {
	look := time.NewTicker(shareLook)
	defer look.Stop()
	ask := time.NewTicker(askInterval)
	defer ask.Stop()
	var strays []*tenant
	for {
		select {
		case <-n.strayed:
			strays = n.strays()
		case <-look.C:
			strays = n.strays()
		case <-ask.C:
			strays = n.part(ctx, strays)
		case <-ctx.Done():
			return nil
		}
	}
}

// strays returns the tenants that only others own, those first that are read most.
func (n *Node) strays() []*tenant {
	v := n.view.Load()
	return slices.DeleteFunc(n.held(), func(t *tenant) bool {
		owned := v.holds(t.name)
		if owned {
			t.stays()
		}
		return owned
	})
}

// part asks about the first strays, lets go of those that have been taken over, and
// returns the others.
func (n *Node) part(ctx context.Context, strays []*tenant) []*tenant {
	v := n.view.Load()
	asked := strays[:min(len(strays), askAtOnce)]
	taken := n.takers(ctx, v, asked)
	now, others := n.Now(), strays[len(asked):]
	asked = slices.DeleteFunc(asked, func(t *tenant) bool {
		switch owners := len(v.others(t.name)); {
		case v.holds(t.name) || !n.holdsNow(t):
			return true
		case owners > 0 && taken[t] >= owners:
			n.metrics.handoff(outcomeHandedOver)
		case t.asking(now) >= parting:
			n.metrics.handoff(outcomeGivenUp)
		default:
			return false
		}
		n.letGo(t)
		return true
	})
	return append(asked, others...)
}

// holdsNow reports whether an activation has not ended.
func (n *Node) holdsNow(t *tenant) bool {
	current, _ := n.tenants.Load(t.name)
	return current == t
}

// takers asks the owners of tenants, and returns how many are live for each.
func (n *Node) takers(ctx context.Context, v *view, tenants []*tenant) map[*tenant]int {
	questions := make(map[string]*question)
	for _, t := range tenants {
		for _, owner := range v.others(t.name) {
			if questions[owner.ID] == nil {
				questions[owner.ID] = &question{to: owner}
			}
			questions[owner.ID].about = append(questions[owner.ID].about, t)
		}
	}
	var g errgroup.Group
	for _, q := range questions {
		g.Go(func() error { n.ask(ctx, q); return nil })
	}
	_ = g.Wait()
	live := make(map[*tenant]int)
	for _, q := range questions {
		for i, s := range q.states {
			if s == Live {
				live[q.about[i]]++
			}
		}
	}
	return live
}

// question is what an owner is asked about, and its answer.
type question struct {
	to     Peer
	about  []*tenant
	states []State
}

// ask asks an owner; without an answer it is asked again.
func (n *Node) ask(ctx context.Context, q *question) {
	ctx, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	tenants := activities(q.about)
	for i, t := range q.about {
		tenants[i].NothingMore = !t.cache.Keeps(n.unlisted)
	}
	states, err := n.cluster.Colleagues.States(ctx, q.to, tenants)
	switch {
	case err == nil && len(states) == len(q.about):
		q.states = states
	case err != nil:
		n.log.Debug("an owner did not say what it has, it will be asked again", "node", q.to.Name, "tenants", len(q.about), "error", err)
	}
}

func activities(tenants []*tenant) []Activity {
	list := make([]Activity, len(tenants))
	for i, t := range tenants {
		list[i] = Activity{Tenant: t.name, Idle: t.cache.LastRead()}
	}
	return list
}

// HandedOver reports whether a node that leaves is done: no ring has it, and it holds
// nothing that another could take over.
func (n *Node) HandedOver() bool {
	v := n.view.Load()
	return !v.within && (v.ring == nil || n.Active() == 0)
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
// a tenant that is live is told to be loading until it has, if there is anything. What
// is not owned here is cold.
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
		var enqueue bool
		if states[i], enqueue = t.takeOver(holder.ID, v.audience, a.NothingMore); enqueue {
			n.moves.add(task{tenant: t, from: &holder})
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
