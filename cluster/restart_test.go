package cluster

import (
	"testing"
	"time"

	"github.com/tenantry/tenantry/cluster/clustertest"
)

func TestRestart(t *testing.T) {
	tests := []struct {
		name    string
		crash   bool // or it leaves
		addr    int  // of its next life
		after   time.Duration
		atMost  time.Duration
		twoOnly bool
	}{
		{name: "left, other address", addr: 9, atMost: 500 * time.Millisecond},
		{name: "left, same address", addr: 3, atMost: 500 * time.Millisecond},
		{name: "killed, same address, at once", crash: true, addr: 3, atMost: 500 * time.Millisecond},
		{name: "killed, other address, at once", crash: true, addr: 9, atMost: 6 * time.Second},
		{name: "killed, other address, suspected", crash: true, addr: 9, after: 1500 * time.Millisecond, atMost: 5 * time.Second},
		{name: "killed, other address, given up", crash: true, addr: 9, after: 5 * time.Second, atMost: 500 * time.Millisecond},
		{name: "killed, other address, long ago", crash: true, addr: 9, after: 10 * time.Minute, atMost: 500 * time.Millisecond},
		{name: "killed, same address, given up", crash: true, addr: 3, after: 5 * time.Second, atMost: 500 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, net *clustertest.Network) {
				nodes := form(t, net, 3, Config{})
				if tt.crash {
					nodes[2].wire.Crash()
				}
				go nodes[2].stop() // what is left of it must not matter
				if !tt.crash {
					<-nodes[2].ended
				}
				time.Sleep(tt.after)
				again := start(t, net, tt.addr, Config{Name: "n3", Join: addresses(1, 2)})
				nodes[2] = again
				took := within(t, tt.atMost, "all see its new life", func() bool {
					for _, n := range nodes {
						if m := n.member("n3"); m.Reach != Alive || m.ID != again.roster.selfMeta().ID || m.GossipAddress.String() != address(tt.addr) {
							return false
						}
					}
					return agree(nodes, 3)
				})
				t.Logf("back in %v", took)
				within(t, 2*time.Minute, "the name is its own", func() bool {
					_, taken := again.NameTaken()
					return !taken
				})
				always(t, time.Minute, "it stays", func() bool { return together(nodes, 3) })
			})
		})
	}
}

func TestTwoNodesWithOneName(t *testing.T) {
	for _, size := range []int{1, 3} {
		bubble(t, func(t *testing.T, net *clustertest.Network) {
			nodes := form(t, net, size, Config{})
			first := nodes[size-1]
			id := first.roster.selfMeta().ID
			time.Sleep(time.Minute)
			same := func() bool {
				for _, n := range nodes {
					if m := n.member(first.cfg.Name); m.ID != id || m.Reach.Gone() {
						return false
					}
				}
				return together(nodes, size)
			}
			later := start(t, net, 9, Config{Name: first.cfg.Name, Join: addresses(1, 3)})
			for range 3 {
				later.SetState(Ready)
				always(t, time.Minute, "the elder stays", same)
				later.SetState(Joining)
				always(t, time.Minute, "the elder stays", same)
			}
			if by, taken := later.NameTaken(); !taken || by.String() != first.GossipAddress().String() {
				t.Errorf("taken %v by %v", taken, by)
			}
			if _, taken := first.NameTaken(); taken {
				t.Error("the elder lost its name")
			}
			for _, n := range append(nodes, later) {
				if got := n.lines("WARN", "peer refused", "reason=name"); got != 1 {
					t.Errorf("%s: %d lines say so:\n%s", n.cfg.Name, got, n.log)
				}
			}
			later.stop()
			<-later.ended
			always(t, time.Minute, "the elder stays when the later one ends", same)

			// The other way round: the elder leaves, the later one is let in.
			later = start(t, net, 9, Config{Name: first.cfg.Name, Join: addresses(1, 3)})
			time.Sleep(time.Minute)
			first.stop()
			<-first.ended
			nodes[size-1] = later
			within(t, 30*time.Second, "the later one has the name", func() bool {
				_, taken := later.NameTaken()
				return agree(nodes, size) && !taken
			})
		})
	}
}
