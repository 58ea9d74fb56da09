package main

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/trial"
)

// node builds a node's binary.
func node(t *testing.T, tags string) string {
	t.Helper()
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
	if res.Reads < 20_000 || len(res.Phases) < 20 {
		t.Errorf("only %d reads in %d phases were checked", res.Reads, len(res.Phases))
	}
}

// TestMutationsAreCaught breaks each rule, for as many seeds as it takes up to
// three: "chaos mutations" counts them over ten.
func TestMutationsAreCaught(t *testing.T) {
	binary := node(t, "mutation")
	for _, m := range trial.Mutations() {
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
