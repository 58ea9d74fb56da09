package checker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/checker"
	"github.com/tenantry/tenantry/cmd/chaos/history"
)

const (
	bound    = 4 * time.Second
	ttl      = time.Minute
	maxStale = 10 * time.Second
)

// story is a history made by hand, in a bubble, whose time begins at 0.
type story struct {
	*history.Log
	t *testing.T
}

// Entries of a story: two of a critical kind, one of a reference kind.
const (
	price int32 = iota
	other
	profile
)

// tell runs the steps of a story in a bubble.
func tell(t *testing.T, steps func(s *story)) {
	synctest.Test(t, func(t *testing.T) {
		s := &story{t: t, Log: history.NewLog([]history.Kind{
			{Name: "critical", Critical: true, TTL: ttl, MaxStale: maxStale},
			{Name: "reference", TTL: ttl, MaxStale: maxStale},
		})}
		s.Add(&history.Item{Tenant: "a", Name: "price"}, history.Entry{Kind: 0, Key: "price"})
		s.Add(&history.Item{Tenant: "b", Name: "price"}, history.Entry{Kind: 0, Key: "price"})
		s.Add(&history.Item{Tenant: "a", Name: "profile"}, history.Entry{Kind: 1, Key: "profile"})
		for item := range s.Items {
			s.Commit(item, 1, false) // #1, #2, #3, at 0
		}
		steps(s)
	})
}

// at lets time pass until the given time of the story.
func (s *story) at(when time.Duration) { time.Sleep(when - s.Now()) }

// change commits the next version of the price, and publishes it if told is not
// negative: acknowledged so long after it was first attempted.
func (s *story) change(version uint64, absent bool, told time.Duration) uint32 {
	c, index := s.Commit(0, version, absent)
	if told >= 0 {
		e := history.Event{Commit: index, First: s.Now(), Sets: true}
		s.Announcing(0, e)
		time.Sleep(told)
		e.Acked = s.Now()
		s.Announced(0, e)
	}
	return c.Number
}

// value is a read of the price that was answered at once with a number, FRESH.
func (s *story) value(number uint32) history.Read {
	return history.Read{
		Entry: price, Sent: s.Now(), Done: s.Now(), MaxAge: history.NoMaxAge, Number: number,
		State: history.Fresh, Source: history.FromMemory, Age: time.Hour,
	}
}

// verdict checks that a read breaks the rule; none if it is empty.
func (s *story) verdict(what string, r history.Read, want checker.Rule) {
	s.t.Helper()
	var got checker.Rule
	if v := checker.New(s.Log, bound).Check(&r); v != nil {
		got = v.Rule
	}
	if got != want {
		s.t.Errorf("%s: breaks %q, want %q", what, got, want)
	}
}

const instant = time.Nanosecond

func TestFreshUntilTheBoundAfterTheEvent(t *testing.T) {
	tell(t, func(s *story) {
		s.at(10 * time.Second)
		s.change(2, false, time.Second) // acknowledged at 11 s
		s.at(15 * time.Second)
		s.verdict("the old value at the bound", s.value(1), "")
		s.verdict("the new value", s.value(4), "")
		s.at(15*time.Second + instant)
		s.verdict("the old value after the bound", s.value(1), checker.RuleFresh)
		s.verdict("the new value", s.value(4), "")
		late := s.value(1)
		late.Sent = 15 * time.Second
		s.verdict("sent at the bound, answered later", late, "")
	})
}

func TestEventOfALaterChangeCounts(t *testing.T) {
	tell(t, func(s *story) {
		s.at(10 * time.Second)
		s.change(2, false, -1)
		s.at(20 * time.Second)
		s.verdict("nobody announced the change", s.value(1), "")
		s.change(3, false, 0)
		s.at(24*time.Second + instant)
		s.verdict("a later one was", s.value(1), checker.RuleFresh)
		s.verdict("and that one too", s.value(4), checker.RuleFresh)
	})
}

func TestEventBeforeTheCommitCountsFromTheCommit(t *testing.T) {
	tell(t, func(s *story) {
		s.at(10 * time.Second)
		_, index := s.Commit(0, 2, false)
		s.Announced(0, history.Event{Commit: index, First: 9 * time.Second, Acked: 9 * time.Second})
		s.at(14 * time.Second)
		s.verdict("until the bound after the commit", s.value(1), "")
		s.at(14*time.Second + instant)
		s.verdict("and no longer", s.value(1), checker.RuleFresh)
	})
}

func TestTTLEndsWhatNobodyAnnounced(t *testing.T) {
	tell(t, func(s *story) {
		s.at(10 * time.Second)
		s.change(2, false, -1)
		s.at(10*time.Second + ttl*11/10 + bound)
		s.verdict("until 1.1 TTL and the bound", s.value(1), "")
		s.at(s.Now() + instant)
		s.verdict("and no longer", s.value(1), checker.RuleFresh)
	})
}

func TestFirstAttemptCountsWhileTheBusIsDown(t *testing.T) {
	for _, down := range []bool{false, true} {
		tell(t, func(s *story) {
			s.at(9 * time.Second)
			up := func() {}
			if down {
				up = s.BusDown()
			}
			s.at(10 * time.Second)
			s.change(2, false, 3*time.Second)
			up()
			s.at(15 * time.Second)
			want := checker.Rule("")
			if down {
				want = checker.RuleFresh
			}
			s.verdict("5 s after the first attempt", s.value(1), want)
		})
	}
}

func TestProvisionalIsNotFresh(t *testing.T) {
	tell(t, func(s *story) {
		s.at(time.Second)
		n := s.change(2, false, 0)
		s.at(10 * time.Second)
		s.change(3, false, 0)
		s.at(12 * time.Second)
		r := s.value(n)
		r.State, r.Source = history.Provisional, history.FromEvent
		s.verdict("an old value that was announced", r, "")
		r.Source = history.FromMemory
		s.verdict("not from an event", r, checker.RuleState)
		r = s.value(1)
		r.State, r.Source = history.Provisional, history.FromEvent
		s.verdict("that nobody announced", r, checker.RuleUnannounced)
		r.State = history.NoState
		s.verdict("without a state", r, checker.RuleState)
	})
}

// What an event announced is confirmed before long, unless something is wrong.
func TestProvisionalEnds(t *testing.T) {
	for _, wrong := range []bool{false, true} {
		tell(t, func(s *story) {
			s.at(10 * time.Second)
			n := s.change(2, false, 0)
			if wrong {
				s.at(11 * time.Second)
				defer s.Begin(history.Fault{Type: "origin-500"})()
			}
			s.at(10*time.Second + 2*bound)
			r := s.value(n)
			r.State, r.Source = history.Provisional, history.FromEvent
			s.verdict("in time", r, "")
			s.at(s.Now() + instant)
			r.Sent, r.Done = s.Now(), s.Now()
			want := checker.RuleUnconfirmed
			if wrong {
				want = ""
			}
			s.verdict("too late", r, want)
		})
	}
}

func TestStaleWithinMaxStale(t *testing.T) {
	tell(t, func(s *story) {
		end := s.Begin(history.Fault{Loses: true})
		defer end()
		s.at(10 * time.Second)
		s.change(2, false, 0)
		s.at(10*time.Second + bound + maxStale)
		r := s.value(1)
		r.State = history.Stale
		s.verdict("at max_stale", r, "")
		s.at(s.Now() + instant)
		r.Sent, r.Done = s.Now(), s.Now()
		s.verdict("beyond max_stale", r, checker.RuleStale)
		r = s.value(4)
		r.State = history.Stale
		s.verdict("the current value", r, "")
	})
}

func TestKnownOldIsNotServed(t *testing.T) {
	for _, lossy := range []bool{false, true} {
		tell(t, func(s *story) {
			s.at(9 * time.Second)
			if lossy {
				defer s.Begin(history.Fault{Loses: true})()
			}
			s.at(10 * time.Second)
			s.change(2, false, 0)
			s.at(10*time.Second + bound + instant)
			r := s.value(1)
			r.State = history.Stale
			want := checker.RuleKnownOld
			if lossy {
				want = ""
			}
			s.verdict("a critical value that an event has replaced", r, want)
			s.at(9 * time.Second)
		})
	}
}

func TestKnownOldMayBeAnnouncedAgain(t *testing.T) {
	tell(t, func(s *story) {
		s.at(9 * time.Second)
		n := s.change(2, false, 0)
		s.change(3, false, 0)
		s.at(11 * time.Second)
		s.Announcing(0, history.Event{Commit: 1, First: s.Now(), Sets: true})
		s.at(14 * time.Second)
		r := s.value(n)
		r.State, r.Source = history.Stale, history.FromEvent
		s.verdict("an event said so again", r, "")
	})
}

func TestAgeIsTrue(t *testing.T) {
	tell(t, func(s *story) {
		s.at(10 * time.Second)
		s.change(2, false, 0)
		s.at(12 * time.Second)
		r := s.value(1)
		r.Age = 2 * time.Second
		s.verdict("verified when it was replaced", r, "")
		r.Age -= instant
		s.verdict("verified after it was replaced", r, checker.RuleAge)
		r.Source = history.FromOrigin
		s.verdict("read at the origin after it was replaced", r, checker.RuleAge)
		r.Sent -= time.Second
		s.verdict("sent earlier", r, "")
	})
}

func TestMaxAge(t *testing.T) {
	tell(t, func(s *story) {
		s.at(10 * time.Second)
		r := s.value(1)
		r.MaxAge, r.Age = time.Second, time.Second
		s.verdict("as old as may be", r, "")
		r.Age += instant
		s.verdict("older", r, checker.RuleMaxAge)
		r.Sent -= instant
		s.verdict("the time of the read is not counted", r, "")
		r = s.value(1)
		r.MaxAge, r.Age = 0, 0
		s.verdict("0 from memory", r, checker.RuleMaxAge)
		r.Source = history.FromOrigin
		s.verdict("0 from the origin", r, "")
	})
}

func TestMinVersion(t *testing.T) {
	tell(t, func(s *story) {
		s.at(10 * time.Second)
		s.change(2, false, 0)
		s.at(11 * time.Second)
		r := s.value(1)
		r.MinVersion, r.Version = 2, 1
		s.verdict("an older version", r, checker.RuleMinVersion)
		r.MinVersion = 1
		s.verdict("the version itself", r, "")
		r.MinVersion, r.Version = 2, 0
		s.verdict("no version, and not current", r, checker.RuleMinVersion)
		r.Number, r.Source = 4, history.FromOrigin
		s.verdict("no version, but current", r, "")
	})
}

func TestAfterNeverGoesBack(t *testing.T) {
	tell(t, func(s *story) {
		s.at(10 * time.Second)
		n := s.change(2, false, 0)
		r := s.value(1)
		r.After = n
		s.verdict("the value before", r, checker.RuleAfter)
		r = s.value(n)
		r.After = n
		s.verdict("the same", r, "")
		r = s.value(n)
		r.After = 1
		s.verdict("a newer one", r, "")
	})
}

func TestAbsence(t *testing.T) {
	tell(t, func(s *story) {
		gone := history.Read{Entry: price, Result: history.Absent, State: history.Fresh, Source: history.FromMemory, MaxAge: history.NoMaxAge, Age: time.Hour}
		now := func() history.Read { r := gone; r.Sent, r.Done = s.Now(), s.Now(); return r }
		s.at(10 * time.Second)
		s.verdict("never absent", now(), checker.RuleNotAbsent)
		s.change(2, true, 0)
		s.at(11 * time.Second)
		s.verdict("absent", now(), "")
		s.at(12 * time.Second)
		s.change(3, false, 0)
		s.at(16 * time.Second)
		s.verdict("until the bound after it was made", now(), "")
		s.at(16*time.Second + instant)
		s.verdict("and no longer", now(), checker.RuleFresh)
		after := now()
		after.After, after.Sent = 5, 13*time.Second
		s.verdict("after an answer that came later", after, checker.RuleAfter)
		s.at(20 * time.Second)
		s.change(4, true, 0)
		s.verdict("absent again", now(), "")
		least := now()
		least.MinVersion = 4
		s.verdict("absent now, whatever the version", least, "")
	})
}

func TestValuesAreSomebodys(t *testing.T) {
	tell(t, func(s *story) {
		s.at(time.Second)
		s.verdict("another tenant's", s.value(2), checker.RuleForeign)
		s.verdict("nobody's", s.value(99), checker.RuleUnknown)
		malformed := s.value(1)
		malformed.Result = history.Malformed
		s.verdict("no value at all", malformed, checker.RuleUnknown)
		wrong := s.value(1)
		wrong.Version = 7
		s.verdict("another version", wrong, checker.RuleVersion)
		s.at(2 * time.Second)
		n := s.change(2, false, 0)
		early := s.value(n)
		early.Sent, early.Done = time.Second, time.Second
		s.verdict("not committed yet", early, checker.RuleFuture)
		dead := s.value(s.change(3, true, 0))
		s.verdict("of a deletion", dead, checker.RuleAbsent)
	})
}

func TestFailures(t *testing.T) {
	tell(t, func(s *story) {
		for result, want := range map[history.Result]checker.Rule{
			history.Unavailable: "", history.Timeout: "", history.Unreachable: "", history.Limited: "",
			history.Unexpected: checker.RuleUnexpected,
		} {
			r := s.value(0)
			r.Result = result
			s.verdict(result.String(), r, want)
		}
	})
}

func TestReferenceKindsMayServeWhatIsKnownOld(t *testing.T) {
	tell(t, func(s *story) {
		s.at(10 * time.Second)
		_, index := s.Commit(2, 2, false)
		s.Announced(2, history.Event{Commit: index, First: s.Now(), Acked: s.Now()})
		s.at(15 * time.Second)
		r := s.value(3)
		r.Entry, r.State = profile, history.Stale
		s.verdict("an old profile", r, "")
	})
}
