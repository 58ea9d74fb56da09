package trial

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/cmd/chaos/history"
)

// struck is a fault from 1 s to 3 s, noticed at 1.2 s, of which the last tenant is
// settled at 5 s; ten lists and one item are asked for in each tenth of a second
// from 2 s to 5 s.
func struck() *watch {
	w := &watch{run: &run{Config: Config{Quiet: time.Second}}, begin: time.Second, end: 3 * time.Second}
	lists, items := uint64(100), uint64(50)
	for at := history.Time(0); at <= 6*time.Second; at += 100 * time.Millisecond {
		g := glance{at, 2, 0}
		if at >= 1200*time.Millisecond {
			g.doubts = 3
			if at < 5*time.Second {
				g.doubtful = 7
			}
		}
		if at > 2*time.Second && at <= 5*time.Second {
			lists, items = lists+10, items+1
		}
		w.glances = append(w.glances, g)
		w.tally = append(w.tally, count{at, lists, items})
	}
	return w
}

func TestWatch(t *testing.T) {
	w := struck()
	if got, want := w.doubted(), 1200*time.Millisecond; got != want {
		t.Errorf("doubted at %v, want %v", got, want)
	}
	if got, want := w.settled(), 5*time.Second; got != want {
		t.Errorf("settled at %v, want %v", got, want)
	}
	lists, items := w.tally.between(w.begin, w.settled())
	mostLists, most := w.tally.most(w.begin, w.settled())
	if diff := cmp.Diff([]uint64{300, 30, 100, 110}, []uint64{lists, items, mostLists, most}); diff != "" {
		t.Errorf("lists, items, most lists, most (-want +got):\n%s", diff)
	}
}

// It is over when nothing has been doubtful for as long as there must be quiet.
func TestRecovered(t *testing.T) {
	all := struck()
	for n := 2; n <= len(all.glances); n++ {
		w := *all
		w.glances = all.glances[:n]
		if got, want := w.recovered(), w.glances[n-1].at >= 6*time.Second; got != want {
			t.Errorf("at %v: recovered %v, want %v", w.glances[n-1].at, got, want)
		}
	}
	all.end = 0
	if all.recovered() {
		t.Error("recovered while the fault lasts")
	}
}

func TestShares(t *testing.T) {
	for name, c := range map[string]struct {
		bad  []int // windows in which two of a hundred are not good
		want time.Duration
	}{
		"all good":            {nil, 0},
		"the first is bad":    {[]int{0}, window},
		"it gets worse again": {[]int{0, 3}, 4 * window},
		"the last, not whole": {[]int{9}, 0},
	} {
		var s shares
		for at := range 10 {
			for n := range 100 {
				s.add(at, n >= 1)
			}
		}
		for _, at := range c.bad {
			s.part[at]--
		}
		if got := s.last(); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
