package cluster

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Bounds of what is remembered of members that are gone.
const (
	maxGone = 256
	keepFor = 24 * time.Hour
)

// roster is this node's picture of the cluster. memberlist's events, which
// come with its lock held, only change it and poke the watchers.
type roster struct {
	mu       sync.Mutex
	self     Member
	others   map[string]*other
	watchers []chan struct{}
}

type other struct {
	Member
	// doubted is set by a suspicion and taken back by the next answer.
	doubted bool
	// strangers counts probes in a row that another life than ID answered.
	strangers int
}

func newRoster(self *Member) *roster {
	return &roster{self: *self, others: make(map[string]*other)}
}

// members returns all, sorted by name.
func (r *roster) members() []Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget()
	all := make([]Member, 0, 1+len(r.others))
	all = append(all, r.self)
	for _, o := range r.others {
		all = append(all, o.Member)
	}
	slices.SortFunc(all, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// watch returns a channel that is poked at each change, and once to begin with.
func (r *roster) watch() <-chan struct{} {
	ch := make(chan struct{}, 1)
	ch <- struct{}{}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watchers = append(r.watchers, ch)
	return ch
}

// change calls f with the lock held, and pokes if it says that all changed.
func (r *roster) change(f func() bool) bool {
	r.mu.Lock()
	changed := f()
	watchers := r.watchers
	r.mu.Unlock()
	if changed {
		for _, ch := range watchers {
			poke(ch)
		}
	}
	return changed
}

func poke(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func (r *roster) selfMeta() Meta {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.self.Meta
}

// changeSelf returns whether f changed anything.
func (r *roster) changeSelf(f func(*Member)) bool {
	return r.change(func() bool {
		before := r.self
		f(&r.self)
		if r.self.State != before.State {
			r.self.Since = time.Now()
		}
		return r.self != before
	})
}

// alive takes over what an alive message said that memberlist accepted.
func (r *roster) alive(name string, at netip.AddrPort, meta *Meta) {
	r.change(func() bool {
		if name == r.self.Name {
			return false
		}
		o := r.others[name]
		if o == nil {
			o = &other{Member: Member{Name: name, Reach: Dead}}
			r.others[name] = o
		}
		before := o.Member
		o.Meta, o.GossipAddress, o.strangers = *meta, at, 0
		o.reached(Alive)
		if before.ID != o.ID || before.State != o.State {
			o.Since = time.Now()
		}
		return before != o.Member
	})
}

// gone takes over that memberlist has given a member up. It does not say
// whether the member left: that it was leaving does.
func (r *roster) gone(name string) (died bool) {
	r.seen(name, func(o *other) {
		o.strangers = 0
		if died = o.State != Leaving; died {
			o.reached(Dead)
		} else {
			o.reached(Left)
		}
	})
	return died
}

// suspect takes over that a probe of a member failed.
func (r *roster) suspect(name string) {
	r.seen(name, func(o *other) {
		o.doubted = true
		if o.Reach == Alive {
			o.reached(Suspect)
		}
	})
}

// objected takes over that somebody says that a suspect lives, in that life.
func (r *roster) objected(name string, id ID) {
	r.seen(name, func(o *other) {
		if o.Reach == Suspect && o.strangers == 0 && o.ID == id {
			o.reached(Alive)
		}
	})
}

// answered takes over that a member's address answered a probe, and in which
// life. memberlist compares only names: if it refuses what now runs there, it
// goes on probing it for the old one. The first answer of another life may
// have been overtaken by news of it; the second is a death. It returns whether
// the member was suspected since its last answer.
func (r *roster) answered(name string, id ID) (doubted bool) {
	r.seen(name, func(o *other) {
		if o.Reach.Gone() && o.strangers == 0 {
			return // a late answer of one that memberlist has given up
		}
		if id == (ID{}) || id == o.ID {
			doubted, o.doubted, o.strangers = o.doubted, false, 0
			o.reached(Alive)
			return
		}
		o.strangers++
		o.reached(min(Alive+Reach(o.strangers), Dead))
	})
	return doubted
}

// seen changes what is known of a member, if it is known.
func (r *roster) seen(name string, f func(*other)) {
	r.change(func() bool {
		o := r.others[name]
		if o == nil {
			return false
		}
		before := o.Reach
		f(o)
		return o.Reach != before
	})
}

func (o *other) reached(reach Reach) {
	if o.Reach != reach {
		o.Reach, o.Since = reach, time.Now()
	}
}

// forget drops those that are gone for long, and the oldest over the bound.
func (r *roster) forget() {
	maps.DeleteFunc(r.others, func(_ string, o *other) bool {
		return o.Reach.Gone() && time.Since(o.Since) > keepFor
	})
	if len(r.others) <= maxGone {
		return
	}
	var gone []*other
	for _, o := range r.others {
		if o.Reach.Gone() {
			gone = append(gone, o)
		}
	}
	slices.SortFunc(gone, func(a, b *other) int { return b.Since.Compare(a.Since) })
	for _, o := range gone[min(maxGone, len(gone)):] {
		delete(r.others, o.Name)
	}
}
