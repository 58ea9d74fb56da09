package trial

import (
	"context"
	"errors"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/history"
)

// Recovery is how a node that holds many tenants comes back from one fault. Times
// are in seconds.
type Recovery struct {
	Fault   string `json:"fault"`
	Tenants int    `json:"tenants"`
	// Entries and HeldLists are what the node held before.
	Entries   int `json:"entries"`
	HeldLists int `json:"held_lists"`
	// Lasted is how long the fault did, Doubt when the first sign of it was noticed,
	// counted from its begin.
	Lasted float64 `json:"fault_seconds"`
	Doubt  float64 `json:"to_doubt_seconds"`
	// Fresh is from the end of the fault to when 99 % of the critical reads of every
	// half second were FRESH, Memory the same of FRESH without asking the origin;
	// reads of what just changed are left out.
	Fresh  float64 `json:"to_fresh_seconds"`
	Memory float64 `json:"to_fresh_from_memory_seconds"`
	// Settled is from there to when no tenant was doubtful any more.
	Settled float64 `json:"to_settled_seconds"`
	// Lists and Items were asked of the origin from the begin of the fault until
	// then; a list of two pages is two requests. MostLists and Most (both sorts) are
	// the most within one second.
	Lists     uint64 `json:"lists_asked"`
	Items     uint64 `json:"items_asked"`
	MostLists uint64 `json:"most_lists_a_second"`
	Most      uint64 `json:"most_requests_a_second"`
	// ItemsBefore is how many items a second were asked of the origin before the
	// fault: what is read for the first time, or has a TTL of seconds.
	ItemsBefore float64 `json:"items_a_second_before"`
	// Reads is how many were checked, Failed how many had no answer, of the whole run.
	Reads      int            `json:"reads_checked"`
	Failed     int            `json:"reads_failed"`
	Violations int            `json:"violations"`
	ByRule     map[string]int `json:"violations_by_rule,omitempty"`
	// Histories has the shortest history of a violation.
	Histories []string `json:"histories,omitempty"`
}

// Calmly returns the run in which a recovery is measured: moderate reads, a few
// changes, a node as it is by default.
func Calmly(seed uint64, binary, dir string, tenants int) Config {
	return Config{
		Binary: binary, Dir: dir, Seed: seed, For: 10 * time.Minute, Tenants: tenants, Writes: 10, Reads: 1000, Readers: 32,
		Heartbeat: time.Second, ProofTTL: 3 * time.Second, Bound: 4 * time.Second, TTL: time.Hour, MaxStale: 5 * time.Minute,
		Quiet: 5 * time.Second, Calm: true,
	}
}

// Recover has all tenants active and live, strikes once, and measures. Nothing
// else happens for [Config.Quiet] before the fault and after the recovery.
func Recover(ctx context.Context, cfg Config, fault string) (*Recovery, error) {
	cfg.Hot = cfg.Tenants // all are read and changed alike
	r, err := begin(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer r.world.Close()
	if err := r.activate(ctx); err != nil {
		return nil, err
	}
	w := &watch{run: r, fault: fault}
	if err := r.drive(ctx, r.For, w.one); err != nil {
		return nil, err
	}
	if !w.over {
		return nil, errors.New("the run ended before the node had recovered")
	}
	r.check(true)
	return w.result(), nil
}

// result puts together what was seen of the node and of the origin, and what the
// reads say.
func (w *watch) result() *Recovery {
	res := &Recovery{
		Fault: w.fault, Tenants: w.Tenants, Entries: w.entries, HeldLists: w.Tenants * w.criticalKinds(), Lasted: (w.end - w.begin).Seconds(),
		Violations: w.broken, ByRule: w.byRule, Histories: w.histories(),
	}
	settled := w.settled()
	res.Doubt, res.Settled = (w.doubted() - w.begin).Seconds(), (settled - w.end).Seconds()
	_, before := w.tally.between(0, w.begin)
	res.ItemsBefore = float64(before) / (w.begin - w.tally[0].at).Seconds()
	res.Lists, res.Items = w.tally.between(w.begin, settled)
	res.MostLists, res.Most = w.tally.most(w.begin, settled)
	w.count(res)
	return res
}

// count counts the reads, and those since the fault by window.
func (w *watch) count(res *Recovery) {
	var fresh, memory shares
	for _, q := range w.log.Reads(0) {
		if res.Reads++; !q.Answered() {
			res.Failed++
		}
		if q.Sent < w.end || !w.log.Kinds[w.log.Entries[q.Entry].Kind].Critical || !q.Plain() || w.unsettled(&q) {
			continue
		}
		at := int((q.Sent - w.end) / window)
		fresh.add(at, q.Answered() && q.State == history.Fresh)
		if q.Way != history.REST { // which does not say
			memory.add(at, q.Answered() && q.State == history.Fresh && q.Source != history.FromOrigin)
		}
	}
	res.Fresh, res.Memory = fresh.last().Seconds(), memory.last().Seconds()
}

func (r *run) criticalKinds() (n int) {
	for i := range r.log.Kinds {
		if r.log.Kinds[i].Critical {
			n++
		}
	}
	return n
}

// window is the time of which 99 % are asked for.
const window = 500 * time.Millisecond

// shares counts by window.
type shares struct{ part, of []int }

func (s *shares) add(at int, part bool) {
	if grow := at + 1 - len(s.of); grow > 0 {
		s.of, s.part = append(s.of, make([]int, grow)...), append(s.part, make([]int, grow)...)
	}
	s.of[at]++
	if part {
		s.part[at]++
	}
}

// last returns the end of the last window of which less than 99 % were good. The
// very last one is not whole, and does not count.
func (s *shares) last() time.Duration {
	for at := len(s.of) - 2; at >= 0; at-- {
		if 100*s.part[at] < 99*s.of[at] {
			return time.Duration(at+1) * window
		}
	}
	return 0
}
