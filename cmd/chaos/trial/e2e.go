package trial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/history"
	"github.com/tenantry/tenantry/cmd/chaos/world"
)

// Play says what happens to a cluster from end to end.
type Play struct {
	// Quiet is how long nothing happens before each step, and after the last.
	Quiet time.Duration
	// Window is the time from the begin of a step in which the slowest read is looked
	// for.
	Window time.Duration
	// Freeze is how long the node that is stopped stays so.
	Freeze time.Duration
	// Settle is the most that may pass from the end of a step until every channel has
	// as many subscribers as it should, and keeps them.
	Settle time.Duration
	// Slowest is the most that a read may take within the window of the kill.
	Slowest time.Duration
	// Slower is how many times as long as before most reads may take while nodes come
	// and go in order: at the 99th percentile; 0: however long.
	Slower float64
	// acts are the steps, inOrder says that in them nodes come and go in order.
	acts    func(*stage) []act
	inOrder bool
}

// DefaultPlay takes about two minutes.
func DefaultPlay() Play {
	return Play{
		Quiet: 15 * time.Second, Window: 15 * time.Second, Freeze: 10 * time.Second, Settle: 30 * time.Second, Slowest: time.Second,
		acts: (*stage).breaks,
	}
}

// FromEndToEnd returns the run in which a play is given: five nodes as they are by
// default, and everything changes all the time.
func FromEndToEnd(seed uint64, binary, dir string) Config {
	return Config{
		Binary: binary, Dir: dir, Seed: seed, Nodes: 5, Tenants: 200, Hot: 50, Writes: 50, Reads: 200, Readers: 24,
		Heartbeat: time.Second, ProofTTL: 3 * time.Second, Bound: 4 * time.Second, TTL: time.Minute, MaxStale: 5 * time.Second, Calm: true,
	}
}

// stage is a play being given.
type stage struct {
	*run
	Play
	steps   []*Step
	figures figures
}

// EndToEnd runs a cluster, adds a node, kills one, and stops one for a while, under
// traffic through all nodes of which every answer is checked.
func EndToEnd(ctx context.Context, cfg Config, p Play) (*EndResult, error) {
	r, err := begin(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer r.world.Close()
	s := &stage{run: r, Play: p}
	if err := s.warm(ctx); err != nil {
		return nil, err
	}
	if s.Items > 0 {
		if err := s.fill(ctx); err != nil {
			return nil, err
		}
	}
	finished := false
	acts := p.acts(s)
	most := time.Duration(len(acts))*(p.Quiet+p.Window+p.Settle) + p.Freeze + time.Duration(s.Nodes)*(startTimeout+s.Leisure)
	err = s.drive(ctx, most, func(ctx context.Context) error {
		err := s.play(ctx, acts)
		finished = err == nil && ctx.Err() == nil
		return unlessOver(ctx, err)
	})
	if err != nil {
		return nil, err
	}
	if !finished {
		return nil, errors.New("the run ended before the play")
	}
	s.check(true)
	return s.result(), nil
}

// warmingEach is what a tenant may take to be active.
const warmingEach = 30 * time.Millisecond

// warm has every tenant active on its owners, and nothing being loaded any more, so
// that the traffic begins with a cluster that is at work.
func (s *stage) warm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout+time.Duration(s.Tenants)*warmingEach)
	defer cancel()
	for asked := uint64(0); ; {
		if err := s.touchAll(ctx); err != nil {
			return err
		}
		before := asked
		asked = s.origin.Lists()
		_, wrong, err := s.subscribers(ctx, min(replicas, s.Nodes))
		if err != nil || wrong == 0 && asked == before {
			return err
		}
		if !world.Pause(ctx, time.Second) {
			return fmt.Errorf("%d channels have too many or too few subscribers, and lists are still being read", wrong)
		}
	}
}

// Step is what one step of a play came to.
type Step struct {
	Name string `json:"step"`
	// Node is the one that was struck, Members how many there were after it.
	Node    string `json:"node,omitempty"`
	Members int    `json:"members"`
	// At is when it began, Lasted how long it took; in seconds.
	At     float64 `json:"at_seconds"`
	Lasted float64 `json:"lasted_seconds"`
	// Reads were sent until the next step, Errors are those without an answer that
	// were sent to a node that ran, and Gone those that were sent to one that did not.
	Reads  int `json:"reads"`
	Errors int `json:"errors"`
	Gone   int `json:"to_a_node_that_is_gone"`
	// Busy are the reads that met a machine which had no time for this process
	// either: they are neither slow nor errors.
	Busy int `json:"on_a_busy_machine"`
	// Slowest is the longest that a read through a node that ran took, within the
	// window; in seconds.
	Slowest float64 `json:"slowest_seconds"`
	// Channels is how many there are, Wrong how many of them have too many or too few
	// subscribers in the end, Settled when some had for the last time, in seconds from
	// the end of the step.
	Channels int     `json:"channels"`
	Wrong    int     `json:"wrong_channels"`
	Settled  float64 `json:"settled_seconds"`

	// P50 and P99 are what half, and all but one in a hundred, of the reads took at most
	// from its begin until all was settled, or, of the start, all the time; in seconds.
	P50 float64 `json:"p50_seconds"`
	P99 float64 `json:"p99_seconds"`
	Moves

	begin, end history.Time
}

// The steps.
const (
	stepStart   = "start"
	stepAdd     = "add"
	stepKill    = "kill"
	stepFreeze  = "freeze"
	stepDrain   = "drain"
	stepRestart = "restart all"
	// Every node is restarted as another version.
	stepUpgrade   = "upgrade"
	stepDowngrade = "go back"
)

// act is a step as it is to be done, after which there are so many members.
type act struct {
	name, node string
	members    int
	do         func(context.Context) error
}

func (s *stage) starts() act {
	return act{stepStart, "", s.Nodes, func(context.Context) error { return nil }}
}

func (s *stage) adds() act {
	return act{stepAdd, fmt.Sprintf("n%d", s.Nodes+1), s.Nodes + 1, s.world.AddNode}
}

// breaks are the steps in which nodes break.
func (s *stage) breaks() []act {
	nodes := s.world.Nodes()
	killed, frozen := nodes[1], nodes[3%len(nodes)]
	return []act{
		s.starts(), s.adds(),
		{stepKill, killed.Name, s.Nodes, func(context.Context) error { killed.Kill(); return nil }},
		{stepFreeze, frozen.Name, s.Nodes, func(ctx context.Context) error {
			frozen.Stop()
			world.Pause(ctx, s.Freeze)
			frozen.Continue()
			return nil
		}},
	}
}

// play gives the steps, one after another.
func (s *stage) play(ctx context.Context, acts []act) error {
	for _, step := range acts {
		one := &Step{Name: step.name, Node: step.node, Members: step.members, begin: s.log.Now()}
		s.steps = append(s.steps, one)
		if err := s.figures.begin(ctx, s); err != nil {
			return err
		}
		end := s.log.Begin(history.Fault{Type: step.name, Node: step.node, Loses: true})
		err := step.do(ctx)
		end()
		if one.end = s.log.Now(); err != nil {
			return err
		}
		if err := s.settle(ctx, one); err != nil {
			return err
		}
		if err := s.figures.end(ctx, s, one); err != nil {
			return err
		}
	}
	return nil
}

// settle waits until every channel has had as many subscribers as it should for as
// long as there is to be quiet, and the window is over.
func (s *stage) settle(ctx context.Context, step *Step) error {
	right := step.end
	for {
		all, wrong, err := s.subscribers(ctx, min(replicas, step.Members))
		if err != nil {
			return err
		}
		now := s.log.Now()
		if step.Channels, step.Wrong = all, wrong; wrong > 0 {
			right = now
			step.Settled = (now - step.end).Seconds()
		}
		if now-right >= s.Quiet && now-step.begin >= s.Window || now-step.end > s.Settle+s.Quiet {
			return nil
		}
		if !world.Pause(ctx, settleInterval) {
			return ctx.Err()
		}
	}
}

const (
	// replicas is the nodes' ring.replicas, as it is by default.
	replicas       = 2
	settleInterval = 200 * time.Millisecond
)

// subscribers asks Redis for the subscribers of every channel of every tenant, and
// returns how many channels there are, and how many of them have not as many
// subscribers as wanted.
func (s *stage) subscribers(ctx context.Context, want int) (all, wrong int, err error) {
	channels := s.origin.Channels()
	got, err := s.world.Bus.PubSubNumSub(ctx, channels...).Result()
	if err != nil {
		return 0, 0, err
	}
	for _, name := range channels {
		if got[name] != int64(want) {
			wrong++
		}
	}
	return len(channels), wrong, nil
}
