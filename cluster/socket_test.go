package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// listening returns a node bound to a free port of the loopback.
func listening(t *testing.T, name string, cfg Config) *node {
	t.Helper()
	n := &node{log: new(logBuffer), ended: make(chan struct{})}
	cfg.Name, cfg.Address, cfg.Logger = name, name+":7070", slog.New(slog.NewTextHandler(n.log, nil))
	cfg.Bind = cmp.Or(cfg.Bind, "127.0.0.1:0")
	var err error
	if n.Cluster, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	if err := n.Listen(); err != nil {
		t.Fatal(err)
	}
	return n
}

// run runs the node until the test ends or stop is called.
func (n *node) run(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	n.stop = stop
	go func() {
		defer close(n.ended)
		if err := n.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { stop(); <-n.ended })
}

// until waits for real time to pass, by the nodes' changes.
func until(t *testing.T, n *node, most time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	began, changes := time.Now(), n.Changes()
	for !ok() {
		select {
		case <-changes:
		case <-time.After(20 * time.Millisecond):
			if time.Since(began) > most {
				t.Fatalf("not within %v: %s\n%s", most, what, n.log)
			}
		}
	}
	return time.Since(began)
}

func TestSockets(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("nodes", func(t *testing.T) {
		keys := [][]byte{[]byte("0123456789abcdef")}
		first := listening(t, "n1", Config{Keys: keys})
		seed := []string{fmt.Sprintf("localhost:%d", first.GossipAddress().Port())}
		nodes := []*node{first}
		for i := 2; i <= 4; i++ {
			nodes = append(nodes, listening(t, fmt.Sprintf("n%d", i), Config{Keys: keys, Join: seed, Expect: 4}))
		}
		for _, n := range nodes {
			n.run(t)
		}
		took := until(t, first, 10*time.Second, "all see all", func() bool { return agree(nodes, 4) })
		t.Logf("formed in %v", took)
		<-nodes[3].Formed()
		nodes[1].SetState(Ready)
		until(t, first, 5*time.Second, "the state", func() bool { return first.member("n2").State == Ready })

		pelt(t, first.GossipAddress())
		if !together(nodes, 4) {
			t.Error("garbage broke the cluster")
		}
		began := time.Now()
		nodes[1].stop()
		until(t, first, 5*time.Second, "n2 left", func() bool { return first.see("n2", Left) })
		<-nodes[1].ended
		t.Logf("left in %v", time.Since(began))

		// A crash: the sockets close without a word.
		_ = nodes[2].transport.NodeAwareTransport.Shutdown()
		took = until(t, first, 10*time.Second, "n3 died", func() bool { return first.see("n3", Dead) })
		t.Logf("crash noticed in %v", took)
	})
}

// pelt sends garbage to a gossip port by both ways.
func pelt(t *testing.T, at netip.AddrPort) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		for _, network := range []string{"udp", "tcp"} {
			conn, err := net.Dial(network, at.String())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = conn.Write(garbage(rnd))
			if i%2 == 0 {
				defer func() { _ = conn.Close() }()
			} else {
				_ = conn.Close()
			}
		}
	}
}

func TestPortInUse(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	n, err := New(Config{Name: "a", Address: "a:1", Bind: l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	err = n.Run(t.Context())
	if !errors.Is(err, ErrAddressInUse) || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("error %v", err)
	}
	if err := n.Run(t.Context()); !errors.Is(err, ErrRunTwice) {
		t.Errorf("error %v", err)
	}
}

// Whoever has bound the port and cannot go on runs with a context that ended.
func TestRunThatEndedFreesThePort(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	n := listening(t, "a", Config{})
	at := n.GossipAddress().String()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Run(ctx); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

func TestAdvertise(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	resolve := func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.7")}, nil
	}
	tests := []struct{ bind, advertise, want string }{
		{"127.0.0.1:0", "", "127.0.0.1:PORT"},
		{"localhost:0", "", "127.0.0.7:PORT"},
		{"127.0.0.1:0", "192.0.2.7:7946", "192.0.2.7:7946"},
		{"127.0.0.1:0", "192.0.2.7:0", "192.0.2.7:PORT"},
		{":0", "somewhere:0", "127.0.0.7:PORT"},
		{"[::]:0", "[2001:db8::1]:9", "[2001:db8::1]:9"},
		{"127.0.0.1:0", "0.0.0.0:9", "error"},
		{"127.0.0.1:0", "nonsense", "error"},
	}
	for _, tt := range tests {
		c, err := New(Config{Name: "a", Address: "a:1", Bind: tt.bind, Advertise: tt.advertise, Resolve: resolve})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Listen(); err != nil {
			if tt.want != "error" || !errors.Is(err, ErrNoAdvertise) {
				t.Errorf("%+v: %v", tt, err)
			}
			continue
		}
		at := c.GossipAddress()
		if want := strings.ReplaceAll(tt.want, "PORT", fmt.Sprint(at.Port())); at.String() != want || at.Port() == 0 {
			t.Errorf("%+v: %v", tt, at)
		}
		if !c.isSelf(at) || c.isSelf(netip.MustParseAddrPort("192.0.2.8:7946")) {
			t.Errorf("%+v: does not know itself", tt)
		}
		if err := discard(c.transport.NodeAwareTransport); err != nil {
			t.Error(err)
		}
	}
}
