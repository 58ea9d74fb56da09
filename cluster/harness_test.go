package cluster

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tenantry/tenantry/cluster/clustertest"
)

// node is a cluster's node under test.
type node struct {
	*Cluster

	wire *clustertest.Transport
	log  *logBuffer
	reg  *prometheus.Registry
	// stop ends Run; ended is closed when it has returned.
	stop  context.CancelFunc
	ended chan struct{}
}

// logBuffer is a log that many goroutines write to.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// bubble runs a test with a network of its own.
func bubble(t *testing.T, test func(*testing.T, *clustertest.Network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, clustertest.NewNetwork()) })
}

func address(i int) string { return fmt.Sprintf("10.0.0.%d:7946", i) }

func addresses(from, to int) (all []string) {
	for i := from; i <= to; i++ {
		all = append(all, address(i))
	}
	return all
}

// start runs a node at address(i), with what cfg leaves open filled in.
func start(t *testing.T, net *clustertest.Network, i int, cfg Config) *node {
	t.Helper()
	n := &node{log: new(logBuffer), reg: prometheus.NewRegistry(), ended: make(chan struct{})}
	n.wire = net.NewTransport(address(i))
	cfg.Transport, cfg.Registerer = n.wire, n.reg
	cfg.Logger = slog.New(slog.NewTextHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg.Name = cmp.Or(cfg.Name, fmt.Sprintf("n%d", i))
	cfg.Address = cmp.Or(cfg.Address, fmt.Sprintf("10.0.0.%d:7070", i))
	cfg.Algorithm = cmp.Or(cfg.Algorithm, "ring/1")
	if cfg.Join == nil {
		cfg.Join = []string{address(1)}
	}
	var err error
	if n.Cluster, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	n.stop = stop
	go func() {
		defer close(n.ended)
		if err := n.Run(ctx); err != nil {
			t.Errorf("%s: Run: %v", cfg.Name, err)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-n.ended
		if t.Failed() {
			t.Logf("log of %s at %s:\n%s", cfg.Name, address(i), n.log)
		}
	})
	return n
}

// crash ends a node without a word.
func (n *node) crash() {
	n.wire.Crash()
	n.stop()
	<-n.ended
}

// form runs nodes 1 to size, all with the first as the seed, and waits until
// all see all.
func form(t *testing.T, net *clustertest.Network, size int, cfg Config) []*node {
	t.Helper()
	var nodes []*node
	for i := 1; i <= size; i++ {
		nodes = append(nodes, start(t, net, i, cfg))
	}
	synctest.Wait()
	within(t, 5*time.Second, "all see all", func() bool { return agree(nodes, size) })
	return nodes
}

// agree says whether each node has so many members that are alive.
func agree(nodes []*node, size int) bool {
	return !slices.ContainsFunc(nodes, func(n *node) bool { return len(n.names(Alive)) != size })
}

// together says whether no node has given another up, and each has so many.
// Unlike agree, it does not mind a suspicion.
func together(nodes []*node, size int) bool {
	return !slices.ContainsFunc(nodes, func(n *node) bool { return n.present() != size })
}

// names returns the members of a reach, sorted.
func (n *node) names(reach Reach) (names []string) {
	for _, m := range n.Members() {
		if m.Reach == reach {
			names = append(names, m.Name)
		}
	}
	return names
}

func (n *node) member(name string) Member {
	for _, m := range n.Members() {
		if m.Name == name {
			return m
		}
	}
	return Member{}
}

func (n *node) see(name string, reach Reach) bool {
	m := n.member(name)
	return m.Name == name && m.Reach == reach
}

// within waits for at most d, and returns how long it was.
func within(t *testing.T, d time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > d {
			t.Fatalf("not within %v: %s", d, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(began)
}

// always checks for d.
func always(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); time.Since(began) < d; time.Sleep(50 * time.Millisecond) {
		if !ok() {
			t.Fatalf("%v after the beginning, not: %s", time.Since(began), what)
		}
	}
}

// lines returns how many lines of the log hold all the texts.
func (n *node) lines(texts ...string) (count int) {
	for line := range strings.Lines(n.log.String()) {
		if !slices.ContainsFunc(texts, func(s string) bool { return !strings.Contains(line, s) }) {
			count++
		}
	}
	return count
}

func (n *node) refusedFor(reason string) float64 {
	return testutil.ToFloat64(n.metrics.refused.WithLabelValues(reason))
}
