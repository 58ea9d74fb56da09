package main

import (
	"testing"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/trial"
)

// TestEndToEnd is a short one of fewer nodes.
func TestEndToEnd(t *testing.T) {
	cfg, play := trial.FromEndToEnd(1, node(t, ""), t.TempDir()), trial.DefaultPlay()
	cfg.Nodes, cfg.Tenants, cfg.Hot, cfg.Reads, cfg.Readers = 3, 40, 10, 120, 16
	play.Quiet, play.Window, play.Freeze = 6*time.Second, 8*time.Second, 5*time.Second
	// The tests of other packages take the machine's time meanwhile.
	play.Slowest = trial.DefaultPlay().Slowest * 3 / 2
	res, err := trial.EndToEnd(t.Context(), cfg, play)
	if err != nil {
		t.Fatal(err)
	}
	res.Print(t.Output())
	if !res.Good() {
		t.Error("something is missed")
	}
	for _, s := range res.Steps {
		if s.Reads < 500 || s.Channels != 10*cfg.Tenants {
			t.Errorf("%s: %d reads, %d channels", s.Name, s.Reads, s.Channels)
		}
	}
}
