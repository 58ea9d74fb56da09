package trial

import (
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/checker"
)

// Mutation is a rule that a node built with the tag "mutation" can be made to
// break, and what brings that to light within seconds.
type Mutation struct {
	// Name is what CHAOS_MUTATION asks for, or that and what brings it to light; Rule the
	// rule in the design's words.
	Name, Rule string
	faults     []string
	adjust     func(*Config)
}

// Brief returns a run in which much happens in little time: the smallest times
// that a node's configuration allows, and few tenants.
func Brief(seed uint64, binary, dir string) Config {
	return Config{
		Binary: binary, Dir: dir, Seed: seed, For: 15 * time.Second, Tenants: 30, Hot: 30, Writes: 40, Reads: 800, Readers: 32,
		Heartbeat: 100 * time.Millisecond, ProofTTL: 300 * time.Millisecond, Bound: 1300 * time.Millisecond,
		TTL: 8 * time.Second, MaxStale: 2 * time.Second, Hold: 1200 * time.Millisecond, Quiet: 300 * time.Millisecond, Dawdling: 10,
	}
}

// long is for what has to come together.
const long = 40 * time.Second

// Mutations returns all of them.
func Mutations() []Mutation {
	few := func(c *Config) { c.Tenants, c.Hot = 6, 3 }
	handing := func(c *Config) {
		c.Nodes, c.Hold, c.Quiet, c.Tenants, c.Hot, c.Writes = 2, 1600*time.Millisecond, 100*time.Millisecond, 30, 30, 300
		c.For = long
	}
	return []Mutation{
		{"proof", "C0: FRESH needs a recent proof", []string{"node-stop"}, func(c *Config) { c.Tenants, c.Hot, c.For, c.Hold = 6, 6, long, 900*time.Millisecond }},
		{"subscribe", "C1: no generation before the channels are confirmed", []string{"bus-cut", "bus-silent"}, func(c *Config) { c.For, c.Writes, c.Hold = long, 100, 800*time.Millisecond }},
		{"lease", "C2: an event revokes the leases of its entry", []string{"origin-late"}, few},
		{"marks", "C2: an event leaves a mark for the list in flight", []string{"origin-late-lists"}, func(c *Config) {
			c.Hold, c.Tenants, c.Hot, c.Writes, c.Readers, c.TTL = time.Minute, 60, 60, 250, 64, 4*time.Second
			c.For = long
		}},
		{"floor", "C3: an invalidation leaves its version as a floor", []string{"flood"}, nil},
		{"confirm", "C4: an unversioned value is provisional until confirmed", []string{"flood"}, few},
		{"etag", "C4: an event's value drops the ETag", []string{"flood"}, few},
		{"beats", "C5: a beat that does not come back is a doubt", []string{"bus-deaf"}, few},
		{"generation", "C6: a read counts for the generation in which it began", []string{"bus-cut"}, func(c *Config) {
			c.Hold, c.Quiet, c.Tenants, c.Hot, c.Writes, c.Readers, c.Dawdling = 250*time.Millisecond, 2200*time.Millisecond, 40, 40, 300, 64, 900
			c.Concurrency = 256
			c.For = long
		}},
		{"fence", "C7: what is handed over is from after everything that was published before", []string{"node-join-late"}, handing},
		{"marks-handoff", "C2: an event leaves a mark for what is being handed over", []string{"node-join-late"}, func(c *Config) {
			handing(c)
			c.Mutation, c.Tenants, c.Hot, c.Writes, c.Readers = "marks", 120, 120, 400, 64
		}},
		{"completeness", "C10: an event for an absent key leaves a stub", nil, func(c *Config) {
			c.Calm, c.Turnover, c.TTL, c.Writes, c.For = true, true, 6*time.Second, 120, long
		}},
	}
}

// Caught are the rules of the checker by which a mutation is caught.
func Caught() []checker.Rule { return []checker.Rule{checker.RuleFresh, checker.RuleAge} }

// Apply returns the run that brings the mutation to light.
func (m Mutation) Apply(c Config) Config {
	c.Mutation, c.Faults, c.Until = m.Name, m.faults, Caught()
	if m.adjust != nil {
		m.adjust(&c)
	}
	return c
}

// Caught says whether the run caught its mutation.
func (r *Result) Caught() bool {
	for _, rule := range Caught() {
		if r.ByRule[string(rule)] > 0 {
			return true
		}
	}
	return false
}
