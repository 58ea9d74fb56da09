package trial

import (
	"context"
	"sort"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/history"
	"github.com/tenantry/tenantry/cmd/chaos/world"
)

// pulse notes when the machine had no time for this process: then it had none for
// the nodes either, and reads were slow for no fault of theirs.
type pulse []beat

// beat is a pause that ended at a time, later than it should.
type beat struct {
	at   history.Time
	late time.Duration
}

const (
	// pulseInterval is the time between two beats.
	pulseInterval = 10 * time.Millisecond
	// onTime is how late a beat may be and is not noted.
	onTime = 20 * time.Millisecond
)

// run beats until ctx ends.
func (p *pulse) run(ctx context.Context, clock history.Clock) {
	for last := clock.Now(); world.Pause(ctx, pulseInterval); {
		now := clock.Now()
		if late := now - last - pulseInterval; late > onTime {
			*p = append(*p, beat{now, late})
		}
		last = now
	}
}

// machineLate is from when on the machine's lateness is why a read took long.
const machineLate = 100 * time.Millisecond

// busy says that the machine was late within a read: nothing is known of the node
// that did not answer in time.
func (p *pulse) busy(q *history.Read) bool { return p.late(q.Sent, q.Done) >= machineLate }

// late returns the most that a beat was late within a part of the run.
func (p *pulse) late(from, to history.Time) (most time.Duration) {
	all := *p
	first := sort.Search(len(all), func(i int) bool { return all[i].at > from })
	for _, b := range all[first:] {
		if b.at-b.late > to {
			break
		}
		most = max(most, b.late)
	}
	return most
}
