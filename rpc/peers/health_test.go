package peers

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/shard"
)

func TestAFrozenOwner(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, o *others) {
		o.warm()
		o.nodes[0].Freeze()
		start := time.Now()
		o.want("o2", 10*transit) // hedged
		for time.Since(start) < recallTimeout {
			o.want("o2", recallTimeout+transit) // hedged or not
		}
		o.nodes[0].Requests()
		for range 100 {
			o.want("o2", transit) // the first is down, and not asked
		}
		if asked := o.nodes[0].Requests(); len(asked) > 1 { // by what pings it
			t.Error(asked)
		}
		o.nodes[0].Work(transit)
		time.Sleep(pingInterval + pingTimeout + transit)
		o.want("o1", transit)
	})
}

// Without a budget a read waits until the first owner is given up, and no longer.
func TestAFrozenOwnerWithoutBudget(t *testing.T) {
	inBubble(t, 2, func(_ *testing.T, o *others) {
		o.nodes[0].Freeze()
		o.want("o2", recallTimeout+transit)
		o.want("o2", transit)
	})
}

func TestAllOwnersDown(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, o *others) {
		o.nodes[0].Freeze()
		o.nodes[1].Kill()
		o.want(ErrNoOwner.Error(), recallTimeout)
		for range 100 {
			o.want(ErrNoOwner.Error(), 0)
		}
		time.Sleep(time.Hour) // they are pinged as long as they are remembered, and no longer
		for _, node := range o.nodes {
			node.Requests()
		}
		time.Sleep(time.Hour)
		for _, node := range o.nodes {
			if n := len(node.Requests()); n != 0 {
				t.Errorf("%s was pinged %d times", node.peer.Name, n)
			}
			node.Work(transit)
		}
		o.want("o1", transit)
	})
}

// Nodes that are not asked are not pinged.
func TestPingsHaveReasons(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, o *others) {
		o.warm()
		o.nodes[0].answers(byOrigin("slow", 2*time.Second))
		o.want("slow", 3*time.Second)
		time.Sleep(time.Second)
		o.nodes[0].Requests()
		time.Sleep(time.Hour)
		if asked := o.nodes[0].Requests(); asked != nil {
			t.Error(asked)
		}
	})
}

// A node that dies or freezes while it reads the origin is found out, and the read
// goes on.
func TestAWaitedForOwner(t *testing.T) {
	for name, test := range map[string]struct {
		breaks func(*owner)
		within time.Duration
	}{
		"dies":    {func(o *owner) { o.Kill() }, 2 * transit},
		"freezes": {func(o *owner) { o.Freeze() }, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2, func(t *testing.T, o *others) {
				o.warm()
				o.nodes[0].answers(byOrigin("never", time.Hour))
				o.nodes[1].answers(byOrigin("o2", time.Second))
				start := time.Now()
				time.AfterFunc(3*time.Second, func() { test.breaks(o.nodes[0]) })
				got := o.get(t.Context())
				if took := time.Since(start) - 3*time.Second; got != "o2" || took > time.Second+test.within {
					t.Errorf("got %q %v later", got, took)
				}
			})
		})
	}
}

// A node that answers pings, and some calls, but not these, stays down until it
// answers them.
func TestANodeThatAnswersPingsOnly(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, o *others) {
		o.warm()
		o.nodes[0].answers(func(ctx context.Context, _ *tenantryv1.PeerServiceGetRequest) *tenantryv1.PeerResult {
			pause(ctx, time.Hour)
			return value("late")
		})
		o.budget.saved.Store(0)
		o.want("o2", recallTimeout+2*transit)
		for range 1000 {
			o.want("o2", transit)
			time.Sleep(9 * time.Millisecond)
		}
		o.nodes[0].always(value("o1"))
		time.Sleep(pingInterval + pingTimeout + transit)
		o.want("o1", transit)
		asked := len(o.nodes[0].Requests())
		time.Sleep(time.Minute)
		if n := len(o.nodes[0].Requests()); n != 0 {
			t.Errorf("asked %d times before, %d times when it answered again", asked, n)
		}
	})
}

// What has queued for a node that turns out to be down need not find out by itself.
func TestWhatWaitsForANodeThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := gather(t, 1, func(c *Config) { c.Calls = 1 })
		defer o.stop()
		o.nodes[0].Freeze()
		start := time.Now()
		var reads sync.WaitGroup
		for range 10 {
			reads.Go(func() { _ = o.get(t.Context()) })
		}
		reads.Wait()
		if took := time.Since(start); took != recallTimeout {
			t.Errorf("took %v", took)
		}
	})
}

// A refusal in words, such as of a wrong secret, is a sign of life.
func TestARefusalIsASignOfLife(t *testing.T) {
	for code, down := range map[connect.Code]bool{
		connect.CodeUnauthenticated: false, connect.CodeInvalidArgument: false, connect.CodeResourceExhausted: false,
		connect.CodeUnavailable: true, connect.CodeDeadlineExceeded: true, connect.CodeInternal: true,
	} {
		if spoke(connect.NewError(code, nil)) == down {
			t.Error(code)
		}
	}
	if spoke(errAnswer) {
		t.Error("a wrong answer")
	}
}

func TestTheHedgesDelay(t *testing.T) {
	var h health
	h.init()
	if h.hedge() != maxHedge {
		t.Error("of a node that is not known yet", h.hedge())
	}
	for range 100 {
		h.answered(time.Microsecond)
	}
	if h.hedge() != minHedge {
		t.Error("of a fast node", h.hedge())
	}
	for i := range 100 {
		h.answered(20*time.Millisecond + time.Duration(i%2)*time.Millisecond)
	}
	if d := h.hedge(); d < 21*time.Millisecond || d > 25*time.Millisecond {
		t.Error("of a slow one", d)
	}
	h.answered(time.Hour)
	if h.hedge() != maxHedge {
		t.Error("of one that took an hour", h.hedge())
	}
	if h.waitHedge() != maxWaitHedge {
		t.Error("of an origin that is not known yet", h.waitHedge())
	}
	for range 100 {
		h.waited(300 * time.Millisecond)
	}
	if d := h.waitHedge(); d < 300*time.Millisecond || d > 310*time.Millisecond {
		t.Error("of a slow origin", d)
	}
	for range 100 {
		h.waited(50 * time.Millisecond)
	}
	if h.waitHedge() != minWaitHedge {
		t.Error("of a usual one", h.waitHedge())
	}
}

func TestForgottenNodes(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, o *others) {
		lanes := func() int {
			o.mu.Lock()
			defer o.mu.Unlock()
			return len(o.lanes)
		}
		for range 200 {
			if got := said(o.Get(t.Context(), o.peers[:2], read())); got != "o1" {
				t.Fatal(got)
			}
			if err := o.Activity(t.Context(), o.peers[2], nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if n := lanes(); n != 3 {
			t.Errorf("%d lanes", n)
		}
		for range 121 {
			_ = o.Activity(t.Context(), o.peers[2], nil)
			time.Sleep(time.Second)
		}
		if n := lanes(); n != 1 {
			t.Errorf("%d lanes", n)
		}
		renamed := shard.Peer{ID: "another", Name: "o3", URL: "http://o3"} // as after a restart
		if got := said(o.Get(t.Context(), []shard.Peer{renamed}, read())); got != "o3" {
			t.Error(got)
		}
	})
}

func TestTheEnd(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, o *others) {
		o.nodes[0].answers(byOrigin("never", time.Hour))
		var waiting sync.WaitGroup
		for range 10 {
			waiting.Go(func() {
				if got := o.get(t.Context()); got != ErrNoOwner.Error() {
					t.Error(got)
				}
			})
		}
		o.nodes[1].Freeze()
		for range 10 {
			waiting.Go(func() { _, _ = o.Get(t.Context(), o.peers[1:], read()) })
		}
		time.Sleep(100 * time.Millisecond)
		start := time.Now()
		o.stop()
		waiting.Wait()
		for range 100 {
			o.want(ErrNoOwner.Error(), 0)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

// Nodes break and come back while many read: every read is answered, rightly.
func TestManyReadsOfNodesThatBreak(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, o *others) {
		var n atomic.Int64
		for _, node := range o.nodes {
			node.answers(func(_ context.Context, req *tenantryv1.PeerServiceGetRequest) *tenantryv1.PeerResult {
				if n.Add(1)%3 == 0 && req.GetNoWait() {
					return deferred()
				}
				return value(node.peer.Name)
			})
		}
		var done atomic.Bool
		var breaking, reading sync.WaitGroup
		breaking.Go(func() {
			for i := 0; !done.Load(); i++ {
				node := o.nodes[i%2]
				switch i / 2 % 3 {
				case 0:
					node.Kill()
				case 1:
					node.Freeze()
				}
				time.Sleep(time.Duration(37*(i%11)) * time.Millisecond)
				node.Work(transit)
				time.Sleep(50 * time.Millisecond)
			}
		})
		var answers [4]atomic.Int64
		for range 50 {
			reading.Go(func() {
				for range 60 {
					a, err := o.Get(t.Context(), o.peers, read())
					got := said(a, err)
					if err != nil || got != a.Node || got == "" {
						t.Errorf("got %q of %q", got, a.Node)
						return
					}
					answers[got[1]-'0'].Add(1)
					time.Sleep(20 * time.Millisecond)
				}
			})
		}
		reading.Wait()
		done.Store(true)
		breaking.Wait()
		if answers[1].Load() == 0 || answers[2].Load() == 0 || answers[3].Load() == 0 {
			t.Errorf("answered by %d, %d, %d", answers[1].Load(), answers[2].Load(), answers[3].Load())
		}
	})
}
