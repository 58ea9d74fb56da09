package trial

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/checker"
	"github.com/tenantry/tenantry/cmd/chaos/history"
)

// line is one line of a history.
type line struct {
	at   history.Time
	text string
}

// tell tells the history of an entry around a violation: from the commit that
// was answered on, its commits, events and faults, and those of its reads that
// saw something new.
func (r *run) tell(v *checker.Violation) string {
	e := r.log.Entries[v.Read.Entry]
	item := r.log.Items[e.Item]
	begin, end := v.Read.Done-r.span(v), v.Read.Done
	var lines []line
	item.View(func(commits []history.Commit, events []history.Event) {
		lines = append(lines, told(commits, events, begin, end)...)
	})
	for _, f := range r.log.Faults() {
		if f.Start <= end && f.End >= begin {
			what := "fault " + strings.TrimSpace(f.Type+" "+f.Node)
			lines = append(lines, line{f.Start, what + " begins"}, line{f.End, what + " ends"})
		}
	}
	lines = append(lines, r.readings(v, begin, end)...)
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.at, b.at) })
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %s %s %s breaks the rule %q, %v too late\n", r.Seed, item.Tenant, r.log.Kinds[e.Kind].Name, e.Key, v.Rule, v.Late.Round(time.Millisecond))
	for _, l := range lines {
		if l.at != history.Never {
			fmt.Fprintf(&b, "%9.3f s  %s\n", l.at.Seconds(), l.text)
		}
	}
	return b.String()
}

func told(commits []history.Commit, events []history.Event, begin, end history.Time) (lines []line) {
	for i := range commits {
		if c := &commits[i]; c.At >= begin && c.At <= end {
			text := fmt.Sprintf("commit #%d, version %d", c.Number, c.Version)
			if c.Absent {
				text += ", absent"
			}
			lines = append(lines, line{c.At, text})
		}
	}
	for _, e := range events {
		if e.First > end || e.Acked < begin {
			continue
		}
		what := fmt.Sprintf("event of #%d (%s)", commits[e.Commit].Number, e.What)
		lines = append(lines, line{e.First, what + " is published"}, line{e.Acked, what + " is acknowledged"})
	}
	return lines
}

// maxReadings bounds the reads that are told.
const maxReadings = 25

// readings tells the reads of the entry whose answer is another than that of the
// one before, and the violation.
func (r *run) readings(v *checker.Violation, begin, end history.Time) (lines []line) {
	var last history.Read
	for _, q := range r.log.Reads(0) {
		if q.Entry != v.Read.Entry || q.Sent < begin || q.Done > end || q == v.Read {
			continue
		}
		if q.Number != last.Number || q.State != last.State || q.Source != last.Source || q.Result != last.Result {
			lines = append(lines, line{q.Done, r.describe(&q)})
		}
		last = q
	}
	if len(lines) > maxReadings {
		lines = lines[len(lines)-maxReadings:]
	}
	return append(lines, line{v.Read.Done, "VIOLATION: " + r.describe(&v.Read)})
}

func (r *run) describe(q *history.Read) string {
	text := q.Way.String() + " read"
	if r.Nodes > 1 {
		text += fmt.Sprintf(" by n%d", q.Node+1)
	}
	text += fmt.Sprintf(", sent at %.3f s", q.Sent.Seconds())
	if q.MaxAge != history.NoMaxAge {
		text += fmt.Sprintf(", max_age %v", q.MaxAge)
	}
	if q.MinVersion != 0 {
		text += fmt.Sprintf(", min_version %d", q.MinVersion)
	}
	if q.After != 0 {
		text += fmt.Sprintf(", after #%d", q.After)
	}
	text += ": " + q.Result.String()
	if q.Number != 0 {
		text += fmt.Sprintf(" #%d", q.Number)
	}
	if q.Version != 0 {
		text += fmt.Sprintf(" version %d", q.Version)
	}
	if r.Nodes > 1 && q.By != 0 && q.By != q.Node+1 {
		text += fmt.Sprintf(" by n%d", q.By)
	}
	if q.Answered() {
		text += fmt.Sprintf(", %s from %s, age %v", q.State, q.Source, q.Age.Round(time.Millisecond))
	}
	return text
}
