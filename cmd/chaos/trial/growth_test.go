package trial

import (
	"maps"
	"slices"
	"testing"
)

// grown judges samples of which the n-th takes so much.
func grown(n int, slack float64, at func(int) int) Growth {
	all := make([]Sample, n)
	for i := range all {
		all[i].Resident = float64(at(i))
	}
	return growth(all, func(s *Sample) float64 { return s.Resident }, slack)
}

func TestFlat(t *testing.T) {
	for name, g := range map[string]Growth{
		"a node that stays as it is":  grown(120, 0, func(int) int { return 100 }),
		"one that warms up first":     grown(120, 0, func(i int) int { return min(i, 40) }),
		"a saw of collections":        grown(120, 0, func(i int) int { return 100 + i%7*20 }),
		"a peak at the end":           grown(120, 0, func(i int) int { return 100 + i/110*50 }),
		"a twentieth more":            grown(120, 0, func(i int) int { return 100 + i/80*5 }),
		"a slow growth within slack":  grown(120, 20, func(i int) int { return 200 + i/2 }),
		"goroutines that come and go": grown(120, flatGoroutines, func(i int) int { return 200 + i/80*30 }),
	} {
		if !g.Flat() {
			t.Errorf("%s: %v to %v %v", name, g.Middle, g.Last, g)
		}
	}
}

func TestGrowthIsFoundOut(t *testing.T) {
	for name, g := range map[string]Growth{
		"one that grows all the time": grown(120, 0, func(i int) int { return 100 + i }),
		"slowly":                      grown(120, 0, func(i int) int { return 200 + i/2 }),
		"a leak that starts late":     grown(120, 0, func(i int) int { return 100 + max(0, i-80) }),
		"more than a twentieth":       grown(120, 0, func(i int) int { return 100 + i/80*6 }),
		"too many goroutines":         grown(120, flatGoroutines, func(i int) int { return 200 + i/80*31 }),
		"too little seen":             grown(minSamples-1, 0, func(int) int { return 100 }),
	} {
		if g.Flat() {
			t.Errorf("%s: %v to %v %v", name, g.Middle, g.Last, g)
		}
	}
}

// Whatever is wrong with a run makes it unsteady.
func TestSteady(t *testing.T) {
	samples := func(memory, goroutines int) (all []Sample) {
		for i := range 60 {
			all = append(all, Sample{Resident: float64(100 + i*memory), Goroutines: float64(100 + i*goroutines)})
		}
		return all
	}
	results := map[string]Result{
		"good":       {Samples: samples(0, 0)},
		"memory":     {Samples: samples(1, 0)},
		"goroutines": {Samples: samples(0, 3)},
		"failures":   {Samples: samples(0, 0), Failures: map[string]int{"timeout": 1}},
		"violations": {Samples: samples(0, 0), Violations: 1},
	}
	for _, name := range slices.Sorted(maps.Keys(results)) {
		if r := results[name]; r.Steady() != (name == "good") {
			t.Errorf("%s: steady is %v", name, r.Steady())
		}
	}
}
