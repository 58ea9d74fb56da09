package main

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/tenantry/tenantry/cmd/chaos/trial"
)

// node builds a node's binary.
func node(t *testing.T, tags string) string {
	t.Helper()
	logging.Disable() // go-redis writes each failed dial to stderr
	path := filepath.Join(t.TempDir(), "tenantry")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-tags", tags, "-o", path, "github.com/tenantry/tenantry/cmd/tenantry").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// TestNodeKeepsThePromise is a short run over every type of fault.
func TestNodeKeepsThePromise(t *testing.T) {
	cfg := trial.Brief(1, node(t, ""), t.TempDir())
	cfg.For, cfg.Hold, cfg.Quiet = 25*time.Second, 500*time.Millisecond, 200*time.Millisecond
	cfg.Tenants, cfg.Hot = 40, 6
	res, err := trial.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	res.Print(t.Output())
	if res.Violations > 0 {
		t.Errorf("%d answers broke the promise", res.Violations)
	}
	answered, failed := 0, 0
	for _, p := range res.Phases {
		answered += p.CriticalAnswered + p.ReferenceAnswered
		failed += p.Failed
	}
	if answered < 20_000 || failed > answered || len(res.Phases) < 20 {
		t.Errorf("only %d reads in %d phases were answered, %d were not", answered, len(res.Phases), failed)
	}
}

// TestClusterKeepsThePromise is a short run over the faults that only a cluster has,
// and some that it answers in another way than a node that is alone.
func TestClusterKeepsThePromise(t *testing.T) {
	cfg := trial.Brief(1, node(t, ""), t.TempDir())
	cfg.Nodes, cfg.For, cfg.Hold, cfg.Quiet = 3, 28*time.Second, 500*time.Millisecond, 200*time.Millisecond
	cfg.Tenants, cfg.Hot, cfg.Reads, cfg.Readers = 40, 6, 400, 24
	cfg.Faults = []string{
		"node-kill", "node-stop", "bus-cut-one", "bus-silent-one", "redis-restart", "origin-cut", "origin-freeze-one",
		"peer-cut", "peer-freeze", "peer-delay", "gossip-cut", "gossip-freeze", "split",
	}
	res, err := trial.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	res.Print(t.Output())
	if res.Violations > 0 {
		t.Errorf("%d answers broke the promise", res.Violations)
	}
	answered, failed := 0, 0
	for _, p := range res.Phases {
		answered += p.CriticalAnswered + p.ReferenceAnswered
		failed += p.Failed
	}
	if answered < 10_000 || failed > answered/4 || len(res.Phases) < len(cfg.Faults) {
		t.Errorf("only %d reads in %d phases were answered, %d were not", answered, len(res.Phases), failed)
	}
}

// TestNodeIsFresh has one fault with the times that a node has by default, and enough
// quiet around it for what a node that is only cautious would not reach.
func TestNodeIsFresh(t *testing.T) {
	cfg := defaults()
	cfg.Binary, cfg.Dir, cfg.Faults = node(t, ""), t.TempDir(), []string{"redis-kill-pubsub"}
	cfg.For, cfg.Hold, cfg.Quiet, cfg.Tenants, cfg.Hot = 32*time.Second, 300*time.Millisecond, 14*time.Second, 100, 100
	cfg.Writes, cfg.Reads, cfg.Readers = 4, 400, 16
	res, err := trial.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	res.Print(t.Output())
	for _, s := range res.Liveness {
		if s.Of < 1000 || float64(s.Part) < .99*float64(s.Of) {
			t.Errorf("%s: %d of %d", s.Name, s.Part, s.Of)
		}
	}
	if res.Violations > 0 {
		t.Errorf("%d answers broke the promise", res.Violations)
	}
}

// TestMutationsAreCaught breaks each rule of a node that is alone, for as many seeds as
// it takes up to three: "chaos mutations" counts them over ten, and those of several
// nodes, which need a machine that has nothing else to do.
func TestMutationsAreCaught(t *testing.T) {
	binary := node(t, "mutation")
	for _, m := range trial.Mutations() {
		if m.Apply(trial.Brief(1, binary, "")).Nodes > 1 {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			for seed := range uint64(3) {
				res, err := trial.Run(t.Context(), m.Apply(trial.Brief(seed+1, binary, t.TempDir())))
				if err != nil {
					t.Fatal(err)
				}
				if res.Caught() {
					return
				}
			}
			t.Error("not caught")
		})
	}
}
