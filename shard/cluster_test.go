package shard

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/shard/ring"
	"github.com/tenantry/tenantry/subscriber"
)

// fakeMembers are what one node sees of the cluster.
type fakeMembers struct {
	changed chan struct{}

	mu    sync.Mutex
	ready []Peer
}

func newFakeMembers() *fakeMembers {
	m := &fakeMembers{changed: make(chan struct{}, 1)}
	m.changed <- struct{}{} // as the cluster does to begin with
	return m
}

func (m *fakeMembers) Ready() []Peer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.ready)
}

func (m *fakeMembers) Changed() <-chan struct{} { return m.changed }

func (m *fakeMembers) set(ready ...Peer) {
	m.mu.Lock()
	m.ready = slices.Clone(ready)
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
}

var errNoWay = errors.New("no way there")

// sender is the colleagues of one node.
type sender struct {
	*mates
	name string
}

func (s sender) Activity(ctx context.Context, to Peer, tenants []Activity) error {
	s.mu.Lock()
	node, way := s.nodes[to.ID], s.way[to.ID]
	s.told = append(s.told, telling{s.name, to.Name, tenants, time.Since(s.begun)})
	s.mu.Unlock()
	switch {
	case node == nil:
		return errNoWay
	case way < 0:
		<-ctx.Done()
		return ctx.Err()
	}
	select {
	case <-time.After(way):
	case <-ctx.Done():
		return ctx.Err()
	}
	node.Hear(tenants)
	return nil
}

// words returns what was told so far and forgets it.
func (m *mates) words() []telling {
	m.mu.Lock()
	defer m.mu.Unlock()
	told := m.told
	m.told = nil
	return told
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

// inCrew runs a test on nodes that run, and ends them.
func inCrew(t *testing.T, size int, cfg Config, test func(c *crew)) {
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
	c := &crew{T: t, mates: &mates{begun: time.Now(), nodes: map[string]*Node{}, way: map[string]time.Duration{}}}
	var err error
	if c.rings, err = ring.NewShared(settings); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *crew) add(p Peer, cfg Config) *hand {
	h := &hand{rig: newRig(c.T, cfg), peer: p, members: newFakeMembers()}
	h.node.Join(Cluster{Self: p.Name, Members: h.members, Rings: c.rings, Colleagues: sender{c.mates, p.Name}})
	c.mates.mu.Lock()
	defer c.mates.mu.Unlock()
	c.mates.nodes[p.ID] = h.node
	c.hands = append(c.hands, h)
	return h
}

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

func TestANodeOwnsWhatTheRingGivesIt(t *testing.T) {
	inCrew(t, 4, Config{}, func(c *crew) {
		all, outside := c.hands[:3], c.hands[3]
		outside.see(all...)
		c.see(all...)
		c.wait(time.Second)
		count := map[string]int{}
		for _, tenant := range names(300) {
			owners := c.owners(tenant, all...)
			for _, h := range c.hands {
				at := slices.Index(owners, h.peer.Name)
				if h.node.Owns(tenant) != (at >= 0) {
					c.Fatalf("%s says that it owns %s: %v, owners are %v", h.peer.Name, tenant, h.node.Owns(tenant), owners)
				}
				var others, want []string
				for _, p := range h.node.Others(tenant) {
					others = append(others, p.Name)
				}
				for _, name := range owners {
					if name != h.peer.Name {
						want = append(want, name)
					}
				}
				if !slices.Equal(others, want) {
					c.Fatalf("%s: the others of %s are %v, want %v", h.peer.Name, tenant, others, want)
				}
				if at == 0 {
					count[h.peer.Name]++
				}
			}
		}
		for _, h := range all {
			if n := count[h.peer.Name]; n < 70 || n > 135 || !h.node.Within() || len(h.node.Peers()) != 2 {
				t.Errorf("%s is the primary of %d of 300 tenants, within the ring: %v, peers %v", h.peer.Name, n, h.node.Within(), h.node.Peers())
			}
		}
		if outside.node.Within() || len(outside.node.Peers()) != 3 || outside.node.Epoch() != all[0].node.Epoch() {
			t.Errorf("outside: within %v, peers %v", outside.node.Within(), outside.node.Peers())
		}
	})
}

// Without any member that owns tenants a node serves everything: ownership is
// advice (C8).
func TestWithoutARingANodeOwnsEverything(t *testing.T) {
	inCrew(t, 1, Config{}, func(c *crew) {
		h := c.hands[0]
		h.see()
		c.wait(time.Second)
		r, members, _ := h.node.Ring()
		if !h.node.Owns("t1") || h.node.Others("t1") != nil || r != nil || members != nil || h.node.Epoch() != 0 {
			t.Error("there is a ring without members")
		}
		h.want("t1", "cost", "a", "1 fresh origin")
		c.wait(time.Second)
		h.wantState("t1", Live)
	})
}

// Reads of what others own are answered by the origin each time, and leave nothing.
func TestWhatOthersOwnIsReadThrough(t *testing.T) {
	inCrew(t, 3, Config{}, func(c *crew) {
		c.wait(time.Second)
		first := c.hands[0]
		tenant := c.tenant("of others", func(name string) bool { return !slices.Contains(c.owners(name, c.hands...), "n1") })
		for range 5 {
			first.want(tenant, "cost", "a", "1 fresh origin")
			first.want(tenant, "user", "u", "1 fresh origin")
			first.want(tenant, "cost", "none", "absent fresh origin")
			if _, ok, err := first.node.Recall(tenant, "cost", "a", cache.ReadOptions{}); ok || err != nil {
				t.Errorf("recalled %v, %v", ok, err)
			}
		}
		c.wait(10 * time.Second)
		if n := first.origin.reads(); n != 15 {
			t.Errorf("%d reads of the origin, want 15", n)
		}
		if lists := first.origin.listed(); lists != nil {
			t.Errorf("lists %v", lists)
		}
		first.checkNothingIsLeft()
		if words := c.mates.words(); words != nil {
			t.Errorf("told %v", words)
		}
	})
}

// Whatever is read where and however the members change meanwhile: in the end each
// node holds and follows what it owns, and nothing else.
func TestActivationsBesideChangesOfTheRing(t *testing.T) {
	cfg := Config{ActivationsPerSecond: 1_000_000, IdleTimeout: time.Hour}
	inCrew(t, 4, cfg, func(c *crew) {
		all := names(200)
		var busy sync.WaitGroup
		ctx, cancel := context.WithCancel(c.Context())
		for range 8 {
			busy.Go(func() {
				for ctx.Err() == nil {
					h := c.hands[rand.IntN(len(c.hands))]
					_, _ = h.node.Read(ctx, all[rand.IntN(len(all))], "cost", "a", cache.ReadOptions{})
					time.Sleep(rand.N(10 * time.Millisecond))
				}
			})
		}
		busy.Go(func() {
			for ctx.Err() == nil {
				h, tenant := c.hands[rand.IntN(len(c.hands))], all[rand.IntN(len(all))]
				h.bus.do(func() { h.node.Event(&subscriber.Event{Tenant: tenant, TenantDeleted: true}) })
				time.Sleep(rand.N(20 * time.Millisecond))
			}
		})
		for range 40 {
			some := slices.Clone(c.hands)
			rand.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
			for _, h := range c.hands { // not all hear at once
				h.see(some[:1+rand.IntN(len(some))]...)
				time.Sleep(rand.N(100 * time.Millisecond))
			}
			time.Sleep(rand.N(400 * time.Millisecond))
		}
		cancel()
		busy.Wait()
		c.see(c.hands[2:]...) // so that the next is another ring for all
		c.wait(2 * time.Second)
		c.see(c.hands[:3]...)
		c.wait(20 * time.Second)
		held := 0
		for _, h := range c.hands {
			h.checkFollowed()
			h.node.tenants.Range(func(tenant string, _ *tenant) bool {
				if held++; !h.node.Owns(tenant) {
					t.Errorf("%s holds %s, which it does not own", h.peer.Name, tenant)
				}
				return true
			})
		}
		if n := c.hands[3].node.Active(); n != 0 {
			t.Errorf("a node that is not in the ring holds %d tenants", n)
		}
		var active []string
		for _, tenant := range all {
			if len(c.active(tenant)) > 0 {
				active = append(active, tenant)
			}
		}
		if len(active) < 150 {
			t.Errorf("%d of 200 tenants are active", len(active))
		}
		c.heldByOwners(active, c.hands[:3]...)
	})
}

// A node holds those of the tenants to preload that it owns, at the start and after
// each change; while it has no place in a ring, none.
func TestOnlyWhatIsOwnedIsPreloaded(t *testing.T) {
	all := names(100)
	inCrew(t, 3, Config{Preload: all, IdleTimeout: time.Minute}, func(c *crew) {
		c.wait(3 * time.Second)
		c.heldByOwners(all, c.hands...)
		for _, h := range c.hands {
			for _, l := range h.origin.listed() {
				if !slices.Contains(c.owners(l.tenant, c.hands...), h.peer.Name) {
					c.Fatalf("%s read the lists of %s, which it does not own", h.peer.Name, l.tenant)
				}
			}
		}
		c.see(c.hands[:2]...)
		c.wait(15 * time.Second)
		c.heldByOwners(all, c.hands[:2]...)
		c.see(c.hands...)
		c.wait(15 * time.Second)
		c.heldByOwners(all, c.hands...)
		c.wait(10 * time.Minute) // they are never idle
		c.heldByOwners(all, c.hands...)
	})
}

func TestNothingIsPreloadedBeforeThereIsARing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, crewRing)
		h := c.add(peerOf(1), Config{Preload: names(10)})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := h.start(ctx)
		c.wait(10 * time.Second)
		if n := h.node.Active(); n != 0 {
			t.Errorf("%d tenants are active", n)
		}
		h.see(h)
		c.wait(time.Second)
		if n := h.node.Active(); n != 10 {
			t.Errorf("%d tenants are active, want 10", n)
		}
		cancel()
		<-ended
	})
}

func TestReadinessInACluster(t *testing.T) {
	inCrew(t, 2, Config{}, func(c *crew) {
		h, other := c.hands[0], c.hands[1]
		check := func(ready bool, reasons, degraded []string) {
			t.Helper()
			gotReady, gotReasons, gotDegraded := h.node.Readiness()
			if gotReady != ready || !slices.Equal(gotReasons, reasons) || !slices.Equal(gotDegraded, degraded) {
				t.Errorf("%v, reasons %q, degraded %q", gotReady, gotReasons, gotDegraded)
			}
		}
		bus := func(live bool) {
			h.bus.mu.Lock()
			defer h.bus.mu.Unlock()
			h.bus.status = subscriber.ConnStatus{Live: live, Since: time.Now()}
		}
		othersBus := func(live bool) {
			other.peer.BusLive = live
			c.see(c.hands...)
		}
		const lost = "bus connection 0 is not live"
		c.wait(time.Second)
		check(true, nil, nil)
		c.see(other)
		c.wait(time.Second)
		check(false, []string{"not in the ring yet"}, nil)
		c.see(c.hands...)
		c.wait(time.Second)
		check(true, nil, nil)

		bus(false) // and not the other's
		c.wait(4 * time.Second)
		check(true, nil, []string{lost})
		c.wait(2 * time.Second)
		check(false, []string{lost}, nil)
		if !h.node.MayOwn() {
			t.Error("losing the bus costs it its place in the ring")
		}
		bus(true)
		check(true, nil, nil)

		bus(false) // and the other's
		othersBus(false)
		c.wait(time.Minute)
		check(true, nil, []string{lost})
		othersBus(true) // which is back a little earlier
		c.wait(4 * time.Second)
		check(true, nil, []string{lost})
		c.wait(2 * time.Second)
		check(false, []string{lost}, nil)
		c.see(h) // nobody else is there any longer
		c.wait(time.Second)
		check(true, nil, []string{lost})
	})
}

func TestMayOwn(t *testing.T) {
	inCrew(t, 1, Config{}, func(c *crew) {
		h := c.hands[0]
		status := func(s subscriber.ConnStatus) {
			h.bus.mu.Lock()
			defer h.bus.mu.Unlock()
			h.bus.status = s
		}
		for _, test := range []struct {
			status subscriber.ConnStatus
			want   bool
		}{
			{subscriber.ConnStatus{}, false},
			{subscriber.ConnStatus{Err: errDown}, false},
			{subscriber.ConnStatus{Live: true, Since: time.Now()}, true},
			{subscriber.ConnStatus{Since: time.Now(), Err: errDown}, true},
		} {
			if status(test.status); h.node.MayOwn() != test.want {
				t.Errorf("%+v: %v", test.status, !test.want)
			}
		}
		h.node.Drain()
		if h.node.MayOwn() {
			t.Error("it is about to end")
		}
	})
}
