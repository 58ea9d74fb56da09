package shard

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tenantry/tenantry/cache"
)

// Activity is when a tenant was read last.
type Activity struct {
	Tenant string
	Idle   time.Duration
	// NothingMore says, to an owner that is to take the tenant over, that the holder has
	// no entry of a kind that the origin does not list: one that is live lacks nothing.
	NothingMore bool
	// InDoubt says, to such an owner, that the holder cannot hand the tenant over: what
	// it has is in doubt, or its bus lost.
	InDoubt bool
}

// colleagues is how the node tells and asks other nodes.
type colleagues interface {
	// Activity tells a node of tenants that were read here, at most
	// [MaxActivities]. It returns when that node knows.
	Activity(ctx context.Context, to Peer, tenants []Activity) error
	// States tells a node of tenants that are held here, at most [MaxActivities], and
	// that it owns; see [Node.TakeOver]. It returns where they are in their life there.
	States(ctx context.Context, to Peer, tenants []Activity) ([]State, error)
	// Tenants gives all tenants that are active on a node, page by page, the most read
	// first.
	Tenants(ctx context.Context, of Peer, page func([]Activity)) error
	// Export asks a node for what it holds of a tenant; see [Node.Export]. A node that
	// sends nothing for a while has broken off.
	Export(ctx context.Context, from Peer, tenant string, kinds []*cache.Kind, keep func(*cache.Kind, []cache.Handed) error) (cache.End, error)
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
// ends. Who owns what this node no longer does is told by [Node.handOver].
func (n *Node) shareActivity(ctx context.Context) error {
	var couriers sync.WaitGroup
	defer couriers.Wait()
	ticker := time.NewTicker(shareInterval)
	defer ticker.Stop()
	look, looked := min(shareLook, n.idleTimeout/4), n.Now()
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
			n.share(ctx, &couriers, n.held())
		} else if len(fresh) > 0 {
			n.share(ctx, &couriers, fresh)
		}
	}
}

// held returns the active tenants, those first that were read most.
func (n *Node) held() []*tenant {
	var all []*tenant
	n.tenants.Range(func(_ string, t *tenant) bool {
		all = append(all, t)
		return true
	})
	return hottest(all)
}

// hottest sorts tenants by their reads, the most first.
func hottest(tenants []*tenant) []*tenant {
	reads := make(map[*tenant]uint64, len(tenants))
	for _, t := range tenants {
		reads[t] = t.cache.Reads()
	}
	slices.SortFunc(tenants, func(a, b *tenant) int { return cmp.Compare(reads[b], reads[a]) })
	return tenants
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
		if !v.holds(t.name) || !t.tellable(n.Now(), v.audience, seldom, len(others)) {
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
	return n.cluster.Colleagues.Activity(ctx, to, activities(tenants))
}

// Hear takes the word of another owner that tenants are active there: those that
// are owned here are activated, and are as idle as there.
func (n *Node) Hear(list []Activity) {
	v, met := n.view.Load(), n.knowsOthers()
	var early []Activity
	for _, a := range list {
		switch {
		case a.Idle >= n.idleTimeout:
		case met && v.holds(a.Tenant):
			n.hear(a)
		default:
			early = append(early, a)
		}
	}
	n.sharing.early.add(early, n.Now())
	if n.view.Load() != v || !met && n.knowsOthers() {
		n.hearEarly() // what makes them count came meanwhile, and found none of them
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
