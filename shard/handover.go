package shard

import (
	"cmp"
	"context"
	"slices"
	"time"
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
	// subscribePatience is how long a stray that its owners subscribe keeps its place among
	// those, askPatience how long one that they load. One that none of them takes, or too
	// slowly, makes room for others.
	subscribePatience = time.Second
	askPatience       = 5 * time.Second
	// askPause is how long an owner that gave no answer is left alone: it may be frozen,
	// and to wait for it holds up what others own.
	askPause = 2 * time.Second
	// parting is how long owners are asked to take a stray that none of them works on,
	// before it is let go of untaken: one may be over its limits, say.
	parting = 30 * time.Second
)

// parter hands over the strays of a node.
type parter struct {
	*Node
	strays []*tenant
	silent map[string]time.Duration // owners that gave no answer, by ID, and when
}

// handOver hands over what this node no longer owns, until ctx ends.
func (n *Node) handOver(ctx context.Context) error {
	look := time.NewTicker(shareLook)
	defer look.Stop()
	ask := time.NewTicker(askInterval)
	defer ask.Stop()
	p := parter{Node: n, silent: make(map[string]time.Duration)}
	for {
		select {
		case <-n.strayed:
			p.collect()
		case <-look.C:
			p.collect()
		case <-ask.C:
			p.part(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// collect finds the tenants that only others own, those first that are read most, and
// those last that their owners have been asked to take for long, in turn.
func (p *parter) collect() {
	v, now := p.view.Load(), p.Now()
	var late []*tenant
	last := make(map[*tenant]time.Duration)
	p.strays = nil
	for _, t := range p.held() {
		since, at := t.asked(now)
		switch {
		case v.holds(t.name):
			t.stays()
		case since >= askPatience:
			late, last[t] = append(late, t), at
		default:
			p.strays = append(p.strays, t)
		}
	}
	slices.SortStableFunc(late, func(a, b *tenant) int { return cmp.Compare(last[a], last[b]) })
	p.strays = append(p.strays, late...)
}

// part asks about the first strays, and lets go of those that have been taken over. Of
// the others, those that their owners work on are asked about next, as far as that leaves
// half of the places, and the rest when all have been.
func (p *parter) part(ctx context.Context) {
	v := p.view.Load()
	asked, others := p.strays[:min(len(p.strays), askAtOnce)], p.strays[min(len(p.strays), askAtOnce):]
	now := p.Now()
	said := p.askOwners(ctx, v, asked)
	var front, back []*tenant
	for _, t := range asked {
		since, _ := t.asked(now)
		switch s := said[t]; {
		case v.holds(t.name) || !p.holdsNow(t) || p.done(t, len(v.others(t.name)), s, now):
		case since < s.patience() && len(front) < askAtOnce/2:
			front = append(front, t)
		default:
			back = append(back, t)
		}
	}
	p.strays = slices.Concat(front, others, back)
}

// done lets go of a stray that its owners have taken over, or that none of them takes,
// and reports whether it has.
func (p *parter) done(t *tenant, owners int, s said, now time.Duration) bool {
	switch waited := t.untaken(now, s.loading+s.subscribing > 0); {
	case owners > 0 && s.live >= owners:
		p.metrics.handoff(outcomeHandedOver)
	case waited >= parting:
		p.metrics.handoff(outcomeGivenUp)
	default:
		return false
	}
	p.letGo(t)
	return true
}

// holdsNow reports whether an activation has not ended.
func (n *Node) holdsNow(t *tenant) bool {
	current, _ := n.tenants.Load(t.name)
	return current == t
}

// HandedOver reports whether a node that leaves is done: no ring has it, and it holds
// nothing that another could take over.
func (n *Node) HandedOver() bool {
	v := n.view.Load()
	return !v.within && (v.ring == nil || n.Active() == 0)
}
