package main

import (
	"strings"
	"testing"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/checker"
	"github.com/tenantry/tenantry/cmd/chaos/trial"
)

// TestNodeStaysAsItIs is a short soak; entries expire a few times meanwhile.
func TestNodeStaysAsItIs(t *testing.T) {
	cfg := trial.Soak(1, node(t, ""), t.TempDir())
	cfg.For, cfg.Sample, cfg.TTL, cfg.Slack = 7*time.Second, 200*time.Millisecond, 3*time.Second, 32<<20
	cfg.Tenants, cfg.Hot, cfg.Writes, cfg.Reads, cfg.Readers = 20, 5, 60, 300, 16
	res, err := trial.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	res.PrintSoak(t.Output())
	if res.Violations > 0 || !res.Flat() {
		t.Errorf("%d violations; flat: %v", res.Violations, res.Flat())
	}
	failed := 0
	for _, n := range res.Failures {
		failed += n
	}
	if failed > res.Reads/100 || res.Reads < 5000 {
		t.Errorf("%d of %d reads had no answer", failed, res.Reads)
	}
}

// TestNodeRecovers kills the subscriptions once.
func TestNodeRecovers(t *testing.T) {
	cfg := trial.Calmly(1, node(t, ""), t.TempDir(), 20)
	cfg.Quiet, cfg.Reads, cfg.Readers, cfg.For = time.Second, 300, 16, 30*time.Second
	res, err := trial.Recover(t.Context(), cfg, "redis-kill-pubsub")
	if err != nil {
		t.Fatal(err)
	}
	trial.PrintRecoveries(t.Output(), []*trial.Recovery{res})
	if res.Violations > 0 {
		t.Errorf("%d answers broke the promise", res.Violations)
	}
	if res.Doubt < 0 || res.Doubt > 2 || res.Settled > 10 {
		t.Errorf("doubted after %v s, settled after %v s", res.Doubt, res.Settled)
	}
	if res.HeldLists != 80 || int(res.Lists) < res.HeldLists || int(res.MostLists) > int(res.Lists) || res.Reads < 1000 {
		t.Errorf("of %d lists %d were asked for, %d at most in a second; %d reads", res.HeldLists, res.Lists, res.MostLists, res.Reads)
	}
}

// TestNodeWakes stops a node twice for longer than its answers may be old.
func TestNodeWakes(t *testing.T) {
	cfg := waking(node(t, ""), t.TempDir())
	res, err := trial.Wake(t.Context(), cfg, trial.Sleep{Nodes: 1, Times: 2, Stop: 3600 * time.Millisecond, Pause: 1200 * time.Millisecond, Burst: 300})
	if err != nil {
		t.Fatal(err)
	}
	res.Print(t.Output())
	if res.Violations > 0 {
		t.Errorf("%d answers broke the promise", res.Violations)
	}
	if res.Wakes != 2 || res.Waiting.Reads < 20 || res.New.Reads < 300 {
		t.Errorf("%d wake-ups, after which %d and %d reads were checked", res.Wakes, res.Waiting.Reads, res.New.Reads)
	}
}

// TestWakeCanFail has a node break the rule that keeps it from being fresh when it
// wakes. Whether it does so depends on what it gets to first, a read or the events
// that were waiting: it has some tries.
func TestWakeCanFail(t *testing.T) {
	binary := node(t, "mutation")
	var byRule map[string]int
	for range 5 {
		cfg := waking(binary, t.TempDir())
		cfg.Mutation = "proof"
		res, err := trial.Wake(t.Context(), cfg, trial.Sleep{Nodes: 1, Times: 1, Stop: 3600 * time.Millisecond, Pause: 1200 * time.Millisecond, Burst: 300})
		if err != nil {
			t.Fatal(err)
		}
		if byRule = res.ByRule; byRule[string(checker.RuleFresh)] > 0 && len(res.Histories) > 0 {
			return
		}
	}
	t.Errorf("not caught: %v", byRule)
}

// waking is with the least times that a node may have.
func waking(binary, dir string) trial.Config {
	cfg := trial.Waking(1, binary, dir)
	cfg.Heartbeat, cfg.ProofTTL, cfg.Bound = 100*time.Millisecond, 300*time.Millisecond, 1300*time.Millisecond
	return cfg
}

// A fault that is none is refused before anything is started.
func TestRecoveryKnowsItsFaults(t *testing.T) {
	var out, errs strings.Builder
	if status := run([]string{"recovery", "--faults", "bus-cutt"}, &out, &errs); status != 2 {
		t.Errorf("exit status %d, want 2: %s", status, errs.String())
	}
}
