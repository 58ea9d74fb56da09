package trial

import (
	"context"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/history"
	"github.com/tenantry/tenantry/cmd/chaos/origin"
	"github.com/tenantry/tenantry/cmd/chaos/world"
)

// tally is how often an origin had been asked, in the order of time.
type tally []count

// count is the requests until one time: for lists, and for single items.
type count struct {
	at           history.Time
	lists, items uint64
}

// tallyInterval makes a second one to within a hundredth.
const tallyInterval = 10 * time.Millisecond

// run counts until ctx ends.
func (t *tally) run(ctx context.Context, clock history.Clock, o *origin.Origin) {
	for {
		lists := o.Lists() // before the sum of both
		*t = append(*t, count{clock.Now(), lists, o.Asked() - lists})
		if !world.Pause(ctx, tallyInterval) {
			return
		}
	}
}

// between returns how many there were from one time to another.
func (t *tally) between(from, to history.Time) (lists, items uint64) {
	first, last := (*t)[0], (*t)[0]
	for _, c := range *t {
		if c.at <= from {
			first = c
		}
		if c.at <= to {
			last = c
		}
	}
	return last.lists - first.lists, last.items - first.items
}

// most returns the most lists, and requests of both sorts, within one second that
// ended in the time given.
func (t *tally) most(from, to history.Time) (lists, both uint64) {
	first := 0
	for _, c := range *t {
		for c.at-(*t)[first].at > time.Second {
			first++
		}
		if since := (*t)[first]; c.at >= from && c.at <= to {
			lists, both = max(lists, c.lists-since.lists), max(both, c.lists+c.items-since.lists-since.items)
		}
	}
	return lists, both
}
