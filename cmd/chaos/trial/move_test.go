package trial

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/cmd/chaos/history"
)

// moved is a run in which nodes came and went in order.
func moved() *EndResult {
	return &EndResult{
		Tenants: 2000, slower: 3, moved: true,
		Steps: []*Step{
			{Name: stepStart, P99: .010},
			{Name: stepAdd, P99: .030, Lasted: 4, Moves: Moves{Taken: 2000, HandedOver: 700, Entries: 70_000, Bytes: 2.5e6, Looks: 9, Fewest: 2}},
			{Name: stepDrain, P99: .029, Lasted: 5, Moves: Moves{Taken: 1800, HandedOver: 800, Entries: 50_000, Looks: 9, Emptied: 3.2, Fewest: 1}},
			{Name: stepRestart, P99: .030, Moves: Moves{Taken: 9000, HandedOver: 8000, Entries: 90_000, Looks: 99}},
		},
	}
}

// What nodes that come and go are to keep can be missed.
func TestMoveCanFail(t *testing.T) {
	if r := moved(); !r.Good() {
		t.Error(r.missed())
	}
	for name, spoil := range map[string]func(*EndResult){
		"a slow join":            func(r *EndResult) { r.Steps[1].P99 = .031 },
		"a slow drain":           func(r *EndResult) { r.Steps[2].P99 = .031 },
		"a slow restart":         func(r *EndResult) { r.Steps[3].P99 = .031 },
		"nothing handed over":    func(r *EndResult) { r.Steps[2].HandedOver = 0 },
		"nobody looked":          func(r *EndResult) { r.Steps[2].Looks = 0 },
		"a tenant in the dark":   func(r *EndResult) { r.Steps[3].Dark = 1 },
		"a subscriber too many":  func(r *EndResult) { r.Steps[3].Wrong = 1 },
		"a read with no answer":  func(r *EndResult) { r.Errors = map[string]int{"unreachable": 1} },
		"a broken promise of it": func(r *EndResult) { r.Violations = 1 },
	} {
		r := moved()
		if spoil(r); r.Good() || len(r.missed()) != 1 {
			t.Errorf("%s: missed %v", name, r.missed())
		}
	}
	r := moved()
	if r.Steps[1].P99, r.slower = 1, 0; !r.Good() {
		t.Errorf("however long: missed %v", r.missed())
	}
}

func TestMovePrints(t *testing.T) {
	var out strings.Builder
	if err := moved().Print(&out); err != nil {
		t.Fatal(err)
	}
	got := make(map[string][]string)
	_, table, _ := strings.Cut(out.String(), "tenants taken")
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) > 0 {
			got[f[0]] = f
		}
	}
	want := strings.Fields("add 2000 700 0 70000 2.5 0.0 s 0.0 s 0 0 0 3.0 2 0")
	if diff := cmp.Diff(want, got[stepAdd]); diff != "" {
		t.Errorf("the row of the join (-want +got):\n%s", diff)
	}
}

func TestHandoffs(t *testing.T) {
	r := moved()
	r.Steps, r.Steps[2].Dark = r.Steps[:3], 1
	h := &Handoffs{Nodes: 3}
	h.add(r, 102)
	want := []*Handoff{
		{Step: stepAdd, Tenants: 2000, Each: 102, Seconds: 4, PerSecond: 175, P99: .030, Moves: r.Steps[1].Moves},
		{Step: stepDrain, Tenants: 2000, Each: 102, Seconds: 3.2, Ended: 5, PerSecond: 250, P99: .029, Moves: r.Steps[2].Moves},
	}
	if diff := cmp.Diff(want, h.All); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if h.Good() || !strings.HasPrefix(h.Missed[0], "2000 tenants: drain: 1 tenants") {
		t.Errorf("missed %q", h.Missed)
	}
	var out strings.Builder
	if err := h.Print(&out); err != nil || !strings.Contains(out.String(), "MISSED") {
		t.Errorf("%v\n%s", err, &out)
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	for _, c := range []struct {
		sorted []float64
		part   float64
		want   float64
	}{{nil, .99, 0}, {[]float64{7}, .99, 7}, {hundred, .5, 51}, {hundred, .99, 100}, {hundred[:10], 1, 10}} {
		if got := percentile(c.sorted, c.part); got != c.want {
			t.Errorf("%v of %d: %v, want %v", c.part, len(c.sorted), got, c.want)
		}
	}
}

// Nodes count from the begin of their process; what one counted until its last moments
// is not lost.
func TestFigures(t *testing.T) {
	const taken, over = `tenantry_handoffs_total{outcome="imported"}`, `tenantry_handoffs_total{outcome="handed_over"}`
	f := figures{last: make(map[string]map[string]float64), sum: make(map[string]float64), seen: subscribed{fewest: -1}}
	f.add("n1", map[string]float64{taken: 10, "tenantry_active_tenants": 5})
	f.sum = make(map[string]float64) // a step begins
	f.add("n2", map[string]float64{taken: 3})
	f.leaving("n1", map[string]float64{over: 2, taken: 10, "tenantry_active_tenants": 3}, time.Second)
	f.leaving("n1", map[string]float64{over: 5, taken: 10}, 2*time.Second)
	f.leaving("n1", map[string]float64{over: 5, taken: 10}, 3*time.Second)
	f.forget("n1")
	f.add("n1", map[string]float64{taken: 4, `tenantry_handoffs_total{outcome="doubted"}`: 1})
	var got Moves
	f.tell(&got)
	if diff := cmp.Diff(Moves{Taken: 7, HandedOver: 5, InVain: 1, InVainBy: map[string]float64{"doubted": 1}, Emptied: 2}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSubscribed(t *testing.T) {
	d := subscribed{fewest: -1, dark: make(map[int]bool)}
	for _, got := range []map[string]int64{{"a": 2, "b": 2}, {"a": 2, "b": 1}, {"a": 3, "b": 0}, {"a": 2, "b": 2}} {
		d.see([]string{"a", "b"}, got)
	}
	if d.looks != 4 || d.fewest != 0 || len(d.dark) != 1 || !d.dark[1] {
		t.Errorf("%+v", d)
	}
}

// Of a step, reads count until all was settled; those to a node that is gone do not.
func TestCount(t *testing.T) {
	log := history.NewLog(nil)
	log.Closed(1, 12*time.Second)
	s := &stage{run: &run{log: log}, Play: Play{Window: 5 * time.Second}}
	step := &Step{Name: stepDrain, begin: 10 * time.Second, end: 12 * time.Second, Settled: 1}
	for _, q := range []struct {
		read history.Read
		want bool
	}{
		{history.Read{Sent: 11 * time.Second, Done: 11200 * time.Millisecond, Node: 1}, true},
		{history.Read{Sent: 11 * time.Second, Done: 12500 * time.Millisecond, Node: 1, Result: history.Timeout}, true},
		{history.Read{Sent: 12500 * time.Millisecond, Done: 12500 * time.Millisecond, Node: 1, Result: history.Unreachable}, false},
		{history.Read{Sent: 12900 * time.Millisecond, Done: 13 * time.Second}, true},
		{history.Read{Sent: 13100 * time.Millisecond, Done: 13200 * time.Millisecond}, false},
	} {
		if got := s.count(step, &q.read); got != q.want {
			t.Errorf("%+v: counted %v, want %v", q.read, got, q.want)
		}
	}
	if step.Reads != 5 || step.Errors != 1 || step.Gone != 1 || step.Slowest != 1.5 {
		t.Errorf("%d reads, %d errors, %d gone, slowest %v", step.Reads, step.Errors, step.Gone, step.Slowest)
	}
}
