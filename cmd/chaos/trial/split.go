package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/history"
	"github.com/tenantry/tenantry/cmd/chaos/netns"
	"github.com/tenantry/tenantry/cmd/chaos/world"
)

// Parting says how the network of a cluster is parted and healed.
type Parting struct {
	// Whole is how long it is whole before, Parted how long it stays in halves, Healed
	// how long the run goes on once there is one ring again.
	Whole, Parted, Healed time.Duration
	// Apart and Together are the most until the halves have rings of their own, and
	// until there is one ring again.
	Apart, Together time.Duration
}

// DefaultParting takes about two minutes.
func DefaultParting() Parting {
	return Parting{Whole: 10 * time.Second, Parted: 40 * time.Second, Healed: 15 * time.Second, Apart: 30 * time.Second, Together: 30 * time.Second}
}

// SplitResult is what came of a parting. Times are in seconds.
type SplitResult struct {
	Seed    uint64  `json:"seed"`
	Nodes   int     `json:"nodes"`
	Tenants int     `json:"tenants"`
	Seconds float64 `json:"seconds"`
	Reads   int     `json:"reads_checked"`
	// Apart is from the parting until each half had a ring of its own, Together from
	// the healing until there was one again; -1: not in time.
	Apart    float64 `json:"to_two_rings_seconds"`
	Together float64 `json:"to_one_ring_seconds"`
	// Halves has what each half was asked, and answered, while they were parted.
	Halves [2]Phase `json:"halves"`
	// Errors are the reads without an answer, Slowest the longest that one took.
	Errors     map[string]int `json:"errors,omitempty"`
	Slowest    float64        `json:"slowest_seconds"`
	Violations int            `json:"violations"`
	ByRule     map[string]int `json:"violations_by_rule,omitempty"`
	Histories  []string       `json:"histories,omitempty"`
}

// Split runs a cluster whose nodes have a network namespace each, parts the network
// into halves that both reach Redis and the origin, and heals it.
func Split(ctx context.Context, cfg Config, p Parting) (*SplitResult, error) {
	net, err := netns.New(ctx, cfg.Nodes)
	if err != nil {
		return nil, err
	}
	cfg.Net = net
	res, err := split(ctx, cfg, p)
	return res, errors.Join(err, net.Close())
}

func split(ctx context.Context, cfg Config, p Parting) (*SplitResult, error) {
	r, err := begin(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer r.world.Close()
	s := &splitting{stage: stage{run: r}, Parting: p, res: &SplitResult{
		Seed: cfg.Seed, Nodes: cfg.Nodes, Tenants: cfg.Tenants, Apart: -1, Together: -1,
	}}
	s.res.Halves = [2]Phase{{Name: "first half"}, {Name: "second half"}}
	if err := s.warm(ctx); err != nil {
		return nil, err
	}
	finished := false
	most := p.Whole + p.Parted + p.Healed + p.Apart + p.Together + startTimeout
	err = s.drive(ctx, most, func(ctx context.Context) error {
		err := s.play(ctx)
		finished = err == nil && ctx.Err() == nil
		return unlessOver(ctx, err)
	})
	if err == nil && !finished {
		err = errors.New("the run ended before the network was whole again")
	}
	if err != nil {
		return nil, err
	}
	s.check(true)
	return s.sum(), nil
}

// splitting is a parting being made.
type splitting struct {
	stage
	Parting
	res          *SplitResult
	parted, heal history.Time
}

func (s *splitting) play(ctx context.Context) error {
	world.Pause(ctx, s.Whole)
	s.parted = s.log.Now()
	end := s.log.Begin(history.Fault{Type: "network-split"})
	if err := s.Net.Part(ctx); err != nil {
		return err
	}
	s.res.Apart = s.until(ctx, s.Apart, s.inHalves)
	world.Pause(ctx, s.Parted-(s.log.Now()-s.parted))
	s.heal = s.log.Now()
	err := s.Net.Heal(ctx)
	end()
	if err != nil {
		return err
	}
	s.res.Together = s.until(ctx, s.Together, s.together)
	world.Pause(ctx, s.Healed)
	return nil
}

// until waits for something, at most for a time, and returns after how many seconds
// it was so; -1: it was not.
func (s *splitting) until(ctx context.Context, most time.Duration, so func(context.Context) bool) float64 {
	begin := s.log.Now()
	for !so(ctx) {
		if s.log.Now()-begin > most || !world.Pause(ctx, settleInterval) {
			return -1
		}
	}
	return (s.log.Now() - begin).Seconds()
}

// inHalves says that the nodes of each half have one ring, and the halves two.
func (s *splitting) inHalves(ctx context.Context) bool {
	first, one := s.ringOf(ctx, 0)
	second, other := s.ringOf(ctx, 1)
	return one && other && first != second
}

func (s *splitting) together(ctx context.Context) bool {
	first, one := s.ringOf(ctx, 0)
	second, other := s.ringOf(ctx, 1)
	return one && other && first == second
}

// ringOf returns the epoch of a half's ring; false: its nodes have several.
func (s *splitting) ringOf(ctx context.Context, half int) (epoch float64, one bool) {
	for _, n := range s.world.Nodes() {
		if s.Net.Half(n.Number) != half {
			continue
		}
		m, err := n.Metrics(ctx)
		mine := m["tenantry_ring_epoch"]
		if err != nil || mine == 0 || epoch != 0 && mine != epoch {
			return 0, false
		}
		epoch = mine
	}
	return epoch, true
}

func (s *splitting) sum() *SplitResult {
	all, res := s.run.result(), s.res
	res.Seconds, res.Reads, res.Errors = all.Seconds, all.Reads, all.Errors
	res.Violations, res.ByRule, res.Histories = all.Violations, all.ByRule, all.Histories
	for _, q := range s.log.Reads(0) {
		if !s.pulse.busy(&q) {
			res.Slowest = max(res.Slowest, (q.Done - q.Sent).Seconds())
		}
		if q.Sent > s.parted && q.Done < s.heal {
			res.Halves[s.Net.Half(int(q.Node))].add(&q, s.log.Kinds[s.log.Entries[q.Entry].Kind].Critical)
		}
	}
	return res
}

// Good says that both halves went on, and that they came together.
func (r *SplitResult) Good() bool {
	went := func(p *Phase) bool { return p.Reads >= leastReads && p.Failed == 0 }
	return r.Violations == 0 && len(r.Errors) == 0 && r.Apart >= 0 && r.Together >= 0 && went(&r.Halves[0]) && went(&r.Halves[1])
}

// Print writes the result for people.
func (r *SplitResult) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "seed %d, %.0f s, %d nodes, %d tenants: %d reads checked\n\n", r.Seed, r.Seconds, r.Nodes, r.Tenants, r.Reads)
	fmt.Fprintln(w, "while parted\treads\tfresh\tprovisional\tstale\tfailed\t")
	for _, p := range r.Halves {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t\n", p.Name, p.Reads, p.Fresh, p.Provisional, p.Stale, p.Failed)
	}
	fmt.Fprintf(w, "\ntwo rings after %.1f s, one again %.1f s after the healing (-1: not in time)\n", r.Apart, r.Together)
	fmt.Fprintf(w, "slowest read %.3f s, without an answer: %v\nviolations: %d %v\n", r.Slowest, r.Errors, r.Violations, r.ByRule)
	for _, h := range r.Histories {
		fmt.Fprintf(w, "\n%s", h)
	}
	return w.Flush()
}
