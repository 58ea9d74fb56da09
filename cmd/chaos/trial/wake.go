package trial

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/cmd/chaos/history"
	"github.com/tenantry/tenantry/cmd/chaos/world"
)

// Sleep says how nodes are stopped.
type Sleep struct {
	// Nodes are how many there are, each in a world of its own; Times is how many
	// wake-ups all of them have together.
	Nodes, Times int
	// Stop is how long a node is stopped, but no multiple of [traffic.Patience]: all
	// readers would give up just as it wakes. Pause is how long it runs before the
	// next time; at least a second.
	Stop, Pause time.Duration
	// Burst is how many requests per second new readers send in the first second
	// after a node wakes.
	Burst float64
}

// DefaultSleep stops ten nodes ten times each, for ten seconds.
func DefaultSleep() Sleep {
	return Sleep{Nodes: 10, Times: 100, Stop: 10 * time.Second, Pause: 3 * time.Second, Burst: 400}
}

// Waking returns the run of one of the nodes: few tenants, of which everything
// changes while the node is stopped.
func Waking(seed uint64, binary, dir string) Config {
	return Config{
		Binary: binary, Dir: dir, Seed: seed, Tenants: 4, Writes: 40, Reads: 150, Readers: 24, Dawdling: 10,
		Heartbeat: time.Second, ProofTTL: 3 * time.Second, Bound: 4 * time.Second, TTL: time.Minute, MaxStale: 5 * time.Second, Calm: true,
	}
}

// atOnce is the time after waking of which the answers are counted.
const atOnce = time.Second

// Woken is what nodes answered when they woke.
type Woken struct {
	Nodes   int     `json:"nodes"`
	Wakes   int     `json:"wake_ups"`
	Stop    string  `json:"stopped_for"`
	Seconds float64 `json:"seconds"`
	Reads   int     `json:"reads_checked"`
	// Waiting are the reads that were sent before a node woke and ended within the
	// first second after it did, New those that were sent within it.
	Waiting Phase `json:"waiting"`
	New     Phase `json:"new"`
	// Failures are those of both that had neither a value nor an absence.
	Failures map[string]int `json:"failures,omitempty"`
	// OldestFresh is the longest that a value was answered FRESH after the event of
	// its successor was acknowledged, in the whole run.
	OldestFresh string `json:"oldest_fresh"`
	Bound       string `json:"bound"`
	oldest      time.Duration
	Violations  int            `json:"violations"`
	ByRule      map[string]int `json:"violations_by_rule,omitempty"`
	Histories   []string       `json:"histories,omitempty"`
}

// Wake stops nodes again and again and checks every answer.
func Wake(ctx context.Context, cfg Config, s Sleep) (*Woken, error) {
	if s.Nodes < 1 || s.Times < 1 || s.Pause < atOnce {
		return nil, errors.New("there must be a node, a time, and a second between two")
	}
	sleepers, err := laid(ctx, cfg, s)
	defer closeAll(sleepers)
	if err != nil {
		return nil, err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, one := range sleepers {
		g.Go(func() error { return one.live(ctx) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	res := &Woken{
		Nodes: s.Nodes, Stop: s.Stop.String(), Bound: cfg.Bound.String(), oldest: -cfg.Bound,
		Waiting: Phase{Name: "sent before"}, New: Phase{Name: "sent after"}, Failures: make(map[string]int), ByRule: make(map[string]int),
	}
	for _, one := range sleepers {
		one.sum(res)
	}
	res.OldestFresh = res.oldest.Round(time.Millisecond).String()
	return res, nil
}

// sleeper is one node and its run.
type sleeper struct {
	*run
	Sleep
	number int
	wakes  []history.Time
}

// times is how often this node is stopped.
func (s *sleeper) times() int {
	n := s.Times / s.Nodes
	if s.number < s.Times%s.Nodes {
		n++
	}
	return n
}

// laid makes the worlds one by one, so that no two choose the same ports. Those
// returned are to be closed even after an error.
func laid(ctx context.Context, cfg Config, s Sleep) (all []*sleeper, err error) {
	cfg.Hot = cfg.Tenants // everything changes
	dir, seed := cfg.Dir, cfg.Seed
	for n := range s.Nodes {
		cfg.Dir, cfg.Seed = filepath.Join(dir, strconv.Itoa(n)), seed+uint64(n)
		if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
			return all, err
		}
		r, err := begin(ctx, cfg)
		if err != nil {
			return all, err
		}
		all = append(all, &sleeper{run: r, Sleep: s, number: n})
	}
	return all, nil
}

func closeAll(sleepers []*sleeper) {
	for _, s := range sleepers {
		s.world.Close()
	}
}

// live makes the run of one node.
func (s *sleeper) live(ctx context.Context) error {
	cycle := s.Stop + s.Pause
	if err := s.drive(ctx, time.Duration(s.times()+2)*cycle+startTimeout, s.sleep); err != nil {
		return err
	}
	if len(s.wakes) < s.times() {
		return errors.New("the run ended before the last wake-up")
	}
	s.check(true)
	return nil
}

// startTimeout is for a busy machine.
const startTimeout = time.Minute

// sleep stops the node and lets it go on. The nodes begin one after another, so
// that they do not wake all at once.
func (s *sleeper) sleep(ctx context.Context) error {
	cycle := s.Stop + s.Pause
	world.Pause(ctx, s.Pause+cycle*time.Duration(s.number)/time.Duration(s.Nodes))
	for range s.times() {
		end := s.log.Begin(history.Fault{Type: "node-stop", Loses: true})
		s.world.Nodes()[0].Stop()
		whole := world.Pause(ctx, s.Stop)
		woke := s.log.Now()
		s.world.Nodes()[0].Continue()
		end()
		if !whole {
			return nil
		}
		s.burst(ctx)
		if !world.Pause(ctx, s.Pause-(s.log.Now()-woke)) {
			return nil
		}
		s.wakes = append(s.wakes, woke)
	}
	return nil
}

// burst has new readers read for the first second.
func (s *sleeper) burst(ctx context.Context) {
	// Not by a deadline, of which the node would be told: it answers in time that
	// there is none left.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.AfterFunc(atOnce, cancel)
	defer timer.Stop()
	readers := s.readers()
	readers.PerSecond = s.Burst
	readers.Run(ctx, s.Seed+uint64(len(s.wakes))+1)
}

// sum adds what this node answered.
func (s *sleeper) sum(res *Woken) {
	mine := s.result()
	res.Wakes += len(s.wakes)
	res.Seconds = max(res.Seconds, mine.Seconds)
	res.Reads += mine.Reads
	res.Violations += mine.Violations
	for rule, n := range mine.ByRule {
		res.ByRule[rule] += n
	}
	res.Histories = append(res.Histories, mine.Histories...)
	res.oldest = max(res.oldest, mine.oldest)
	for _, q := range s.log.Reads(0) {
		s.count(&q, res)
	}
}

// count counts a read that ended within the first second after a wake-up.
func (s *sleeper) count(q *history.Read, res *Woken) {
	for _, woke := range s.wakes {
		if q.Done < woke || q.Done > woke+atOnce {
			continue
		}
		phase := &res.New
		if q.Sent < woke {
			phase = &res.Waiting
		}
		phase.add(q, s.log.Kinds[s.log.Entries[q.Entry].Kind].Critical)
		if !q.Answered() {
			res.Failures[q.Result.String()]++
		}
	}
}
