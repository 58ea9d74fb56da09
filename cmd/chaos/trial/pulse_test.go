package trial

import (
	"testing"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/history"
)

// The machine had no time from 1 s to 1.3 s, and from 5 s to 5.05 s.
func TestPulse(t *testing.T) {
	p := pulse{{1300 * time.Millisecond, 300 * time.Millisecond}, {5050 * time.Millisecond, 50 * time.Millisecond}}
	for _, c := range []struct {
		from, to history.Time
		late     time.Duration
		busy     bool
	}{
		{0, 900 * time.Millisecond, 0, false},
		{0, 1100 * time.Millisecond, 300 * time.Millisecond, true},
		{1200 * time.Millisecond, 2 * time.Second, 300 * time.Millisecond, true},
		{1400 * time.Millisecond, 4 * time.Second, 0, false},
		{4 * time.Second, 6 * time.Second, 50 * time.Millisecond, false},
		{0, 9 * time.Second, 300 * time.Millisecond, true},
		{6 * time.Second, 9 * time.Second, 0, false},
	} {
		if got := p.late(c.from, c.to); got != c.late {
			t.Errorf("%v to %v: %v late, want %v", c.from, c.to, got, c.late)
		}
		if got := p.busy(&history.Read{Sent: c.from, Done: c.to}); got != c.busy {
			t.Errorf("%v to %v: busy %v, want %v", c.from, c.to, got, c.busy)
		}
	}
}

// What is to be missed is missed.
func TestEndCanFail(t *testing.T) {
	good := func() *EndResult {
		return &EndResult{limit: time.Second, Steps: []*Step{{Name: stepStart, Slowest: 2}, {Name: stepKill, Slowest: .9}}}
	}
	if r := good(); !r.Good() {
		t.Error(r.missed())
	}
	for name, spoil := range map[string]func(*EndResult){
		"a wrong answer": func(r *EndResult) { r.Violations = 1 },
		"no answer":      func(r *EndResult) { r.Errors = map[string]int{"timeout": 1} },
		"a slow answer":  func(r *EndResult) { r.Steps[1].Slowest = 1.1 },
		"a subscriber":   func(r *EndResult) { r.Steps[0].Wrong = 1 },
	} {
		r := good()
		if spoil(r); r.Good() || len(r.missed()) != 1 {
			t.Errorf("%s: missed %v", name, r.missed())
		}
	}
}

// A read is struck if its node was out of service at any time of it.
func TestStruck(t *testing.T) {
	log := history.NewLog(nil)
	back := log.Out(1)
	during := log.Now()
	back()
	after := log.Now()
	for _, c := range []struct {
		node       uint8
		sent, done history.Time
		want       bool
	}{
		{1, 0, during, true},
		{1, during, after, true},
		{1, after + 1, after + time.Second, false},
		{0, 0, after, false},
	} {
		if got := log.Struck(&history.Read{Node: c.node, Sent: c.sent, Done: c.done}); got != c.want {
			t.Errorf("node %d, %v to %v: struck %v, want %v", c.node, c.sent, c.done, got, c.want)
		}
	}
}

// Whoever asked a node before it closed must be answered.
func TestClosed(t *testing.T) {
	log := history.NewLog(nil)
	open := log.Closed(1, 10*time.Second)
	for _, c := range []struct {
		sent, done history.Time
		want       bool
	}{
		{9 * time.Second, 9500 * time.Millisecond, false},
		{9 * time.Second, 10500 * time.Millisecond, false},
		{9990 * time.Millisecond, 10 * time.Second, true}, // it was on its way
		{11 * time.Second, 11 * time.Second, true},
	} {
		if got := log.Struck(&history.Read{Node: 1, Sent: c.sent, Done: c.done}); got != c.want {
			t.Errorf("%v to %v: struck %v, want %v", c.sent, c.done, got, c.want)
		}
	}
	open()
	if log.Struck(&history.Read{Node: 1, Sent: 11 * time.Second, Done: 11 * time.Second}) {
		t.Error("struck after it is open again")
	}
}
