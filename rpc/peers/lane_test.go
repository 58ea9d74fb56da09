package peers

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

// sizes are the reads in each call.
func sizes(calls []call) (n []int) {
	for _, c := range calls {
		n = append(n, len(c.GetReads()))
	}
	return n
}

func TestReadsShareCalls(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, o *others) {
		const callTime = 50 * time.Millisecond
		var slow atomic.Bool
		slow.Store(true)
		o.nodes[0].answers(func(ctx context.Context, req *tenantryv1.PeerServiceGetRequest) *tenantryv1.PeerResult {
			if len(req.GetReads()) == 1 && slow.Load() {
				pause(ctx, callTime)
			}
			return value("o1")
		})
		var reads sync.WaitGroup
		start := time.Now()
		ask := func(n int, within time.Duration) {
			for range n {
				reads.Go(func() {
					if got := o.get(t.Context()); got != "o1" || time.Since(start) > within {
						t.Errorf("got %q after %v", got, time.Since(start))
					}
				})
			}
			synctest.Wait()
		}
		for i := range defaultCalls {
			late := time.Duration(i) * lateAfter
			ask(1, late+callTime+transit) // an idle node is asked at once, and one whose answer is late
			time.Sleep(lateAfter)
		}
		ask(2500, callTime+3*lateAfter+3*transit)
		reads.Wait()
		got := sizes(o.nodes[0].taken())
		slices.Sort(got[4:])
		if !slices.Equal(got, []int{1, 1, 1, 1, 500, 1000, 1000}) {
			t.Errorf("calls of %v", got)
		}
		slow.Store(false)
		start = time.Now()
		ask(1, transit)
		reads.Wait()
		synctest.Wait()
		l := o.lane(&o.peers[0])
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.calls != 0 || l.waiting != nil {
			t.Errorf("%d calls, %d waiting", l.calls, len(l.waiting))
		}
	})
}

// A call that hangs holds up what is asked meanwhile for a moment, and later for none.
func TestALateCallHoldsUpNobody(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, o *others) {
		o.warm()
		var hung atomic.Bool
		o.nodes[0].answers(func(ctx context.Context, _ *tenantryv1.PeerServiceGetRequest) *tenantryv1.PeerResult {
			if hung.CompareAndSwap(false, true) {
				pause(ctx, recallTimeout/2)
			}
			return value("o1")
		})
		var first sync.WaitGroup
		first.Go(func() { o.want("o1", recallTimeout/2+transit) })
		synctest.Wait()
		start := time.Now()
		o.want("o1", lateAfter+transit)
		if took := time.Since(start); took != lateAfter+transit {
			t.Errorf("took %v: it was not to begin a call of its own at once", took)
		}
		time.Sleep(lateAfter)
		for range 10 {
			o.want("o1", transit)
			time.Sleep(lateAfter)
		}
		first.Wait()
	})
}

func TestALaneIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := gather(t, 2, func(c *Config) { c.Calls = 1 })
		defer o.stop()
		o.nodes[0].Freeze()
		l := o.lane(&o.peers[0])
		outcomes := make(chan outcome, maxWaiting+1)
		l.recall(question{read(), 0, outcomes})
		synctest.Wait() // in flight
		for range maxWaiting {
			l.recall(question{read(), 0, outcomes})
		}
		synctest.Wait()
		if len(outcomes) != 0 {
			t.Fatalf("%d were refused", len(outcomes))
		}
		o.want("o2", transit)
		o.nodes[0].Work(0)
		for range maxWaiting + 1 {
			if got := <-outcomes; got.err != nil {
				t.Fatal(got.err)
			}
		}
		o.want("o1", 2*transit)
	})
}

// Each read gets its own answer.
func TestAnswersAreNotMixedUp(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, o *others) {
		o.nodes[0].handle = echo{o.nodes[0]}.handler()
		var reads sync.WaitGroup
		for i := range 3000 {
			reads.Go(func() {
				key := string(rune('a'+i%26)) + string(rune('a'+i/26))
				a, err := o.Get(t.Context(), o.peers, &tenantryv1.PeerRead{Tenant: "acme", Kind: "role", Key: key})
				if got := said(a, err); got != key {
					t.Errorf("%q got %q", key, got)
				}
			})
		}
		reads.Wait()
	})
}
