package shard

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

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
	c := &crew{T: t, mates: &mates{begun: time.Now(), nodes: map[string]*Node{}, way: map[string]time.Duration{}, broken: map[string]bool{}, down: map[string]bool{}}}
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

// loseBus has a node lose its bus, until that is heard again.
func (h *hand) loseBus() {
	h.bus.hush(true)
	h.bus.do(func() { h.node.Doubt(0, "connection") })
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
