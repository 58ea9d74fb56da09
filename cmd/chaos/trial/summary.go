package trial

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/history"
	"github.com/tenantry/tenantry/cmd/chaos/nemesis"
)

// summary counts the reads of a run.
type summary struct {
	*run
	res          *Result
	faults       []history.Fault
	phases       map[string]*Phase
	quiet, after Share
	batch        history.Time // when the last batch that is told of was sent
}

func newSummary(r *run, res *Result) *summary {
	s := &summary{run: r, res: res, faults: r.log.Faults(), phases: make(map[string]*Phase)}
	s.quiet = Share{Name: "critical reads FRESH from memory, no fault active for 10 s", Least: 0.999}
	s.after = Share{Name: "critical reads FRESH from memory, 5 to 10 s after a fault", Least: 0.99}
	for _, f := range s.faults {
		s.phase(f.Type).Times++
	}
	return s
}

func (s *summary) phase(name string) *Phase {
	p := s.phases[name]
	if p == nil {
		p = &Phase{Name: name}
		s.phases[name] = p
	}
	return p
}

// active returns what was going on during a read: the type of the fault, or the
// name of a phase without one; and the time since the last one ended.
func (s *summary) active(r *history.Read) (name string, since time.Duration) {
	name, since = phaseQuiet, history.Never
	last := sort.Search(len(s.faults), func(i int) bool { return s.faults[i].Start > r.Done })
	for i := last - 1; i >= 0 && i >= last-8; i-- { // no more overlap
		f := &s.faults[i]
		switch {
		case f.End < r.Sent:
			since = min(since, r.Sent-f.End)
		case name == phaseQuiet:
			name = f.Type
		default:
			name = phaseMany
		}
	}
	if name == phaseQuiet && since < recovery {
		name = phaseAfter
	}
	return name, since
}

// warmUp is how long a run takes to begin: until every tenant has been read once.
const warmUp = 10 * time.Second

func (s *summary) add(r *history.Read) {
	name, since := s.active(r)
	kind := &s.log.Kinds[s.log.Entries[r.Entry].Kind]
	s.phase(name).add(r, kind.Critical)
	if s.Nodes > 1 {
		s.served(name, r)
	}
	s.age(r)
	if !r.Answered() {
		s.res.Failures[r.Result.String()]++
	}
	if !kind.Critical || !r.Plain() || r.Sent < warmUp || r.Way == history.REST || name != phaseQuiet {
		return // REST does not say where an answer comes from
	}
	if !r.Answered() && s.log.Struck(r) {
		return // its node had left for good
	}
	share := &s.quiet
	if since < recovered {
		share = &s.after
	}
	share.count(r.Answered() && r.State == history.Fresh && r.Source != history.FromOrigin, r)
}

// served counts what became of a read in a cluster, where another node can answer
// for one that cannot.
func (s *summary) served(phase string, r *history.Read) {
	p := s.phase(phase)
	failed := !r.Answered()
	switch missing := failed && !s.originFault(r); {
	case s.log.Struck(r):
		if failed {
			p.Struck++
		}
		return
	case r.Result != history.Unreachable && s.pulse.busy(r):
		if missing {
			s.res.Busy++
		}
		return
	case missing:
		p.Errors++
		s.res.Errors[r.Result.String()]++
		s.missing(r)
	}
	p.Slowest = max(p.Slowest, (r.Done - r.Sent).Seconds())
}

// maxMissing bounds the reads without an answer that are told.
const maxMissing = 20

// missing tells of a read without an answer; of a batch once.
func (s *summary) missing(r *history.Read) {
	if len(s.res.Missing) == maxMissing || r.Way == history.Batch && r.Sent == s.batch {
		return
	}
	if r.Way == history.Batch {
		s.batch = r.Sent
	}
	e := s.log.Entries[r.Entry]
	s.res.Missing = append(s.res.Missing, fmt.Sprintf("%9.3f s  %s %s %s: %s, after %.3f s; %s; this process waited for up to %.3f s", r.Done.Seconds(),
		s.log.Items[e.Item].Tenant, s.log.Kinds[e.Kind].Name, e.Key, s.describe(r), (r.Done-r.Sent).Seconds(), s.lately(r), s.pulse.late(r.Sent, r.Done).Seconds()))
}

// lately says which faults were active during a read, or which was the last before it.
func (s *summary) lately(r *history.Read) string {
	var active []string
	for _, f := range slices.Backward(s.faults) {
		switch what := strings.TrimSpace(f.Type + " " + f.Node); {
		case f.Start > r.Done:
		case f.End >= r.Sent:
			active = append(active, what)
		case len(active) == 0:
			return fmt.Sprintf("%.1f s after %s", (r.Sent - f.End).Seconds(), what)
		}
	}
	return "while " + strings.Join(active, ", ")
}

// originFault says that something was wrong with the origin during a read, or just
// before: its reads are tried again a little later.
func (s *summary) originFault(r *history.Read) bool {
	return slices.ContainsFunc(s.faults, func(f history.Fault) bool {
		return f.Start <= r.Done && r.Sent <= f.End+afterOrigin && nemesis.OfOrigin(f.Type)
	})
}

// afterOrigin is how long after a fault of the origin reads may fail for its sake: a path
// that has failed within ten seconds is probed by the next read of it, and those beside
// that read are not sent.
const afterOrigin = 10 * time.Second

func (s *Share) count(part bool, r *history.Read) {
	s.Of++
	if part {
		s.Part++
		return
	}
	if s.Others == nil {
		s.Others = make(map[string]int)
	}
	other := r.Result.String()
	if r.Answered() {
		other = r.State.String() + " from " + r.Source.String()
	}
	s.Others[other]++
}

func (p *Phase) add(r *history.Read, critical bool) {
	p.Reads++
	switch r.State {
	case history.Fresh:
		p.Fresh++
	case history.Provisional:
		p.Provisional++
	case history.Stale:
		p.Stale++
	}
	asked, answered := &p.Reference, &p.ReferenceAnswered
	if critical {
		asked, answered = &p.Critical, &p.CriticalAnswered
	}
	*asked++
	if r.Answered() {
		*answered++
	} else {
		p.Failed++
	}
}

// settling is how long after a change an entry may have to be asked for: its
// event may only invalidate it, or have to be confirmed.
const settling = 2 * time.Second

// unsettled says that the entry changed, or an event told of it, just before.
func (r *run) unsettled(q *history.Read) (yes bool) {
	r.log.Items[r.log.Entries[q.Entry].Item].View(func(commits []history.Commit, events []history.Event) {
		for i := len(commits) - 1; i >= 0 && !yes && commits[i].At > q.Sent-settling; i-- {
			yes = commits[i].At < q.Done
		}
		for i := len(events) - 1; i >= 0 && !yes; i-- {
			yes = events[i].First < q.Done && events[i].Acked > q.Sent-settling
		}
	})
	return yes
}

// age notes the oldest FRESH answer.
func (s *summary) age(r *history.Read) {
	if r.State != history.Fresh || r.Result != history.Value {
		return
	}
	s.log.Items[s.log.Entries[r.Entry].Item].View(func(commits []history.Commit, _ []history.Event) {
		if commits[len(commits)-1].Number == r.Number {
			return
		}
		i := slices.IndexFunc(commits, func(c history.Commit) bool { return c.Number == r.Number })
		if i < 0 {
			return
		}
		told := history.Never
		for _, c := range commits[i+1:] {
			told = min(told, c.Acked)
		}
		if told != history.Never {
			s.res.oldest = max(s.res.oldest, r.Sent-max(told, commits[i+1].At))
		}
		if told > r.Sent {
			s.res.unannounced = max(s.res.unannounced, r.Sent-commits[i+1].At)
		}
	})
}

// end puts the phases in order: the quiet first.
func (s *summary) end() {
	order := func(p Phase) string {
		switch p.Name {
		case phaseQuiet:
			return "0"
		case phaseAfter:
			return "1"
		}
		return p.Name
	}
	for _, p := range s.phases {
		s.res.Reads += p.Reads
		s.res.Phases = append(s.res.Phases, *p)
	}
	slices.SortFunc(s.res.Phases, func(a, b Phase) int {
		if order(a) < order(b) {
			return -1
		}
		return 1
	})
	s.res.Liveness = []Share{s.quiet, s.after}
	s.res.Unseen = s.unseen()
	s.res.OldestFresh = s.res.oldest.Round(time.Millisecond).String()
	s.res.OldestUnannounced = s.res.unannounced.Round(time.Millisecond).String()
}

// unseen returns the types of faults within which too few reads were answered.
func (s *summary) unseen() (types []string) {
	if s.Calm {
		return nil
	}
	for _, name := range nemesis.Names(s.Nodes) {
		if len(s.Faults) > 0 && !slices.Contains(s.Faults, name) {
			continue
		}
		if p := s.phase(name); p.CriticalAnswered+p.ReferenceAnswered < leastReads {
			types = append(types, name)
		}
	}
	return types
}
