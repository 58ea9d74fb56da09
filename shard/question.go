package shard

import (
	"context"
	"maps"
	"time"

	"golang.org/x/sync/errgroup"
)

// said is how many owners of a stray are live for it, and how many are about to be.
type said struct{ live, loading, subscribing int }

// patience is how long a stray is given for what its owners do.
func (s said) patience() time.Duration {
	switch {
	case s.loading > 0:
		return askPatience
	case s.subscribing > 0:
		return subscribePatience
	}
	return 0
}

// askOwners asks the owners of tenants, all at the same time.
func (p *parter) askOwners(ctx context.Context, v *view, tenants []*tenant) map[*tenant]said {
	questions := p.questions(v, tenants)
	var g errgroup.Group
	for _, q := range questions {
		g.Go(func() error { p.ask(ctx, q); return nil })
	}
	_ = g.Wait()
	all := make(map[*tenant]said)
	for id, q := range questions {
		if q.states == nil {
			p.silent[id] = p.Now()
		}
		for i, state := range q.states {
			s := all[q.about[i]]
			switch state {
			case Live:
				s.live++
			case Loading:
				s.loading++
			case Subscribing:
				s.subscribing++
			}
			all[q.about[i]] = s
		}
	}
	return all
}

// questions returns what the owners of tenants are to be asked, by their IDs.
func (p *parter) questions(v *view, tenants []*tenant) map[string]*question {
	maps.DeleteFunc(p.silent, func(_ string, since time.Duration) bool { return p.Now()-since >= askPause })
	questions := make(map[string]*question)
	for _, t := range tenants {
		for _, owner := range v.others(t.name) {
			if _, silent := p.silent[owner.ID]; silent {
				continue
			}
			if questions[owner.ID] == nil {
				questions[owner.ID] = &question{to: owner}
			}
			questions[owner.ID].about = append(questions[owner.ID].about, t)
		}
	}
	return questions
}

// question is what an owner is asked about, and its answer; nil: none.
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
		tenants[i].NothingMore, tenants[i].InDoubt = !t.cache.Keeps(n.unlisted), !n.sound(t)
	}
	states, err := n.cluster.Colleagues.States(ctx, q.to, tenants)
	if q.states = states; err != nil || len(states) != len(q.about) {
		q.states = nil
		n.log.Debug("an owner did not say what it has, it will be asked again", "node", q.to.Name, "tenants", len(q.about), "answers", len(states), "error", err)
	}
}

func activities(tenants []*tenant) []Activity {
	list := make([]Activity, len(tenants))
	for i, t := range tenants {
		list[i] = Activity{Tenant: t.name, Idle: t.cache.LastRead()}
	}
	return list
}
