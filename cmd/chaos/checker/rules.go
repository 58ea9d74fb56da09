package checker

import (
	"slices"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/history"
)

// suspect is an answer and what is known of the commit that it came from.
type suspect struct {
	*history.Read
	kind   history.Kind
	bound  time.Duration
	commit history.Commit
	index  int
	// replaced and told are r and a of the promise: Never, if it is current.
	replaced, told history.Time
	events         []history.Event
	lossless, calm func(from, to history.Time) bool
	after          int // index of the commit that After names; -1: none
}

func (c *Checker) suspect(r *history.Read, commits []history.Commit, events []history.Event, index int) *suspect {
	s := &suspect{
		Read: r, kind: c.log.Kinds[c.log.Entries[r.Entry].Kind], bound: c.bound,
		commit: commits[index], index: index, replaced: history.Never, told: history.Never, events: events,
		lossless: c.log.Lossless, calm: c.log.Calm, after: -1,
	}
	if index+1 < len(commits) {
		s.replaced = commits[index+1].At
	}
	for _, later := range commits[index+1:] {
		s.told = min(s.told, later.Acked)
	}
	if r.After != 0 {
		for i := range commits {
			if commits[i].Number == r.After {
				s.after = i
			}
		}
	}
	return s
}

// identity: the value exists, is what it is said to be, and came from where it
// is said to have come from.
func identity(s *suspect) (Rule, time.Duration) {
	announced := slices.ContainsFunc(s.events, func(e history.Event) bool { return e.Commit == s.index && e.Sets && e.First <= s.Done })
	switch {
	case s.commit.At > s.Done:
		return RuleFuture, s.commit.At - s.Done
	case s.commit.Absent != (s.Result == history.Absent):
		return RuleAbsent, 0
	case s.Version != 0 && uint64(s.Version) != s.commit.Version:
		return RuleVersion, 0
	case s.State == history.NoState, s.State == history.Provisional && s.Source != history.NoSource && s.Source != history.FromEvent:
		return RuleState, 0
	case (s.State == history.Provisional || s.Source == history.FromEvent) && !announced:
		return RuleUnannounced, 0
	}
	return "", 0
}

// freshness is the promise.
func freshness(s *suspect) (Rule, time.Duration) {
	if s.State != history.Fresh || s.replaced == history.Never {
		return "", 0
	}
	limit := s.replaced + s.kind.TTL*11/10 + s.bound
	if s.told != history.Never {
		limit = min(limit, max(s.replaced, s.told)+s.bound)
	}
	return past(RuleFresh, s.Sent-limit)
}

// toldAgain says that an event told of the value, or of one before it, after that
// of its successor: without a version nobody can know better.
func (s *suspect) toldAgain() bool {
	return slices.ContainsFunc(s.events, func(e history.Event) bool {
		return e.Commit <= s.index && e.First <= s.Done && e.Acked >= s.told-s.bound
	})
}

// confirmation: where nothing is wrong, the origin has confirmed what the last event
// announced long before twice the bound.
func confirmation(s *suspect) (Rule, time.Duration) {
	if s.State != history.Provisional {
		return "", 0
	}
	last := history.Time(0)
	for _, e := range s.events {
		if e.First > s.Done {
			continue
		}
		if last = max(last, e.Acked); e.Acked == history.Never {
			return "", 0
		}
	}
	if late := s.Sent - last - 2*s.bound; late > 0 && s.calm(last, s.Done) {
		return RuleUnconfirmed, late
	}
	return "", 0
}

// staleness: a value is last known current, at the latest, when the event of its
// successor is received, or when its TTL ends.
func staleness(s *suspect) (Rule, time.Duration) {
	if s.State != history.Stale || s.replaced == history.Never {
		return "", 0
	}
	current := s.replaced + s.kind.TTL*11/10
	if s.told != history.Never && !s.toldAgain() {
		current = min(current, max(s.replaced, s.told))
	}
	return past(RuleStale, s.Sent-(current+s.bound+s.kind.MaxStale))
}

// knownOld: where no event can have been lost, the node has been told for a while
// that a critical value is old, and by nothing since then that it is not.
func knownOld(s *suspect) (Rule, time.Duration) {
	if s.State != history.Stale || !s.kind.Critical || s.told == history.Never || s.Sent <= s.told+s.bound {
		return "", 0
	}
	if s.toldAgain() || !s.lossless(s.told-s.bound, s.Done) {
		return "", 0
	}
	return RuleKnownOld, s.Sent - s.told - s.bound
}

// age: the value was the origin's after the instant at which it was verified.
// An event is verified by its arrival, which says nothing of the origin.
func age(s *suspect) (Rule, time.Duration) {
	if s.Source != history.FromMemory && s.Source != history.FromOrigin {
		return "", 0
	}
	return past(RuleAge, s.Sent-s.Age-s.replaced)
}

// maxAge: it was verified within max_age before the request; with 0, after it,
// at the origin.
func maxAge(s *suspect) (Rule, time.Duration) {
	if s.MaxAge == history.NoMaxAge {
		return "", 0
	}
	if s.MaxAge == 0 && s.Source != history.FromOrigin {
		return RuleMaxAge, 0
	}
	if late := s.Age - s.MaxAge - (s.Done - s.Sent); late > 0 {
		return RuleMaxAge, late
	}
	if s.Source == history.FromEvent {
		return "", 0
	}
	return past(RuleMaxAge, s.Sent-s.MaxAge-s.replaced)
}

// minVersion: what has no version satisfies one only if it is read for this
// answer.
func minVersion(s *suspect) (Rule, time.Duration) {
	switch {
	case s.MinVersion == 0:
		return "", 0
	case s.Result == history.Absent || s.Version == 0:
		return past(RuleMinVersion, s.Sent-s.replaced)
	case s.commit.Version < uint64(s.MinVersion):
		return RuleMinVersion, 0
	}
	return "", 0
}

// after: the answers of a reader that passes on their tokens never go back.
func after(s *suspect) (Rule, time.Duration) {
	if s.index < s.after {
		return RuleAfter, 0
	}
	return "", 0
}

func past(rule Rule, late time.Duration) (Rule, time.Duration) {
	if late > 0 {
		return rule, late
	}
	return "", 0
}
