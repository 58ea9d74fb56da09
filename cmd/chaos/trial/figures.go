package trial

import (
	"context"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/origin"
	"github.com/tenantry/tenantry/cmd/chaos/world"
)

// Moves is what moved in a step from node to node.
type Moves struct {
	// Taken is how often a node took a tenant from another, or what it lacked of one;
	// HandedOver how often a node let go of one that its owners had taken: so many
	// tenants have got another owner. InVain is how often a node asked another for one in
	// vain, or gave up handing one over; InVainBy by the outcome that nodes count: refused
	// is who asked a node that had none of it, and then another.
	Taken      float64            `json:"tenants_taken"`
	HandedOver float64            `json:"tenants_handed_over"`
	InVain     float64            `json:"handoffs_in_vain"`
	InVainBy   map[string]float64 `json:"handoffs_in_vain_by_outcome,omitempty"`
	// Entries and Bytes are what was taken.
	Entries float64 `json:"entries_taken"`
	Bytes   float64 `json:"bytes_taken"`
	// Emptied is the longest that a node which left still held a tenant, in seconds.
	Emptied float64 `json:"emptied_seconds"`
	// CPU is what all nodes took, in seconds of a core.
	CPU float64 `json:"cpu_seconds"`
	// Lists and Items are what the origin was asked for, without what is never kept for
	// long; Usual is what it would have been at the pace of the start.
	Lists uint64  `json:"origin_lists"`
	Items uint64  `json:"origin_items"`
	Usual float64 `json:"origin_items_as_usual"`
	// Looks is how often the subscribers of all tenants were looked at, Fewest the
	// fewest that one had, Dark how many tenants were seen without any.
	Looks  int   `json:"looks_at_subscribers"`
	Fewest int64 `json:"fewest_subscribers"`
	Dark   int   `json:"tenants_without_subscriber"`
}

// figures adds up what nodes count, which begin anew with each start.
type figures struct {
	last    map[string]map[string]float64 // by node
	sum     map[string]float64
	asked   uint64 // of the origin, when the step began
	lists   uint64
	pace    float64 // of the items asked for in the first step, a second
	emptied time.Duration
	seen    subscribed
	stop    func()
}

// look adds what has come since the last look at all nodes that serve.
func (f *figures) look(ctx context.Context, s *stage) error {
	for _, n := range s.world.Running() {
		m, err := n.Metrics(ctx)
		if err != nil {
			return err
		}
		f.add(n.Name, m)
	}
	return nil
}

// add adds what has come since the last look at a node.
func (f *figures) add(node string, m map[string]float64) {
	for name, v := range m {
		f.sum[name] += v - f.last[node][name]
	}
	f.last[node] = m
}

// forget notes that a node is to begin anew.
func (f *figures) forget(node string) { delete(f.last, node) }

// begin notes where a step begins.
func (f *figures) begin(ctx context.Context, s *stage) error {
	if f.last == nil {
		f.last, f.sum = make(map[string]map[string]float64), make(map[string]float64)
	}
	if err := f.look(ctx, s); err != nil {
		return err
	}
	f.sum, f.emptied = make(map[string]float64), 0
	f.asked, f.lists = s.origin.Kept(), s.origin.Lists()
	watching, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	f.seen = subscribed{fewest: -1, dark: make(map[int]bool)}
	go func() {
		defer close(ended)
		f.seen.watch(watching, s)
	}()
	f.stop = func() { stop(); <-ended }
	return nil
}

// end tells the step what has come since its begin.
func (f *figures) end(ctx context.Context, s *stage, step *Step) error {
	f.stop()
	if err := f.look(ctx, s); err != nil {
		return err
	}
	f.tell(&step.Moves)
	step.Lists = s.origin.Lists() - f.lists
	step.Items = s.origin.Kept() - f.asked - step.Lists
	lasted := (s.log.Now() - step.begin).Seconds()
	if f.pace == 0 {
		f.pace = float64(step.Items) / lasted
	}
	step.Usual = f.pace * lasted
	return nil
}

func (f *figures) tell(m *Moves) {
	outcome := func(name string) float64 { return f.sum[`tenantry_handoffs_total{outcome="`+name+`"}`] }
	m.Taken, m.HandedOver = outcome("imported"), outcome("handed_over")
	m.InVainBy = make(map[string]float64)
	for _, name := range []string{"doubted", "broken", "refused", "given_up"} {
		if n := outcome(name); n > 0 {
			m.InVainBy[name] = n
			m.InVain += n
		}
	}
	m.Entries, m.Bytes = f.sum[`tenantry_handoff_entries_total{direction="in"}`], f.sum[`tenantry_handoff_bytes_total{direction="in"}`]
	m.Emptied, m.CPU = f.emptied.Seconds(), f.sum["process_cpu_seconds_total"]
	m.Looks, m.Fewest, m.Dark = f.seen.looks, max(f.seen.fewest, 0), len(f.seen.dark)
}

// looking is the time between two looks, at the subscribers of all tenants and at a
// node that leaves.
const looking = 200 * time.Millisecond

// drain has a node leave in order, and notes what it counts until it is gone.
func (s *stage) drain(ctx context.Context, n *world.Node) error {
	ended, begin := make(chan error, 1), s.log.Now()
	go func() { ended <- n.Drain(ctx) }()
	for {
		select {
		case err := <-ended:
			s.figures.forget(n.Name)
			return err
		case <-time.After(looking):
			if m, err := n.Metrics(ctx); err == nil { // it may be gone
				s.figures.leaving(n.Name, m, s.log.Now()-begin)
			}
		}
	}
}

// leaving notes what a node counts that has been leaving for a while.
func (f *figures) leaving(node string, m map[string]float64, since time.Duration) {
	if f.last[node]["tenantry_active_tenants"] > 0 {
		f.emptied = max(f.emptied, since)
	}
	f.add(node, m)
}

// subscribed is what was seen of the subscribers of all tenants.
type subscribed struct {
	looks  int
	fewest int64 // -1: nothing was seen
	dark   map[int]bool
}

// watch looks until ctx ends.
func (d *subscribed) watch(ctx context.Context, s *stage) {
	channels := make([]string, s.Tenants)
	for t := range channels {
		channels[t] = origin.Channel(origin.Tenant(t))
	}
	for world.Pause(ctx, looking) {
		got, err := s.world.Bus.PubSubNumSub(ctx, channels...).Result()
		if err != nil {
			return // ctx has ended, or the run fails
		}
		d.see(channels, got)
	}
}

// see notes how many subscribers each tenant's channel has.
func (d *subscribed) see(channels []string, got map[string]int64) {
	d.looks++
	for t, name := range channels {
		n := got[name]
		if d.fewest < 0 || n < d.fewest {
			d.fewest = n
		}
		if n == 0 {
			d.dark[t] = true
		}
	}
}
