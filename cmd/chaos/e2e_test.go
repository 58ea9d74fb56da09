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

// TestMove is a short one, however slow, of fewer nodes and tenants.
func TestMove(t *testing.T) {
	cfg, play := trial.Moving(1, node(t, ""), t.TempDir()), trial.DefaultMove()
	cfg.Nodes, cfg.Tenants, cfg.Hot, cfg.Items, cfg.Reads, cfg.Readers = 3, 60, 20, 3, 120, 16
	play.Quiet, play.Window, play.Slower = time.Second, 2*time.Second, 0
	res, err := trial.EndToEnd(t.Context(), cfg, play)
	if err != nil {
		t.Fatal(err)
	}
	res.Print(t.Output())
	if !res.Good() {
		t.Error("something is missed")
	}
	for _, s := range res.Steps[1:] {
		if s.HandedOver == 0 || s.Taken < s.HandedOver || s.Entries == 0 || s.Looks == 0 {
			t.Errorf("%s: %.0f tenants taken, %.0f handed over, %.0f entries, %d looks", s.Name, s.Taken, s.HandedOver, s.Entries, s.Looks)
		}
	}
}
