package shard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/shard/ring"
)

// fakeMembers are what one node sees of the cluster.
type fakeMembers struct {
	changed chan struct{}

	mu    sync.Mutex
	alive []Peer
}

func newFakeMembers() *fakeMembers {
	m := &fakeMembers{changed: make(chan struct{}, 1)}
	m.changed <- struct{}{} // as the cluster does to begin with
	return m
}

func (m *fakeMembers) Alive() []Peer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.alive)
}

func (m *fakeMembers) Changed() <-chan struct{} { return m.changed }

// set has the members be these, all of them ready.
func (m *fakeMembers) set(ready ...Peer) {
	ready = slices.Clone(ready)
	for i := range ready {
		ready[i].Ready = true
	}
	m.be(ready...)
}

// be has the members be these.
func (m *fakeMembers) be(alive ...Peer) {
	m.mu.Lock()
	m.alive = slices.Clone(alive)
	m.mu.Unlock()
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// telling is one word to another owner.
type telling struct {
	from, to string
	tenants  []Activity
	at       time.Duration // since the crew began
}

// mates carries the words of one crew.
type mates struct {
	begun time.Time

	mu    sync.Mutex
	nodes map[string]*Node         // by ID
	way   map[string]time.Duration // to a node, by ID; < 0: nothing arrives
	told  []telling
	// exports are those so far, as "n1 of n2 tenant"; from those that are broken, none
	// comes whole.
	exports []string
	broken  map[string]bool
}

var errNoWay = errors.New("no way there")

// sender is the colleagues of one node.
type sender struct {
	*mates
	name string
}

func (s sender) Activity(ctx context.Context, to Peer, tenants []Activity) error {
	s.mu.Lock()
	s.told = append(s.told, telling{s.name, to.Name, tenants, time.Since(s.begun)})
	s.mu.Unlock()
	node, err := s.reach(ctx, to)
	if err == nil {
		node.Hear(tenants)
	}
	return err
}

func (s sender) States(ctx context.Context, to Peer, tenants []Activity) ([]State, error) {
	node, err := s.reach(ctx, to)
	if err != nil {
		return nil, err
	}
	return node.TakeOver(s.name, tenants), nil
}

func (s sender) Tenants(ctx context.Context, of Peer, page func([]Activity)) error {
	node, err := s.reach(ctx, of)
	if err != nil {
		return err
	}
	return node.Tenants(func(tenants []Activity) error { page(tenants); return nil })
}

func (s sender) Export(ctx context.Context, from Peer, tenant string, kinds []*cache.Kind, keep func(*cache.Kind, []cache.Handed) error) (cache.End, error) {
	stalled, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	node, err := s.reach(stalled, from)
	if err != nil {
		return cache.End{}, err
	}
	s.mu.Lock()
	s.exports = append(s.exports, s.name+" of "+from.Name+" "+tenant)
	broken := s.broken[from.ID]
	s.mu.Unlock()
	wanted := make([]Definition, len(kinds))
	for i, k := range kinds {
		wanted[i] = Definition{k.Name, k.Definition}
	}
	end, err := node.Export(ctx, tenant, wanted, 1000, receiver{kinds, keep})
	if broken && err == nil {
		err = errNoWay
	}
	// The kinds are the receiver's own.
	for i, w := range end.Whole {
		end.Whole[i].Kind = named(kinds, w.Kind.Name)
	}
	for i, k := range end.Kinds {
		end.Kinds[i] = named(kinds, k.Name)
	}
	return end, err
}

// receiver is keep as an export sees it.
type receiver struct {
	kinds []*cache.Kind
	keep  func(*cache.Kind, []cache.Handed) error
}

func (r receiver) Begin([]*cache.Kind) error { return nil }

func (r receiver) Page(k *cache.Kind, entries []cache.Handed) error {
	return r.keep(named(r.kinds, k.Name), entries)
}

func named(kinds []*cache.Kind, name string) *cache.Kind {
	return kinds[slices.IndexFunc(kinds, func(k *cache.Kind) bool { return k.Name == name })]
}

// reach returns the node that a call reaches, when it has.
func (s sender) reach(ctx context.Context, to Peer) (*Node, error) {
	s.mu.Lock()
	node, way := s.nodes[to.ID], s.way[to.ID]
	s.mu.Unlock()
	switch {
	case node == nil:
		return nil, errNoWay
	case way < 0:
		<-ctx.Done()
		return nil, ctx.Err()
	case way == 0:
		return node, ctx.Err()
	}
	select {
	case <-time.After(way):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return node, nil
}

// words returns what was told so far and forgets it.
func (m *mates) words() []telling { return taken(m, &m.told) }

// exported returns the exports so far and forgets them.
func (m *mates) exported() []string { return taken(m, &m.exports) }

func taken[T any](m *mates, list *[]T) []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := *list
	*list = nil
	return all
}

func (m *mates) delay(id string, way time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.way[id] = way
}

// unplug takes a node off, so that whoever tells it is refused at once.
func (m *mates) unplug(id string) (plug func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	node := m.nodes[id]
	delete(m.nodes, id)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.nodes[id] = node
	}
}

// hand is a node of a crew.
type hand struct {
	*rig
	peer    Peer
	members *fakeMembers
}

// crew is nodes n1, n2, … in one bubble, of which all have the same members to
// begin with.
type crew struct {
	*testing.T
	mates *mates
	rings *ring.Shared
	hands []*hand
}

func peerOf(i int) Peer {
	name := fmt.Sprint("n", i)
	return Peer{ID: name + "-1", Name: name, URL: "http://" + name, BusLive: true}
}

// crewRing is small, and so quick to build.
var crewRing = ring.Settings{Partitions: 271, VirtualNodes: 20, Load: 1.25, Replicas: 2}

// crewInBubble runs a test on nodes that run, and ends them.
func crewInBubble(t *testing.T, size int, cfg Config, test func(c *crew)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, crewRing)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var ended []<-chan struct{}
		for i := range size {
			c.add(peerOf(i+1), cfg)
		}
		c.see(c.hands...)
		for _, h := range c.hands {
			ended = append(ended, h.start(ctx))
		}
		synctest.Wait()
		test(c)
		cancel()
		for i, h := range c.hands {
			<-ended[i]
			h.checkNothingIsLeft()
		}
	})
}

func newCrew(t *testing.T, settings ring.Settings) *crew {
	c := &crew{T: t, mates: &mates{begun: time.Now(), nodes: map[string]*Node{}, way: map[string]time.Duration{}, broken: map[string]bool{}}}
	var err error
	if c.rings, err = ring.NewShared(settings); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *crew) add(p Peer, cfg Config) *hand {
	h := &hand{rig: newRig(c.T, cfg), peer: p, members: newFakeMembers()}
	h.node.Join(Cluster{Self: p.Name, Members: h.members, Rings: c.rings, Colleagues: sender{c.mates, p.Name}})
	h.node.met.Store(true)
	c.mates.mu.Lock()
	defer c.mates.mu.Unlock()
	c.mates.nodes[p.ID] = h.node
	c.hands = append(c.hands, h)
	return h
}

// warm has a node be as one that found nothing to warm.
func (h *hand) warm() { h.node.warm.Store(true) }

// start runs a node until ctx ends.
func (h *hand) start(ctx context.Context) (ended <-chan struct{}) {
	done := make(chan struct{})
	around, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { h.bus.run(around) })
	running.Go(func() { _ = h.node.cache.Run(around) })
	go func() {
		defer close(done)
		_ = h.node.Run(ctx)
		stop()
		running.Wait()
	}()
	return done
}

// see has every node see these members.
func (c *crew) see(members ...*hand) {
	for _, h := range c.hands {
		h.see(members...)
	}
}

func (h *hand) see(members ...*hand) {
	ready := make([]Peer, len(members))
	for i, m := range members {
		ready[i] = m.peer
	}
	h.members.set(ready...)
}

// owners returns the names of a tenant's owners among members, the primary first.
func (c *crew) owners(tenant string, members ...*hand) []string {
	ready := make([]Peer, len(members))
	for i, m := range members {
		ready[i] = m.peer
	}
	r, err := c.rings.Ring(c.Context(), ringMembers(ready))
	if err != nil {
		c.Fatal(err)
	}
	return r.Names(r.Lookup(tenant))
}

// tenant finds a tenant of which the condition holds.
func (c *crew) tenant(what string, holds func(name string) bool) string {
	for i := range 100_000 {
		if name := fmt.Sprint("t", i); holds(name) {
			return name
		}
	}
	c.Fatalf("no tenant %s", what)
	return ""
}

// active returns which nodes have a tenant active.
func (c *crew) active(tenant string) (names []string) {
	for _, h := range c.hands {
		if h.node.State(tenant) != Cold {
			names = append(names, h.peer.Name)
		}
	}
	return names
}

// heldByOwners checks that the tenants are active on their owners, and nowhere else,
// and followed where they are active.
func (c *crew) heldByOwners(tenants []string, members ...*hand) {
	c.Helper()
	for _, tenant := range tenants {
		if diff := cmp.Diff(sorted(c.owners(tenant, members...)), c.active(tenant)); diff != "" {
			c.Errorf("%s is active elsewhere (-owners +active):\n%s", tenant, diff)
		}
	}
	for _, h := range c.hands {
		h.checkFollowed()
	}
}

func sorted(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return names
}

func (c *crew) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// within waits for at most d, and returns how long it was.
func (c *crew) within(d time.Duration, what string, ok func() bool) time.Duration {
	c.Helper()
	begun := time.Now()
	for !ok() {
		if time.Since(begun) > d {
			c.Fatalf("not within %v: %s", d, what)
		}
		c.wait(10 * time.Millisecond)
	}
	return time.Since(begun)
}

func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint("t", i)
	}
	return all
}
