package trial

import (
	"slices"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/checker"
	"github.com/tenantry/tenantry/cmd/chaos/history"
)

// Result is what came of a run.
type Result struct {
	Seed     uint64 `json:"seed"`
	Mutation string `json:"mutation,omitempty"`
	// Seconds is how long the run was.
	Seconds float64 `json:"seconds"`
	Bound   string  `json:"bound"`
	Tenants int     `json:"tenants"`
	Reads   int     `json:"reads_checked"`
	Commits int     `json:"commits"`
	Events  int     `json:"events"`
	Asked   uint64  `json:"origin_requests"`
	// Violations is how many reads broke a rule, ByRule which.
	Violations int            `json:"violations"`
	ByRule     map[string]int `json:"violations_by_rule,omitempty"`
	// Failures are the reads that had neither a value nor an absence.
	Failures map[string]int `json:"failures,omitempty"`
	// Nodes is how many there were. Of several, Errors are the failures, by how they
	// ended, of reads that were sent to a node that ran, while nothing was wrong with
	// the origin: there should be none. Busy are those of them that met a machine
	// which had no time for this process either: of these nothing is known.
	Nodes  int            `json:"nodes"`
	Errors map[string]int `json:"errors,omitempty"`
	Busy   int            `json:"errors_on_a_busy_machine,omitempty"`
	// Missing tells of the first of them.
	Missing []string `json:"missing,omitempty"`
	// Unseen are the types of faults within which fewer than 1,000 reads were answered.
	Unseen []string `json:"unseen_faults,omitempty"`
	// Phases has a row for each type of fault, for the time after faults, and for
	// the quiet.
	Phases []Phase `json:"phases"`
	// OldestFresh is the longest that a value was still answered FRESH after the
	// event of its successor was acknowledged (or it was replaced, whichever was
	// later); the promise is that it is at most the bound.
	OldestFresh        string `json:"oldest_fresh"`
	oldest             time.Duration
	OldestUnannounced  string `json:"oldest_fresh_unannounced"` // replaced, and nobody said so
	unannounced        time.Duration
	Liveness           []Share  `json:"liveness"`
	Histories          []string `json:"histories,omitempty"`
	Samples            []Sample `json:"samples,omitempty"`
	slack              float64
	TimeToFirstFinding float64 `json:"first_violation_at_seconds,omitempty"`
}

// Share is a part that is to reach a goal.
type Share struct {
	Name  string  `json:"name"`
	Part  int     `json:"part"`
	Of    int     `json:"of"`
	Least float64 `json:"least"`
	// Others are what the others were answered with.
	Others map[string]int `json:"others,omitempty"`
}

// leastReads is how many reads say something of a share, or of a type of fault.
const leastReads = 1000

// Met says whether the goal is reached, by enough reads to say so.
func (s *Share) Met() bool {
	return s.Of >= leastReads && float64(s.Part) >= s.Least*float64(s.Of)
}

// Phase is what was answered in one sort of time.
type Phase struct {
	Name  string `json:"name"`
	Times int    `json:"times"`
	Reads int    `json:"reads"`
	// By state, and the rest.
	Fresh       int `json:"fresh"`
	Provisional int `json:"provisional"`
	Stale       int `json:"stale"`
	Failed      int `json:"failed"`
	// Of those of a cluster: sent to a node that was killed or stopped; and of the
	// others, sent while nothing was wrong with the origin. Slowest is the longest
	// that any but the former took, in seconds. Those on a busy machine do not count.
	Struck  int     `json:"struck,omitempty"`
	Errors  int     `json:"errors,omitempty"`
	Slowest float64 `json:"slowest_seconds,omitempty"`
	// Read and answered by class: availability.
	Critical, CriticalAnswered   int
	Reference, ReferenceAnswered int
}

// Names of the phases that are no faults.
const (
	phaseQuiet = "none"
	phaseAfter = "after a fault"
	phaseMany  = "several at once"
)

// recovery is how long after a fault most reads are to be answered from memory
// again, recovered how long after it the node counts as one without a fault.
const (
	recovery  = 5 * time.Second
	recovered = 10 * time.Second
)

// result sums the run up.
func (r *run) result() *Result {
	res := &Result{
		Seed: r.Seed, Mutation: r.Mutation, Seconds: r.log.Now().Seconds(), Bound: r.Bound.String(), Tenants: r.Tenants,
		Asked: r.origin.Asked(), Violations: r.broken, ByRule: r.byRule, Failures: make(map[string]int),
		Nodes: max(r.Nodes, 1), Errors: make(map[string]int), Samples: r.samples, slack: float64(r.Slack), oldest: -r.Bound,
	}
	s := newSummary(r, res)
	for reads := r.log.Reads(0); len(reads) > 0; reads = reads[1:] {
		s.add(&reads[0])
	}
	s.end()
	r.count(res)
	if len(r.found) > 0 {
		res.TimeToFirstFinding = r.found[0].Read.Done.Seconds()
	}
	res.Histories = r.histories()
	return res
}

// histories tells the shortest history of a violation, if there is one.
func (r *run) histories() []string {
	if shortest := r.shortest(); shortest != nil {
		return []string{r.tell(shortest)}
	}
	return nil
}

// count counts commits and events.
func (r *run) count(res *Result) {
	for _, item := range r.log.Items {
		item.View(func(commits []history.Commit, events []history.Event) {
			res.Commits += len(commits)
			res.Events += len(events)
		})
	}
}

// shortest returns the violation with the shortest history: the least time from
// the commit that was answered to the answer.
func (r *run) shortest() *checker.Violation {
	if len(r.found) == 0 {
		return nil
	}
	return slices.MinFunc(r.found, func(a, b *checker.Violation) int { return int(r.span(a) - r.span(b)) })
}

func (r *run) span(v *checker.Violation) time.Duration {
	begin := v.Read.Sent
	if v.Commit >= 0 {
		r.log.Items[r.log.Entries[v.Read.Entry].Item].View(func(commits []history.Commit, _ []history.Event) {
			begin = min(begin, commits[v.Commit].At)
		})
	}
	return v.Read.Done - begin
}
