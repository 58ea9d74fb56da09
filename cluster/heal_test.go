package cluster

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantry/tenantry/cluster/clustertest"
)

func TestPartitionHeals(t *testing.T) {
	tests := []struct {
		name         string
		size, cutOff int
		seeds        []string
		lasts        time.Duration
	}{
		{"halves", 6, 3, nil, time.Minute},
		{"one of three", 3, 1, nil, time.Minute},
		{"the seed cut off alone", 3, 2, nil, time.Minute}, // n1 is the only seed
		{"both seeds on one side", 5, 2, addresses(1, 2), time.Minute},
		{"for a quarter of an hour", 4, 2, nil, 15 * time.Minute},
		{"just noticed", 4, 2, nil, 10 * time.Second},
		{"two", 2, 1, nil, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, net *clustertest.Network) {
				nodes := form(t, net, tt.size, Config{Join: tt.seeds})
				a, b := nodes[:tt.size-tt.cutOff], nodes[tt.size-tt.cutOff:]
				net.Partition(addresses(1, len(a)), addresses(len(a)+1, tt.size))
				began := time.Now()
				took := within(t, 10*time.Second, "both halves have noticed", func() bool {
					return noticed(a, tt.cutOff) && noticed(b, len(a))
				})
				t.Logf("noticed in %v", took)
				time.Sleep(tt.lasts - time.Since(began))
				net.Heal()
				took = within(t, 30*time.Second, "one cluster again", func() bool { return agree(nodes, tt.size) })
				t.Logf("healed in %v", took)
				always(t, 5*time.Second, "it stays one", func() bool { return together(nodes, tt.size) })
			})
		})
	}
}

// noticed says whether all nodes have given so many others up.
func noticed(nodes []*node, dead int) bool {
	return !slices.ContainsFunc(nodes, func(n *node) bool { return len(n.names(Dead)) != dead })
}

func TestOneDirectionIsNoDeath(t *testing.T) {
	bubble(t, func(t *testing.T, net *clustertest.Network) {
		nodes := form(t, net, 4, Config{})
		net.Cut(addresses(1, 1), addresses(2, 2)) // n1's words do not reach n2, the others' do
		always(t, 30*time.Second, "nobody is given up for long", func() bool {
			return len(nodes[2].names(Dead)) == 0 && len(nodes[3].names(Dead)) == 0
		})
		net.Mend(addresses(1, 1), addresses(2, 2))
		within(t, 30*time.Second, "all see all", func() bool { return agree(nodes, 4) })
	})
}

func TestStartWithoutSeeds(t *testing.T) {
	bubble(t, func(t *testing.T, net *clustertest.Network) {
		a := start(t, net, 2, Config{Join: []string{address(1), "10.0.0.2:7946"}})
		time.Sleep(10 * time.Minute)
		if n := a.lines("no seed reached yet"); n != 1 {
			t.Errorf("said %d times that no seed was reached", n)
		}
		b := start(t, net, 1, Config{})
		took := within(t, 30*time.Second, "both", func() bool { return agree([]*node{a, b}, 2) })
		t.Logf("joined in %v", took)
	})
}

// A seed's name is looked up at each attempt, and all its addresses are tried.
func TestSeedsAreResolvedAnew(t *testing.T) {
	bubble(t, func(t *testing.T, net *clustertest.Network) {
		var mu sync.Mutex
		found, fails := []netip.Addr{netip.MustParseAddr("10.0.0.9")}, errors.New("no such host")
		resolve := func(context.Context, string) ([]netip.Addr, error) {
			mu.Lock()
			defer mu.Unlock()
			return found, fails
		}
		a := start(t, net, 1, Config{})
		b := start(t, net, 2, Config{Join: []string{"seeds.example:7946"}, Resolve: resolve})
		time.Sleep(time.Second)
		mu.Lock()
		fails = nil
		mu.Unlock()
		time.Sleep(time.Second)
		if agree([]*node{a, b}, 2) {
			t.Fatal("joined through an address that nobody has")
		}
		mu.Lock()
		found = append(found, netip.MustParseAddr("::ffff:10.0.0.1"), netip.MustParseAddr("10.0.0.2"))
		mu.Unlock()
		within(t, 30*time.Second, "joined", func() bool { return agree([]*node{a, b}, 2) })
	})
}

// A look-up or a dial that hangs does not keep Run from ending.
func TestShutdownDuringAnAttempt(t *testing.T) {
	bubble(t, func(t *testing.T, net *clustertest.Network) {
		net.Cut(addresses(1, 1), addresses(2, 3))
		start(t, net, 2, Config{Join: []string{}})
		resolve := func(ctx context.Context, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		for _, cfg := range []Config{{Join: addresses(2, 3)}, {Join: []string{"seeds:7946"}, Resolve: resolve}} {
			n := start(t, net, 1, cfg)
			time.Sleep(100 * time.Millisecond)
			began := time.Now()
			n.stop()
			<-n.ended
			if took := time.Since(began); took != 0 {
				t.Errorf("took %v", took)
			}
		}
	})
}

func TestExpect(t *testing.T) {
	formed := func(n *node) bool {
		synctest.Wait()
		select {
		case <-n.Formed():
			return true
		default:
			return false
		}
	}
	bubble(t, func(t *testing.T, net *clustertest.Network) {
		alone := start(t, net, 1, Config{Join: []string{}})
		within(t, 0, "a node alone is formed at once", func() bool { return formed(alone) })
		two := start(t, net, 2, Config{Expect: 3})
		time.Sleep(10 * time.Second)
		if formed(two) {
			t.Error("formed with two of three")
		}
		three := start(t, net, 3, Config{Expect: 3})
		within(t, time.Second, "formed by the third", func() bool { return formed(two) && formed(three) })
		four := start(t, net, 4, Config{Expect: 9, ExpectTimeout: 20 * time.Second, Join: addresses(8, 8)})
		began := time.Now()
		within(t, 20*time.Second, "formed by the bound", func() bool { return formed(four) })
		if took := time.Since(began); took != 20*time.Second || four.lines("fewer members than expected", "WARN") != 1 {
			t.Errorf("formed after %v, log:\n%s", took, four.log)
		}
		two.SetState(Ready)
		time.Sleep(time.Second)
		five := start(t, net, 5, Config{Expect: 9})
		within(t, time.Second, "formed, since a member owns tenants", func() bool { return formed(five) })
	})
}

// Even a node that expects nobody waits for the first attempt to join.
func TestFormedAfterTheFirstAttempt(t *testing.T) {
	bubble(t, func(t *testing.T, net *clustertest.Network) {
		a := start(t, net, 1, Config{})
		b := start(t, net, 2, Config{})
		<-a.Formed()
		<-b.Formed()
		if got := len(b.names(Alive)); got != 2 {
			t.Errorf("formed with %d members", got)
		}
	})
}
