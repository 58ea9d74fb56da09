package shard

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Activity is when a tenant was read last.
type Activity struct {
	Tenant string
	Idle   time.Duration
}

// colleagues is how the node tells other nodes.
type colleagues interface {
	// Activity tells a node of tenants that were read here, at most
	// [MaxActivities]. It returns when that node knows.
	Activity(ctx context.Context, to Peer, tenants []Activity) error
}

// MaxActivities is how many tenants are told of at once.
const MaxActivities = 10_000

// Other owners hear within shareInterval of a tenant that became active, and of one
// that goes on being read every quarter of the idle time, or minute: so that they
// activate it together, and let it idle together. What could not be told is told
// again at the next look at all tenants, which is each shareLook, or quarter of the
// idle time.
const (
	shareInterval   = 200 * time.Millisecond
	shareLook       = 5 * time.Second
	shareTimeout    = 2 * time.Second
	shareMostSeldom = time.Minute
)

// parting is how long a tenant that is no longer owned is held for want of an
// owner that knows of it.
const parting = 5 * time.Second

// sharing is what other owners are to be told, and what they told too early.
type sharing struct {
	early early

	mu    sync.Mutex
	fresh []*tenant // became active by reads here
	all   bool      // the ring is another
	// posts are what each node is still to be told, by its ID. A node that is here
	// has a courier: it is told one word after another, and holds up no other node.
	posts map[string]*post
}

type post struct {
	to      Peer
	waiting []*tenant
}

// add notes that a tenant became active.
func (s *sharing) add(t *tenant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fresh = append(s.fresh, t)
}

// again notes that all tenants are to be looked at.
func (s *sharing) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = true
}

func (s *sharing) take() (fresh []*tenant, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh, all = s.fresh, s.all
	s.fresh, s.all = nil, false
	return fresh, all
}

// post adds to what a node is to be told, and reports whether it needs a courier.
func (s *sharing) post(what *post) (needed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.posts[what.to.ID]; p != nil {
		p.waiting = append(p.waiting, what.waiting...)
		return false
	}
	if s.posts == nil {
		s.posts = make(map[string]*post)
	}
	s.posts[what.to.ID] = what
	return true
}

// next takes what one word tells a node; after the last, its courier ends.
func (s *sharing) next(id string) []*tenant {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.posts[id]
	n := min(len(p.waiting), MaxActivities)
	if n == 0 {
		delete(s.posts, id)
		return nil
	}
	word := p.waiting[:n:n]
	p.waiting = p.waiting[n:]
	return word
}

// giveUp takes all that a node is still to be told. Its courier ends.
func (s *sharing) giveUp(id string) []*tenant {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.posts[id]
	delete(s.posts, id)
	return p.waiting
}

// shareActivity tells other owners of the tenants that are read here, until ctx
// ends, and lets go of those that only others own.
func (n *Node) shareActivity(ctx context.Context) error {
	var couriers sync.WaitGroup
	defer couriers.Wait()
	ticker := time.NewTicker(shareInterval)
	defer ticker.Stop()
	look, looked := min(shareLook, n.idleTimeout/4), n.Now()
	var strays []*tenant
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		fresh, all := n.sharing.take()
		if now := n.Now(); all || now-looked >= look {
			looked = now
			n.sharing.early.sweep(now)
			strays = n.shareAll(ctx, &couriers)
		} else if len(fresh) > 0 {
			n.share(ctx, &couriers, fresh)
		}
		strays = n.part(strays)
	}
}

// shareAll looks at all tenants, and returns those that only others own.
func (n *Node) shareAll(ctx context.Context, couriers *sync.WaitGroup) (strays []*tenant) {
	v, now := n.view.Load(), n.Now()
	var all []*tenant
	n.tenants.Range(func(_ string, t *tenant) bool {
		if all = append(all, t); t.strays(now, v.owns(t.name)) {
			strays = append(strays, t)
		}
		return true
	})
	n.share(ctx, couriers, all)
	return strays
}

// part lets go of the strays whose owners know of them, and returns the others.
func (n *Node) part(strays []*tenant) []*tenant {
	v, now := n.view.Load(), n.Now()
	return slices.DeleteFunc(strays, func(t *tenant) bool {
		if !t.strays(now, v.owns(t.name)) {
			return true
		}
		if !t.mayPart(now, v.audience) {
			return false
		}
		n.letGo(t)
		return true
	})
}

// share has each other owner told what it does not know yet, and waits for none.
func (n *Node) share(ctx context.Context, couriers *sync.WaitGroup, tenants []*tenant) {
	v := n.view.Load()
	if n.cluster == nil || v.ring == nil {
		return
	}
	for id, news := range n.newsOf(v, tenants) {
		if n.sharing.post(news) {
			couriers.Go(func() { n.deliver(ctx, news.to, id) })
		}
	}
}

// newsOf returns what there is to tell, by node, which is then being told.
func (n *Node) newsOf(v *view, tenants []*tenant) map[string]*post {
	all := make(map[string]*post)
	seldom := min(n.idleTimeout/4, shareMostSeldom)
	for _, t := range tenants {
		others := v.others(t.name)
		if !t.tellable(n.Now(), v.audience, seldom, len(others)) {
			continue
		}
		for _, to := range others {
			if all[to.ID] == nil {
				all[to.ID] = &post{to: to}
			}
			all[to.ID].waiting = append(all[to.ID].waiting, t)
		}
	}
	return all
}

// deliver tells a node all that there is to tell it, or as much as it takes.
func (n *Node) deliver(ctx context.Context, to Peer, id string) {
	for word := n.sharing.next(id); word != nil; word = n.sharing.next(id) {
		err := n.tell(ctx, to, word)
		if err != nil {
			word = append(word, n.sharing.giveUp(id)...)
			n.log.Debug("another owner could not be told of tenants, it will be tried again", "node", to.Name, "tenants", len(word), "error", err)
		}
		for _, t := range word {
			t.answered(err == nil)
		}
		if err != nil {
			return
		}
	}
}

func (n *Node) tell(ctx context.Context, to Peer, tenants []*tenant) error {
	ctx, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	list := make([]Activity, len(tenants))
	for i, t := range tenants {
		list[i] = Activity{t.name, t.cache.LastRead()}
	}
	return n.cluster.Colleagues.Activity(ctx, to, list)
}

// Hear takes the word of another owner that tenants are active there: those that
// are owned here are activated, and are as idle as there.
func (n *Node) Hear(list []Activity) {
	v, now := n.view.Load(), n.Now()
	var early []Activity
	for _, a := range list {
		switch {
		case a.Idle >= n.idleTimeout:
		case v.owns(a.Tenant):
			n.hear(a)
		default:
			early = append(early, a)
		}
	}
	n.sharing.early.add(early, now)
	if n.view.Load() != v {
		n.hearEarly() // the next ring came meanwhile, and found none of them
	}
}

func (n *Node) hear(a Activity) {
	t, ok := n.tenants.Load(a.Tenant)
	if !ok {
		t = n.activateHeard(a.Tenant, a.Idle)
	}
	if t != nil {
		t.cache.ReadElsewhere(a.Idle)
	}
}
