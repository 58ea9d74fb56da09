package trial

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/history"
)

// EndResult is what came of a play.
type EndResult struct {
	Seed    uint64  `json:"seed"`
	Nodes   int     `json:"nodes"`
	Tenants int     `json:"tenants"`
	Seconds float64 `json:"seconds"`
	Reads   int     `json:"reads_checked"`
	Commits int     `json:"commits"`
	Steps   []*Step `json:"steps"`
	// Limit is what the slowest read within the window of the kill may take.
	Limit string `json:"slowest_allowed"`
	limit time.Duration
	// slower is how many times the p99 of the start that of other steps may be; moved
	// says that nodes come and go in order.
	slower float64
	moved  bool
	// Errors are the reads without an answer, by how they ended, that were sent to a
	// node that ran; Missing tells of the first.
	Errors     map[string]int `json:"errors,omitempty"`
	Busy       int            `json:"errors_on_a_busy_machine,omitempty"`
	Missing    []string       `json:"missing,omitempty"`
	Violations int            `json:"violations"`
	ByRule     map[string]int `json:"violations_by_rule,omitempty"`
	Histories  []string       `json:"histories,omitempty"`
	// OldestFresh is the longest that a value was answered FRESH after the event of
	// its successor was acknowledged.
	OldestFresh string `json:"oldest_fresh"`
	Bound       string `json:"bound"`
}

// result sums the play up.
func (s *stage) result() *EndResult {
	all := s.run.result()
	res := &EndResult{
		Seed: s.Seed, Nodes: s.Nodes, Tenants: s.Tenants, Seconds: all.Seconds, Reads: all.Reads, Commits: all.Commits,
		Steps: s.steps, Limit: s.Slowest.String(), limit: s.Slowest, Errors: all.Errors, Busy: all.Busy, Missing: all.Missing,
		Violations: all.Violations, ByRule: all.ByRule, Histories: all.Histories, OldestFresh: all.OldestFresh, Bound: all.Bound,
	}
	for _, step := range s.steps {
		step.At, step.Lasted = step.begin.Seconds(), (step.end - step.begin).Seconds()
	}
	took := make(map[*Step][]float64)
	for _, q := range s.log.Reads(0) {
		if step := s.during(&q); step != nil && s.count(step, &q) {
			took[step] = append(took[step], (q.Done - q.Sent).Seconds())
		}
	}
	for step, all := range took {
		slices.Sort(all)
		step.P50, step.P99 = percentile(all, 0.5), percentile(all, 0.99)
	}
	res.slower, res.moved = s.Slower, s.inOrder
	return res
}

// percentile returns the value of a sorted part that so much of it is at most.
func percentile(sorted []float64, part float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)]
}

// during returns the step in which a read was sent, or which began meanwhile.
func (s *stage) during(q *history.Read) (last *Step) {
	for _, step := range s.steps {
		if step.begin <= q.Done {
			last = step
		}
	}
	return last
}

// count counts a read, and reports whether what it took is to be counted with that of
// others: it was sent before all was settled, to a node that ran.
func (s *stage) count(step *Step, q *history.Read) (settling bool) {
	step.Reads++
	switch {
	case s.log.Struck(q):
		if !q.Answered() {
			step.Gone++
		}
		return false
	case q.Result != history.Unreachable && s.pulse.busy(q):
		step.Busy++
		return false
	case !q.Answered():
		step.Errors++
	}
	if q.Sent <= step.begin+s.Window {
		step.Slowest = max(step.Slowest, (q.Done - q.Sent).Seconds())
	}
	return step.Name == stepStart || q.Sent <= step.end+history.Time(step.Settled*float64(time.Second))
}

// Good says that nothing is missed.
func (r *EndResult) Good() bool { return len(r.missed()) == 0 }

// missed returns what is missed.
func (r *EndResult) missed() (all []string) {
	if r.Violations > 0 {
		all = append(all, fmt.Sprintf("%d answers broke the promise: %v", r.Violations, r.ByRule))
	}
	if len(r.Errors) > 0 {
		all = append(all, fmt.Sprintf("reads had no answer from a node that ran: %v", r.Errors))
	}
	for _, s := range r.Steps {
		if s.Wrong > 0 {
			all = append(all, fmt.Sprintf("%s: %d of %d channels have too many or too few subscribers", s.Name, s.Wrong, s.Channels))
		}
		if s.Name == stepKill && s.Slowest > r.limit.Seconds() {
			all = append(all, fmt.Sprintf("%s: a read took %.3f s, at most %s", s.Name, s.Slowest, r.Limit))
		}
		all = append(all, r.missedMoves(s)...)
	}
	return all
}

// Print writes the result for people.
func (r *EndResult) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "seed %d, %.0f s, %d nodes at first, %d tenants: %d reads checked, %d commits\n\n", r.Seed, r.Seconds, r.Nodes, r.Tenants, r.Reads, r.Commits)
	fmt.Fprintln(w, "step\tnode\tat\tlasted\tmembers\treads\terrors\tby a node that is gone\tmachine busy\tslowest\tchannels\twrong\tsettled after\tp50\tp99\t")
	for _, s := range r.Steps {
		fmt.Fprintf(w, "%s\t%s\t%.1f s\t%.1f s\t%d\t%d\t%d\t%d\t%d\t%.3f s\t%d\t%d\t%.1f s\t%.1f ms\t%.1f ms\t\n",
			s.Name, s.Node, s.At, s.Lasted, s.Members, s.Reads, s.Errors, s.Gone, s.Busy, s.Slowest, s.Channels, s.Wrong, s.Settled, 1e3*s.P50, 1e3*s.P99)
	}
	r.printMoves(w)
	fmt.Fprintf(w, "\noldest FRESH answer: %s after its successor was announced, the bound is %s\nreads without an answer while the machine was too busy: %d\nviolations: %d %v\n", r.OldestFresh, r.Bound, r.Busy, r.Violations, r.ByRule)
	for _, m := range r.missed() {
		fmt.Fprintf(w, "MISSED  %s\n", m)
	}
	for _, m := range r.Missing {
		fmt.Fprintln(w, m)
	}
	for _, h := range r.Histories {
		fmt.Fprintf(w, "\n%s", h)
	}
	return w.Flush()
}
