package checker

import (
	"fmt"
	"slices"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/history"
)

// Rule is what an answer broke.
type Rule string

// The rules.
const (
	RuleFresh       Rule = "fresh"       // FRESH with a value that was replaced too long ago
	RuleStale       Rule = "stale"       // STALE beyond max_stale
	RuleKnownOld    Rule = "known-old"   // a critical value that an event has made known old
	RuleMaxAge      Rule = "max-age"     // verified longer ago than max_age
	RuleAge         Rule = "age"         // replaced before the age says that it was verified
	RuleMinVersion  Rule = "min-version" // below min_version
	RuleAfter       Rule = "after"       // older than the answer whose token was given
	RuleVersion     Rule = "version"     // not the version of the value
	RuleFuture      Rule = "future"      // not committed yet
	RuleForeign     Rule = "foreign"     // another item's value
	RuleUnknown     Rule = "unknown"     // nobody's value
	RuleNotAbsent   Rule = "not-absent"  // never absent, but said to be
	RuleAbsent      Rule = "absent"      // the value of a commit that has none
	RuleUnexpected  Rule = "unexpected"  // an error that the request does not deserve
	RuleState       Rule = "state"       // an answer without a state, or a state that its source cannot have
	RuleUnannounced Rule = "unannounced" // PROVISIONAL or from an event, which nobody has published
	RuleUnconfirmed Rule = "unconfirmed" // PROVISIONAL for too long, though nothing was wrong
)

// Violation is an answer that breaks a rule.
type Violation struct {
	Rule Rule
	Read history.Read
	// Commit is the index of the commit that the answer was judged by; -1: none.
	Commit int
	// Late is how far beyond the limit the answer is, where the rule has one.
	Late time.Duration
}

// String says what is broken, and by how much.
func (v *Violation) String() string {
	return fmt.Sprintf("an answer breaks the rule %q by %v", v.Rule, v.Late)
}

// Checker checks reads of a history.
type Checker struct {
	log   *history.Log
	bound time.Duration
}

// New returns a checker of a history for a promise with the given bound.
func New(log *history.Log, bound time.Duration) *Checker { return &Checker{log, bound} }

// Check returns what the read breaks, nil if nothing. It must not be called
// before everything up to the read's end minus the bound has been recorded.
func (c *Checker) Check(r *history.Read) *Violation {
	switch r.Result {
	case history.Malformed:
		return &Violation{Rule: RuleUnknown, Read: *r, Commit: -1}
	case history.Unexpected:
		return &Violation{Rule: RuleUnexpected, Read: *r, Commit: -1}
	case history.Value:
		return c.value(r)
	case history.Absent:
		return c.absence(r)
	default:
		return nil
	}
}

// value judges a value by its commit.
func (c *Checker) value(r *history.Read) *Violation {
	item, ok := c.log.Find(r.Number)
	e := c.log.Entries[r.Entry]
	switch {
	case !ok:
		return &Violation{Rule: RuleUnknown, Read: *r, Commit: -1}
	case item != e.Item:
		return &Violation{Rule: RuleForeign, Read: *r, Commit: -1}
	}
	var v *Violation
	c.log.Items[item].View(func(commits []history.Commit, events []history.Event) {
		index := slices.IndexFunc(commits, func(c history.Commit) bool { return c.Number == r.Number })
		v = c.judge(r, commits, events, index)
	})
	return v
}

// absence judges an absence by each that the item had; the newest that suits it
// decides, or the newest of all.
func (c *Checker) absence(r *history.Read) (worst *Violation) {
	item := c.log.Items[c.log.Entries[r.Entry].Item]
	item.View(func(commits []history.Commit, events []history.Event) {
		worst = &Violation{Rule: RuleNotAbsent, Read: *r, Commit: -1}
		for i, commit := range slices.Backward(commits) {
			if !commit.Absent || commit.At > r.Done {
				continue
			}
			v := c.judge(r, commits, events, i)
			if v == nil {
				worst = nil
				return
			}
			if worst.Commit < 0 {
				worst = v
			}
		}
	})
	return worst
}

// judge judges an answer as the state that a commit made.
func (c *Checker) judge(r *history.Read, commits []history.Commit, events []history.Event, index int) *Violation {
	s := c.suspect(r, commits, events, index)
	for _, rule := range []func(*suspect) (Rule, time.Duration){
		identity, freshness, staleness, knownOld, confirmation, age, maxAge, minVersion, after,
	} {
		if name, late := rule(s); name != "" {
			return &Violation{Rule: name, Read: *r, Commit: index, Late: late}
		}
	}
	return nil
}
