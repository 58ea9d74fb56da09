package main

import (
	"testing"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/trial"
)

// TestHalvesGoOn parts the network of four nodes, each in a namespace of its own,
// and heals it. It fails where namespaces cannot be made.
func TestHalvesGoOn(t *testing.T) {
	cfg, parting := trial.FromEndToEnd(1, node(t, ""), t.TempDir()), trial.DefaultParting()
	cfg.Nodes, cfg.Tenants, cfg.Hot, cfg.Reads, cfg.Readers = 4, 40, 10, 120, 16
	parting.Whole, parting.Parted, parting.Healed = 3*time.Second, 15*time.Second, 5*time.Second
	res, err := trial.Split(t.Context(), cfg, parting)
	if err != nil {
		t.Fatal(err)
	}
	res.Print(t.Output())
	if !res.Good() {
		t.Error("a half did not go on, or they did not come together")
	}
}
