package shard

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tenantry/tenantry/subscriber"
)

// A gap in a sequence is a doubt of its tenant alone; of one that is not active
// it is nothing.
func TestGapsAreDoubts(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		r.want("acme", "cost", "a", "1 fresh origin")
		r.want("other", "cost", "a", "1 fresh origin")
		r.wait(10*time.Second + 100*time.Millisecond)
		acme, other := r.node.activated("acme").cache, r.node.activated("other").cache
		before, untouched := acme.Generation(), other.Generation()
		r.bus.do(func() {
			r.node.Gap("acme", "costs")
			r.node.Gap("nobody", "costs")
		})
		r.wait(20 * time.Millisecond)
		if acme.Generation() == before || other.Generation() != untouched {
			t.Errorf("generations %d and %d, before %d and %d", acme.Generation(), other.Generation(), before, untouched)
		}
		if n := testutil.ToFloat64(r.node.metrics.doubts.WithLabelValues(string(subscriber.CauseSequence))); n != 1 {
			t.Errorf("%v doubts counted", n)
		}
	})
}
