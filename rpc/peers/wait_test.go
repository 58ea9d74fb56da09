package peers

import (
	"context"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

// originTimeout is when an owner gives up an origin that does not answer.
const originTimeout = 2 * time.Second

// outOfReach is what an owner answers whose link to the origin is frozen.
func outOfReach(ctx context.Context, req *tenantryv1.PeerServiceGetRequest) *tenantryv1.PeerResult {
	if req.GetNoWait() {
		return deferred()
	}
	pause(ctx, originTimeout)
	return failure(connect.CodeUnavailable)
}

// waits counts the calls of an owner that wait for the origin.
func (o *owner) waits() (n int) {
	for _, c := range o.taken() {
		if !c.GetNoWait() {
			n++
		}
	}
	return n
}

// An owner's origin may be out of its reach, and in that of another.
func TestAnOwnersOriginIsOutOfReach(t *testing.T) {
	for name, test := range map[string]struct {
		second func(*owner)
		want   string
		within time.Duration
	}{
		"the second remembers":   {func(o *owner) { o.always(value("o2")) }, "o2", maxWaitHedge + 2*transit},
		"the second reads":       {func(o *owner) { o.answers(byOrigin("o2", 100*time.Millisecond)) }, "o2", maxWaitHedge + 100*time.Millisecond + 3*transit},
		"absent at the second":   {func(o *owner) { o.always(failure(connect.CodeNotFound)) }, "not_found of o2", maxWaitHedge + 2*transit},
		"the second is down":     {func(o *owner) { o.Kill() }, "o3", maxWaitHedge + 2*transit},
		"the second has nothing": {func(o *owner) { o.always(failure(connect.CodeUnavailable)) }, "o3", maxWaitHedge + 3*transit},
		"the second neither":     {func(o *owner) { o.answers(outOfReach) }, "o3", 2*maxWaitHedge + 3*transit},
		"the second is frozen":   {func(o *owner) { o.Freeze() }, "o3", maxWaitHedge + recallTimeout + 2*transit},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(_ *testing.T, o *others) {
				o.warm()
				o.nodes[0].answers(outOfReach)
				test.second(o.nodes[1])
				o.want(test.want, test.within)
			})
		})
	}
}

// An error of the second owner does not win while the first may have an answer.
func TestTheFirstOwnersOriginIsSlow(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, o *others) {
		o.warm()
		o.nodes[0].answers(byOrigin("o1", time.Second))
		o.nodes[1].always(failure(connect.CodeUnavailable))
		o.want("o1", time.Second+2*transit)
		if n := len(o.nodes[1].taken()); n != 1 {
			t.Errorf("the second owner was asked %d times", n)
		}
	})
}

func TestNoOwnerReachesTheOrigin(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, o *others) {
		o.warm()
		o.nodes[0].answers(outOfReach)
		o.nodes[1].answers(outOfReach)
		start := time.Now()
		o.want("unavailable of o1", originTimeout+maxWaitHedge+4*transit)
		if took := time.Since(start); took < originTimeout+minWaitHedge {
			t.Errorf("took %v: the second may still have answered", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got := o.get(ctx); got != context.DeadlineExceeded.Error() {
			t.Error(got)
		}
		if n := o.nodes[1].waits(); n != 2 {
			t.Errorf("the second owner was waited for %d times", n)
		}
	})
}

// Without budget the second owner is asked when there is some, or the first gives up.
func TestHedgesOfTheOriginAreFew(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, o *others) {
		o.nodes[0].answers(outOfReach)
		o.want("o2", originTimeout+3*transit)
		earned := time.Now()
		time.AfterFunc(time.Second, func() { o.budget.saved.Store(hedgeCost) })
		o.want("o2", time.Second+minWaitHedge+2*transit)
		if took := time.Since(earned); took < time.Second {
			t.Errorf("hedged after %v", took)
		}
		o.nodes[1].taken()
		o.nodes[1].answers(byOrigin("o2", 10*time.Millisecond))
		const reads, saved = 300, 2
		o.budget.saved.Store(saved * hedgeCost)
		var reading sync.WaitGroup
		start := time.Now()
		for range reads {
			reading.Go(func() { o.want("o2", originTimeout+20*time.Millisecond) })
		}
		time.Sleep(originTimeout - 100*time.Millisecond)
		if n := o.nodes[1].waits(); n != saved+reads/hedgeCost {
			t.Errorf("%d hedges of %d reads after %v", n, reads, time.Since(start))
		}
		reading.Wait()
	})
}
