package cluster

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/cluster/clustertest"
)

func TestForm(t *testing.T) {
	for _, size := range []int{1, 2, 3, 9} {
		bubble(t, func(t *testing.T, net *clustertest.Network) {
			nodes := form(t, net, size, Config{Zone: "z", Version: "v1"})
			for _, n := range nodes {
				for _, m := range n.Members() {
					if m.ID == (ID{}) || m.Zone != "z" || m.Version != "v1" || m.Algorithm != "ring/1" ||
						m.State != Joining || m.Since.IsZero() || m.Self != (m.Name == n.cfg.Name) || m.GossipAddress.String() != "10.0.0."+m.Name[1:]+":7946" {
						t.Errorf("%s sees %+v", n.cfg.Name, m)
					}
				}
			}
		})
	}
}

func TestLeave(t *testing.T) {
	bubble(t, func(t *testing.T, net *clustertest.Network) {
		nodes := form(t, net, 3, Config{})
		began := time.Now()
		nodes[2].stop()
		<-nodes[2].ended
		t.Logf("left in %v", time.Since(began))
		within(t, time.Second, "the others see that it left", func() bool {
			return nodes[0].see("n3", Left) && nodes[1].see("n3", Left)
		})
		always(t, time.Minute, "nobody calls it dead, or back", func() bool { return nodes[0].see("n3", Left) && together(nodes[:2], 2) })
	})
}

func TestLeaveOfTheLast(t *testing.T) {
	bubble(t, func(t *testing.T, net *clustertest.Network) {
		nodes := form(t, net, 2, Config{})
		nodes[1].crash()
		began := time.Now()
		nodes[0].stop()
		<-nodes[0].ended
		if took := time.Since(began); took > updateTimeout+spread+leaveTimeout+time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestCrash(t *testing.T) {
	for _, size := range []int{2, 3, 5, 9} {
		bubble(t, func(t *testing.T, net *clustertest.Network) {
			nodes := form(t, net, size, Config{})
			last := nodes[size-1]
			last.wire.Crash()
			name := last.cfg.Name
			suspected := false
			took := within(t, 4*time.Second, "all have noticed", func() bool {
				suspected = suspected || nodes[0].see(name, Suspect)
				return !slices.ContainsFunc(nodes[:size-1], func(n *node) bool { return !n.see(name, Dead) })
			})
			t.Logf("%d nodes: noticed by all in %v", size, took)
			if size <= 3 && !suspected {
				t.Error("it was not suspected first")
			}
		})
	}
}

func TestPause(t *testing.T) {
	for _, size := range []int{2, 3, 5} {
		bubble(t, func(t *testing.T, net *clustertest.Network) {
			nodes := form(t, net, size, Config{})
			for range 10 {
				net.Stall(address(2))
				time.Sleep(time.Second)
				net.Resume(address(2))
				always(t, 5*time.Second, "nobody is given up", func() bool {
					return !slices.ContainsFunc(nodes, func(n *node) bool { return len(n.names(Dead)) > 0 })
				})
			}
		})
	}
}

func TestStatesAreSeenByAll(t *testing.T) {
	bubble(t, func(t *testing.T, net *clustertest.Network) {
		nodes := form(t, net, 5, Config{})
		nodes[3].SetState(Ready)
		nodes[3].SetBusLive(true)
		nodes[3].SetEpoch(0xfedcba9876543210)
		want := nodes[3].member("n4").Meta
		if want.State != Ready || !want.BusLive || want.Epoch != 0xfedcba9876543210 {
			t.Fatalf("the node itself sees %+v", want)
		}
		within(t, time.Second, "all see it", func() bool {
			return !slices.ContainsFunc(nodes, func(n *node) bool { return n.member("n4").Meta != want })
		})
		since := nodes[0].member("n4").Since
		nodes[3].SetEpoch(1)
		time.Sleep(time.Second)
		if m := nodes[0].member("n4"); m.Epoch != 1 || m.Since != since {
			t.Errorf("after another epoch %+v, since %v: want the same", m, since)
		}
		nodes[3].SetState(Leaving)
		time.Sleep(time.Second)
		if m := nodes[0].member("n4"); m.State != Leaving || m.Reach != Alive || !m.Since.After(since) {
			t.Errorf("%+v", m)
		}
	})
}

func TestChangesAreLevels(t *testing.T) {
	bubble(t, func(t *testing.T, net *clustertest.Network) {
		n := start(t, net, 1, Config{})
		synctest.Wait()
		a, b := n.Changes(), n.Changes()
		<-a
		for i := range uint64(10) {
			n.SetEpoch(i + 1)
		}
		<-a
		<-b
		synctest.Wait()
		n.SetEpoch(10)
		select {
		case <-a:
			t.Error("poked without a change")
		default:
		}
	})
}

func TestNewFindsAllMistakes(t *testing.T) {
	_, err := New(Config{
		Name: "a b", Zone: string(make([]byte, 33)), Keys: [][]byte{make([]byte, 5)}, Join: []string{"x"},
		RejoinInterval: 1, Expect: -1, ExpectTimeout: -1,
	})
	want := `cluster: name "a b": has spaces, control characters or invalid UTF-8
address: is missing
zone "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"…: is 33 bytes, more than 32
key 0: has 5 bytes; must have 16, 24 or 32
seed "x": must be host:port
rejoin interval 1ns: must be at least 1s
expect -1: must be at least 1
expect timeout -1ns: must not be negative`
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}
