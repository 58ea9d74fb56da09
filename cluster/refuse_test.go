package cluster

import (
	"bytes"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tenantry/tenantry/cluster/clustertest"
)

func TestAnotherAlgorithmIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, net *clustertest.Network) {
		nodes := form(t, net, 3, Config{})
		stranger := start(t, net, 4, Config{Algorithm: "ring/2", Join: addresses(1, 3)})
		always(t, time.Minute, "both go on alone", func() bool { return together(nodes, 3) && together([]*node{stranger}, 1) })
		if n := nodes[0].lines("WARN", "peer refused", "peer=n4", "reason=algorithm", `ring/2`, `ring/1`); n != 1 {
			t.Errorf("%d lines say so:\n%s", n, nodes[0].log)
		}
		if n := stranger.lines("WARN", "peer refused", "reason=algorithm"); n < 1 || n > 3 {
			t.Errorf("%d lines say so there, want one for each peer", n)
		}
		if nodes[0].refusedFor(reasonAlgorithm) == 0 {
			t.Error("not counted")
		}
	})
}

// A member that comes back with another ring at the same address answers
// memberlist's probes: it must not be taken for the member it was.
func TestRestartWithAnotherAlgorithm(t *testing.T) {
	bubble(t, func(t *testing.T, net *clustertest.Network) {
		nodes := form(t, net, 3, Config{})
		nodes[2].crash()
		other := start(t, net, 3, Config{Algorithm: "ring/2", Join: addresses(1, 1)})
		took := within(t, 5*time.Second, "nobody counts it as a member", func() bool {
			return nodes[0].see("n3", Dead) && nodes[1].see("n3", Dead)
		})
		t.Logf("noticed in %v", took)
		always(t, time.Minute, "that stays so", func() bool {
			return nodes[0].see("n3", Dead) && nodes[1].see("n3", Dead) && agree([]*node{other}, 1)
		})
		other.crash()
		back := start(t, net, 3, Config{})
		within(t, 10*time.Second, "back with the right one", func() bool { return agree([]*node{nodes[0], nodes[1], back}, 3) })
	})
}

// foreign runs memberlist itself, as a node with such metadata.
func foreignNode(t *testing.T, network *clustertest.Network, i int, label string, keys [][]byte, meta func() []byte) *memberlist.Memberlist {
	t.Helper()
	p := profile()
	p.Transport = network.NewTransport(address(i))
	p.Name, p.Label, p.BindPort = "foreign", label, 7946
	p.Delegate = fixedMeta{meta: meta}
	p.LogOutput = new(logBuffer)
	if len(keys) > 0 {
		p.Keyring, _ = memberlist.NewKeyring(keys, keys[0])
	}
	list, err := memberlist.Create(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = list.Shutdown()
		time.Sleep(10 * time.Second)
	})
	return list
}

type fixedMeta struct {
	delegate
	meta func() []byte
}

func (f fixedMeta) NodeMeta(int) []byte { return f.meta() }

func TestBadMetadataIsRefused(t *testing.T) {
	good := (&Meta{ID: newID(), Address: "a:1", Algorithm: "ring/1"}).encode()
	tests := map[string][]byte{
		"none":      nil,
		"garbage":   []byte("\xff\xfe garbage"),
		"cut short": good[:len(good)-1],
		"full":      bytes.Repeat([]byte{1}, memberlist.MetaMaxSize),
		"a line":    field(slices.Clone(good), tagZone, []byte("z\nlevel=ERROR")),
		"long":      field(slices.Clone(good), tagAddress, bytes.Repeat([]byte("a"), maxAddress+1)),
	}
	for name, meta := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, net *clustertest.Network) {
				nodes := form(t, net, 2, Config{})
				list := foreignNode(t, net, 4, "tenantry", nil, func() []byte { return meta })
				for range 3 {
					_, _ = list.Join(addresses(1, 2))
					time.Sleep(3 * time.Second)
				}
				if !agree(nodes, 2) || nodes[0].member("foreign").Name != "" {
					t.Errorf("members %v", nodes[0].Members())
				}
				for _, n := range nodes {
					if got := n.lines("WARN", "peer refused", "reason=metadata"); got != 1 {
						t.Errorf("%d lines say so:\n%s", got, n.log)
					}
				}
			})
		})
	}
}

// Metadata over memberlist's own limit cannot be sent by memberlist itself.
func TestOversizedMetadata(t *testing.T) {
	n, err := New(Config{Name: "a", Address: "a:1"})
	if err != nil {
		t.Fatal(err)
	}
	here := net.IPv4(10, 0, 0, 1)
	peer := &memberlist.Node{Name: "b", Addr: here, Port: 1, Meta: make([]byte, 60_000), State: memberlist.StateSuspect}
	if err := (delegate{n}).NotifyAlive(peer); err == nil || !strings.Contains(err.Error(), "60000 bytes") {
		t.Errorf("alive: %v", err)
	}
	if err := (delegate{n}).NotifyMerge([]*memberlist.Node{peer}); err == nil {
		t.Error("merged")
	}
	peer.Meta, peer.Name = nil, strings.Repeat("b", 10_000)
	if err := (delegate{n}).NotifyAlive(peer); err == nil || len(err.Error()) > 300 || !strings.Contains(err.Error(), "name") {
		t.Errorf("alive: %v", err)
	}
	good := (&Meta{ID: newID(), Address: "a:1"}).encode()
	for _, bad := range []*memberlist.Node{
		{Name: "b", Meta: good, Port: 1}, {Name: "b", Meta: good, Port: 1, Addr: []byte{1, 2, 3}},
		{Name: "b", Meta: good, Port: 1, Addr: net.IPv6zero}, {Name: "b", Meta: good, Addr: here},
	} {
		if err := (delegate{n}).NotifyAlive(bad); err == nil || !strings.Contains(err.Error(), "cannot be talked to") {
			t.Errorf("at %v: %v", bad.Addr, err)
		}
	}
	if err := (delegate{n}).NotifyAlive(&memberlist.Node{Name: "b", Meta: good, Addr: here, Port: 1}); err != nil {
		t.Error(err)
	}
}

// A later version's fields are skipped, and its metadata is not taken apart.
func TestNewerMetadataIsUnderstood(t *testing.T) {
	bubble(t, func(t *testing.T, net *clustertest.Network) {
		nodes := form(t, net, 2, Config{})
		meta := (&Meta{ID: newID(), Address: "a:1", Algorithm: "ring/1", State: Ready, Epoch: 7}).encode()
		meta = field(meta, 200, []byte("something new"))
		meta = field(meta, tagFlags, []byte{0xff, 0xff})
		list := foreignNode(t, net, 4, "tenantry", nil, func() []byte { return meta })
		if _, err := list.Join(addresses(1, 1)); err != nil {
			t.Fatal(err)
		}
		within(t, time.Second, "all see it", func() bool { return agree(nodes, 3) })
		if m := nodes[1].member("foreign"); m.State != Ready || m.Epoch != 7 || !m.BusLive {
			t.Errorf("%+v", m)
		}
		always(t, 10*time.Second, "though its answers do not say which life it is", func() bool { return together(nodes, 3) })
	})
}

func TestOtherLabelsAndKeys(t *testing.T) {
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	good := func() []byte { return (&Meta{ID: newID(), Address: "a:1", Algorithm: "ring/1"}).encode() }
	tests := []struct {
		name      string
		own       [][]byte
		label     string
		keys      [][]byte
		reason    string
		bothWays  bool
		fromThere bool
	}{
		{name: "label", label: "other", reason: reasonLabel},
		{name: "no label", label: "", reason: reasonLabel},
		{name: "key", own: [][]byte{key(1)}, label: "tenantry", keys: [][]byte{key(2)}, reason: reasonKey},
		{name: "no key", own: [][]byte{key(1)}, label: "tenantry", reason: reasonKey},
		{name: "key where none is", label: "tenantry", keys: [][]byte{key(2)}, reason: reasonKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, net *clustertest.Network) {
				nodes := form(t, net, 2, Config{Keys: tt.own, Join: []string{address(1), address(4)}})
				list := foreignNode(t, net, 4, tt.label, tt.keys, good)
				for range 5 {
					if _, err := list.Join(addresses(1, 2)); err == nil {
						t.Error("joined")
					}
					time.Sleep(5 * time.Second)
				}
				if !agree(nodes, 2) || list.NumMembers() != 1 {
					t.Errorf("members %v, foreign %d", nodes[0].Members(), list.NumMembers())
				}
				if got := nodes[0].lines("WARN", "peer refused", "reason="+tt.reason, "peer=10.0.0.4"); got != 1 {
					t.Errorf("%d lines say so:\n%s", got, nodes[0].log)
				}
				if nodes[0].refusedFor(tt.reason) < 5 {
					t.Error("not counted")
				}
			})
		})
	}
}

func TestKeysAreRotated(t *testing.T) {
	old, next := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 32)
	bubble(t, func(t *testing.T, net *clustertest.Network) {
		nodes := form(t, net, 3, Config{Keys: [][]byte{old}})
		for _, keys := range [][][]byte{{old, next}, {next, old}, {next}} {
			for i, n := range nodes {
				n.stop()
				<-n.ended
				nodes[i] = start(t, net, i+1, Config{Keys: keys, Join: addresses(1, 3)})
				within(t, 5*time.Second, "all see all", func() bool { return agree(nodes, 3) })
			}
		}
	})
}

// Packets and streams of garbage, true packets damaged, and more streams than
// are let in.
func TestHostileNetwork(t *testing.T) {
	for _, keys := range [][][]byte{nil, {bytes.Repeat([]byte{1}, 16)}} {
		bubble(t, func(t *testing.T, network *clustertest.Network) {
			nodes := form(t, network, 3, Config{Keys: keys})
			attacker := network.NewTransport(address(66))
			rnd := rand.New(rand.NewPCG(1, 2))
			for range 3000 {
				_, _ = attacker.WriteTo(garbage(rnd), address(1))
				if rnd.IntN(100) == 0 {
					time.Sleep(10 * time.Millisecond)
				}
			}
			var open []net.Conn
			for i := range 1000 {
				conn, err := attacker.DialTimeout(address(1), time.Second)
				if err != nil {
					t.Fatal(err)
				}
				if i%2 == 0 {
					_, _ = conn.Write(garbage(rnd))
				}
				open = append(open, conn)
				synctest.Wait()
			}
			if testutil.ToFloat64(nodes[0].metrics.dropped) < 100 {
				t.Error("all streams were let in")
			}
			always(t, 10*time.Second, "nobody minds", func() bool { return together(nodes, 3) })
			for _, conn := range open {
				_ = conn.Close()
			}
			late := start(t, network, 4, Config{Keys: keys})
			within(t, 10*time.Second, "a new one is let in", func() bool { return agree(append(nodes, late), 4) })
			if n := nodes[0].lines("WARN"); n > 40 {
				t.Errorf("%d warnings", n)
			}
		})
	}
}

// garbage returns what may have memberlist's beginning: the label, then a
// message's type.
func garbage(rnd *rand.Rand) []byte {
	b := make([]byte, rnd.IntN(1400))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	if rnd.IntN(2) == 0 {
		b = append(append([]byte{244, 8}, "tenantry"...), append([]byte{byte(rnd.IntN(16))}, b...)...)
	}
	return b
}
