package trial

import (
	"fmt"
	"slices"
)

// Growth compares the medians of a figure in the middle and the last third of a
// run. The first third warms up; a median does not care for a peak that the
// garbage collector or a burst of requests leaves.
type Growth struct {
	Middle, Last float64
	// slack is what may be added all the same.
	slack float64
	// known says that there were enough samples.
	known bool
}

const (
	// flatShare is by how much the last third may be above the middle one.
	flatShare = 0.05
	// flatGoroutines is how many more there may be besides: as many come and go
	// with the requests that are in work.
	flatGoroutines = 20
	// minSamples is how many of them say something.
	minSamples = 9
)

func growth(samples []Sample, figure func(*Sample) float64, slack float64) Growth {
	n := len(samples)
	if n < minSamples {
		return Growth{}
	}
	return Growth{Middle: median(samples[n/3:2*n/3], figure), Last: median(samples[2*n/3:], figure), slack: slack, known: true}
}

func median(samples []Sample, figure func(*Sample) float64) float64 {
	all := make([]float64, len(samples))
	for i := range samples {
		all[i] = figure(&samples[i])
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// Flat says that the last third is at most a twentieth, and the slack, above the
// middle one.
func (g Growth) Flat() bool { return g.known && g.Last <= g.Middle*(1+flatShare)+g.slack }

// String returns the verdict for people.
func (g Growth) String() string {
	switch {
	case !g.known:
		return "TOO FEW SAMPLES"
	case g.Flat():
		return fmt.Sprintf("flat (%+.1f %%)", 100*(g.Last/g.Middle-1))
	}
	return fmt.Sprintf("GROWS (%+.1f %%)", 100*(g.Last/g.Middle-1))
}
