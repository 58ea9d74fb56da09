package shard

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/subscriber"
)

func TestFirstReadActivates(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		r.bus.delay, r.origin.delay = 100*time.Millisecond, 100*time.Millisecond
		r.wantState("acme", Cold)
		r.want("acme", "cost", "a", "1 fresh origin") // neither the channels nor the lists are waited for
		r.wantState("acme", Subscribing)
		r.wait(150 * time.Millisecond)
		r.wantState("acme", Loading)
		r.wait(250 * time.Millisecond)
		r.wantState("acme", Live)
		reads := r.origin.reads()
		r.want("acme", "role", "a", "1 fresh memory")
		r.want("acme", "role", "none", "absent fresh memory")
		if n := r.origin.reads(); n != reads {
			r.Errorf("%d origin reads of what the lists brought", n-reads)
		}
		if got := r.origin.listed(); len(got) != 2 {
			r.Errorf("lists %v, want one of each critical kind", got)
		}
		if got := r.bus.names(); !slices.Equal(got, []string{"acme"}) {
			r.Errorf("followed %v", got)
		}
	})
}

func TestUnknownKind(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		_, err := r.node.Read(r.Context(), "acme", "none", "a", cache.ReadOptions{})
		u, ok := errors.AsType[*UnknownKindError](err)
		if !ok || !slices.Equal(u.Known, []string{"cost", "role", "user"}) {
			r.Errorf("%v", err)
		}
		r.wantState("acme", Cold)
	})
}

func TestReconfirmationReloadsAtThePace(t *testing.T) {
	inBubble(t, Config{ResyncPerSecond: 2}, func(r *rig) {
		const tenants = 10
		for i := range tenants {
			r.want(fmt.Sprint("t", i), "cost", "a", "1 fresh origin")
		}
		r.wait(time.Second) // first loads do not wait for the pace
		if n := len(r.origin.listed()); n != 2*tenants {
			r.Fatalf("%d lists, want %d", n, 2*tenants)
		}
		r.bus.reconnect()
		r.wait(5 * time.Second)
		if n := len(r.origin.listed()); n < 8 || n > 10 {
			r.Errorf("%d lists in 5 s, want at most 2 a second", n)
		}
		r.wantState("t1", Live)
		r.wait(10 * time.Second)
		if n := len(r.origin.listed()); n < 10 || n > 12 {
			r.Errorf("%d more lists", n)
		}
		r.want("t9", "role", "none", "absent fresh memory")
	})
}

func TestOnlyFailedListsAreRepeated(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		r.origin.fail("role", errDown)
		r.want("acme", "cost", "a", "1 fresh origin")
		r.wait(2 * time.Minute)
		r.wantState("acme", Loading)
		var costs int
		var gaps []time.Duration
		last := time.Duration(0)
		for _, l := range r.origin.listed() {
			if l.kind == "cost" {
				costs++
				continue
			}
			gaps = append(gaps, (l.at - last).Round(time.Second))
			last = l.at
		}
		var want []time.Duration
		for _, seconds := range []int{0, 1, 1, 2, 4, 8, 16, 30, 30} { // 0.5 s is looked at after 1 s
			want = append(want, time.Duration(seconds)*time.Second)
		}
		if diff := cmp.Diff(want, gaps); diff != "" || costs != 1 {
			r.Errorf("%d lists of the kind that was kept; delays (-want +got):\n%s", costs, diff)
		}
		r.origin.fail("role", nil)
		r.wait(31 * time.Second)
		r.wantState("acme", Live)
		r.wait(5 * time.Minute)
		if got := r.origin.listed(); len(got) != 1 {
			r.Errorf("lists %v", got)
		}
	})
}

// A reconnect does not wait for the back-off of what failed before it.
func TestReconfirmationEndsTheBackOff(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		r.origin.fail("role", errDown)
		r.want("acme", "cost", "a", "1 fresh origin")
		r.wait(65 * time.Second) // the next is due at 92 s
		r.origin.fail("role", nil)
		r.origin.listed()
		r.bus.reconnect()
		r.wait(time.Second)
		r.wantState("acme", Live)
		r.wait(time.Minute)
		if got := r.origin.listed(); len(got) != 2 {
			r.Errorf("lists %v, want one of each kind", got)
		}
	})
}

// A confirmation during a load makes it begin again: what it read may be from
// before the channels were subscribed.
func TestConfirmationDuringALoad(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		r.origin.delay = time.Second
		r.want("acme", "cost", "a", "1 fresh origin")
		r.wait(1500 * time.Millisecond)
		r.bus.reconnect()
		r.wait(time.Minute)
		r.wantState("acme", Live)
		if got := r.origin.listed(); len(got) != 4 {
			r.Errorf("lists %v, want two of each kind", got)
		}
		r.want("acme", "cost", "none", "absent fresh memory")
	})
}

func TestIdleTenantsAreLetGo(t *testing.T) {
	inBubble(t, Config{IdleTimeout: time.Minute}, func(r *rig) {
		r.want("acme", "cost", "a", "1 fresh origin")
		r.wait(time.Second)
		goroutines := runtime.NumGoroutine()
		for i := range 100 {
			r.want(fmt.Sprint("t", i), "cost", "a", "1 fresh origin")
		}
		r.wait(time.Second)
		if n := runtime.NumGoroutine(); n > goroutines+5 {
			r.Errorf("%d goroutines for 100 tenants", n-goroutines)
		}
		for range 6 { // one of them is read again and again
			r.wait(20 * time.Second)
			r.want("acme", "cost", "a", "1 fresh memory")
		}
		if got := r.bus.names(); !slices.Equal(got, []string{"acme"}) || r.node.Active() != 1 {
			r.Fatalf("followed %v, %d active", got, r.node.Active())
		}
		r.wait(2 * time.Minute)
		r.wantState("acme", Cold)
		r.checkNothingIsLeft()
		r.origin.listed()
		r.want("acme", "cost", "a", "1 fresh origin")
		r.wait(time.Second)
		r.wantState("acme", Live)
		if got := r.origin.listed(); len(got) != 2 {
			r.Errorf("lists %v", got)
		}
	})
}

func TestTenantLimit(t *testing.T) {
	inBubble(t, Config{ActiveTenants: 2, IdleTimeout: time.Minute}, func(r *rig) {
		for _, name := range []string{"a", "b", "c", "c"} {
			r.want(name, "cost", "a", "1 fresh origin")
		}
		r.wait(time.Second)
		r.wantState("c", Cold)
		r.want("c", "cost", "none", "absent fresh origin")
		if r.node.Active() != 2 {
			r.Errorf("%d active", r.node.Active())
		}
		r.wait(2 * time.Minute) // there is room again
		r.want("c", "cost", "a", "1 fresh origin")
		r.wait(time.Second)
		r.wantState("c", Live)
	})
}

func TestActivationRate(t *testing.T) {
	inBubble(t, Config{ActivationsPerSecond: 5}, func(r *rig) {
		for i := range 20 {
			r.want(fmt.Sprint("t", i), "cost", "a", "1 fresh origin")
		}
		if n := r.node.Active(); n != 5 {
			r.Errorf("%d active, want the burst of 5", n)
		}
		r.wait(time.Second)
		for i := range 20 {
			r.want(fmt.Sprint("t", i), "user", "a", "1 fresh origin")
		}
		if n := r.node.Active(); n != 10 {
			r.Errorf("%d active a second later, want 10", n)
		}
	})
}

func TestTenantDeleted(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		for _, name := range []string{"acme", "other"} {
			r.want(name, "cost", "a", "1 fresh origin")
		}
		r.wait(time.Second)
		r.bus.do(func() { r.node.Event(&subscriber.Event{Tenant: "acme", TenantDeleted: true}) })
		r.wait(time.Second)
		r.wantState("acme", Cold)
		r.wantState("other", Live)
		if got := r.bus.names(); !slices.Equal(got, []string{"other"}) {
			r.Errorf("followed %v", got)
		}
		r.want("acme", "cost", "a", "1 fresh origin")
	})
}

func TestPreload(t *testing.T) {
	cfg := Config{Preload: []string{"a", "b"}, ActiveTenants: 1, ActivationsPerSecond: 1, IdleTimeout: time.Minute}
	inBubble(t, cfg, func(r *rig) {
		r.wait(30 * time.Minute) // neither the limits nor idleness count for them
		r.wantState("a", Live)
		r.wantState("b", Live)
		r.want("a", "cost", "none", "absent fresh memory")
	})
}

func TestEventsOfUnknownTenants(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		r.bus.do(func() {
			r.node.Event(event("nobody", "cost", "a", "2"))
			r.node.Event(&subscriber.Event{Tenant: "nobody", TenantDeleted: true})
			r.node.Refused("nobody", "costs", &subscriber.RefusedError{Reason: "malformed"})
			r.node.Confirmed(0, "nobody")
		})
		r.wait(time.Second)
		r.wantState("nobody", Cold)
		r.checkNothingIsLeft()
	})
}

func TestEvents(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		r.want("acme", "cost", "a", "1 fresh origin")
		r.wait(time.Second)
		r.bus.do(func() { r.node.Event(event("acme", "cost", "a", "2")) })
		r.wait(20 * time.Millisecond)
		r.want("acme", "cost", "a", "2 provisional event")
		r.wait(time.Second)
		r.want("acme", "cost", "a", "1 fresh memory")
		e := event("acme", "cost", "a", "3")
		e.Version, e.Versioned = 2, true
		r.bus.do(func() { r.node.Event(e) })
		r.wait(time.Minute)
		r.want("acme", "cost", "a", "3 fresh event")
	})
}

func TestRefusedEventsAreDoubts(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		for _, name := range []string{"acme", "other"} {
			r.want(name, "cost", "a", "1 fresh origin")
		}
		r.wait(10*time.Second + 100*time.Millisecond)
		r.bus.do(func() { r.node.Refused("acme", "costs", &subscriber.RefusedError{Reason: "malformed"}) })
		r.wait(20 * time.Millisecond)
		r.want("acme", "cost", "none", "absent fresh origin")
		r.want("acme", "cost", "a", "1 fresh origin")
		r.want("other", "cost", "a", "1 fresh memory")
		r.wait(2 * time.Second) // the lists are read anew
		r.want("acme", "cost", "never asked for", "absent fresh memory")
	})
}

func TestDoubtOfTheConnection(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		r.want("acme", "cost", "a", "1 fresh origin")
		r.wait(10*time.Second + 100*time.Millisecond)
		r.want("acme", "cost", "a", "1 fresh memory")
		r.bus.do(func() { r.node.Doubt(0, subscriber.CauseBeat) })
		r.wait(20 * time.Millisecond)
		r.want("acme", "cost", "a", "1 fresh origin")
		r.wait(10 * time.Second)
		r.want("acme", "cost", "a", "1 fresh memory")
		r.want("acme", "cost", "none", "absent fresh memory")
	})
}

func TestReadiness(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		check := func(ready bool, reasons, degraded []string) {
			r.Helper()
			gotReady, gotReasons, gotDegraded := r.node.Readiness()
			if gotReady != ready || !slices.Equal(gotReasons, reasons) || !slices.Equal(gotDegraded, degraded) {
				r.Errorf("%v, reasons %q, degraded %q", gotReady, gotReasons, gotDegraded)
			}
		}
		status := func(s subscriber.ConnStatus) {
			r.bus.mu.Lock()
			defer r.bus.mu.Unlock()
			r.bus.status = s
		}
		check(true, nil, nil)
		status(subscriber.ConnStatus{})
		check(false, []string{"bus connection 0 is not live"}, nil)
		status(subscriber.ConnStatus{Err: errDown})
		check(false, []string{"bus connection 0 is not live: " + errDown.Error()}, nil)
		status(subscriber.ConnStatus{Since: time.Now(), Err: errDown})
		check(true, nil, []string{"bus connection 0 is not live: " + errDown.Error()})
		status(subscriber.ConnStatus{Live: true, Since: time.Now(), Err: errDown})
		r.stop()
		check(false, []string{"draining"}, nil)
	})
}

func TestRunEndsWithEverythingEnded(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		r.origin.delay = time.Hour // its loaders are waiting
		for i := range 50 {
			r.want(fmt.Sprint("t", i), "cost", "a", "1 fresh origin")
		}
		r.wait(time.Second)
		begin := time.Now()
		r.stop()
		if d := time.Since(begin); d != 0 {
			r.Errorf("it took %v", d)
		}
		r.checkNothingIsLeft()
		r.want("t1", "cost", "a", "1 fresh origin") // read through, not activated
		r.checkNothingIsLeft()
	})
}

func TestStateNames(t *testing.T) {
	var got []string
	for s := Cold; s <= Draining; s++ {
		got = append(got, s.String())
	}
	want := []string{"cold", "subscribing", "loading", "live", "draining"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCancelledReadIsNotTheOriginsFault(t *testing.T) {
	inBubble(t, Config{ActiveTenants: 1}, func(r *rig) {
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		if _, err := r.node.Read(ctx, "acme", "cost", "a", cache.ReadOptions{}); err != nil && !errors.Is(err, context.Canceled) {
			r.Error(err)
		}
	})
}
