package shard

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/subscriber"
)

func TestDescribe(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		if d := r.node.Describe("acme"); d.State != Cold || d.Name != "acme" || d.BytesLimit != 16<<20 {
			r.Errorf("%+v", d)
		}
		r.wantState("acme", Cold)
		r.want("acme", "cost", "a", "1 fresh origin")
		r.wait(10 * time.Second)
		r.want("acme", "cost", "a", "1 fresh memory")
		r.want("acme", "user", "a", "1 fresh origin")
		d := r.node.Describe("acme")
		if d.State != Live || d.Doubtful || !d.Proven || d.ProofAge > time.Second || d.Generation == 0 || d.Bytes == 0 || d.Idle > time.Second {
			r.Errorf("%+v", d)
		}
		if d.InState < 9*time.Second || d.Load.Age < 9*time.Second || d.Load.Fault != "" || d.Load.Waits {
			r.Errorf("in state %v, %+v", d.InState, d.Load)
		}
		if !slices.Equal(d.Channels, []string{"crm:acme:costs"}) || d.Events != 0 || d.Recent != nil {
			r.Errorf("channels %v, %d events, %v", d.Channels, d.Events, d.Recent)
		}
		var kinds []string
		for _, k := range d.Kinds {
			kinds = append(kinds, fmt.Sprint(k.Name, " ", k.Class, " ", k.Entries, " ", k.Hits, " ", k.Misses, " ", k.Complete))
		}
		if diff := cmp.Diff([]string{"cost critical 1 1 1 true", "role critical 1 0 0 true", "user reference 1 0 1 false"}, kinds); diff != "" {
			r.Error(diff)
		}
		if d.Entries != 3 || d.Stats.OriginRequests != 4 {
			r.Errorf("%d entries, %d origin requests", d.Entries, d.Stats.OriginRequests)
		}
	})
}

func TestDescribeAFailedLoad(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		r.origin.fail("role", errDown)
		r.want("acme", "cost", "a", "1 fresh origin")
		r.wait(2500 * time.Millisecond)
		l := r.node.Describe("acme").Load
		if l.Fault != "connect" || l.Failures != 3 || !slices.Equal(l.Missing, []string{"role"}) || !l.Waits || l.RetryIn <= 0 || l.RetryIn > 2*time.Second {
			r.Errorf("%+v", l)
		}
		r.origin.fail("role", nil)
		r.wait(10 * time.Second)
		if l := r.node.Describe("acme").Load; l.Fault != "" || l.Failures != 0 || l.Missing != nil || l.Waits {
			r.Errorf("%+v", l)
		}
		r.origin.fail("cost", cache.ErrAbsent)
		r.origin.fail("role", cache.ErrAbsent)
		r.want("ghost", "cost", "x", "absent fresh origin")
		r.wait(time.Second)
		if d := r.node.Describe("ghost"); d.State != Cold || d.Load.Fault != "absent" || d.Load.RetryIn < 28*time.Second {
			r.Errorf("%+v", d)
		}
	})
}

func TestDoubtfulTenants(t *testing.T) {
	reg := prometheus.NewRegistry()
	inBubble(t, Config{Registerer: reg}, func(r *rig) {
		doubtful := func(want int) {
			r.Helper()
			if got := r.node.doubtful(); got != want {
				r.Errorf("%d doubtful tenants, want %d", got, want)
			}
			text := fmt.Sprintf("# HELP tenantry_doubtful_tenants Active tenants of which something was verified under an older generation: their lists are still to be read again.\n"+
				"# TYPE tenantry_doubtful_tenants gauge\ntenantry_doubtful_tenants %d\n", want)
			if err := testutil.GatherAndCompare(reg, strings.NewReader(text), "tenantry_doubtful_tenants"); err != nil {
				r.Error(err)
			}
		}
		for _, name := range []string{"a", "b", "c"} {
			r.want(name, "cost", "a", "1 fresh origin")
		}
		doubtful(0) // nothing was verified under another generation
		r.wait(10*time.Second + 100*time.Millisecond)
		doubtful(0)
		r.origin.fail("role", errDown)
		r.bus.do(func() { r.node.Doubt(0, subscriber.CauseBeat) })
		r.wait(20 * time.Millisecond)
		doubtful(3)
		if d := r.node.Describe("a"); !d.Doubtful || d.Proven && d.ProofAge > time.Second {
			r.Errorf("%+v", d)
		}
		r.wait(5 * time.Second)
		doubtful(3) // one list of two is from before
		r.origin.fail("role", nil)
		r.wait(time.Minute)
		doubtful(0)
	})
}

// A doubt between the first try of a load and the one that completes it makes
// everything that the first brought outdated.
func TestADoubtBetweenTheTriesOfALoad(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		r.origin.fail("role", errDown)
		r.want("acme", "cost", "a", "1 fresh origin")
		r.wait(100 * time.Millisecond)
		r.origin.fail("role", nil)
		r.bus.do(func() { r.node.Refused("acme", "costs", &subscriber.RefusedError{Reason: "malformed"}) })
		r.wait(10 * time.Second)
		var costs int
		for _, l := range r.origin.listed() {
			if l.kind == "cost" {
				costs++
			}
		}
		if costs != 2 || r.node.Describe("acme").Doubtful {
			r.Errorf("%d lists of the kind that was read before the doubt", costs)
		}
	})
}

func TestRecentEvents(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		r.want("acme", "cost", "a", "1 fresh origin")
		r.wait(time.Second)
		for i := range 10 {
			e := event("acme", "cost", fmt.Sprint("k", i), "2")
			e.Topic, e.ID, e.Type, e.Version, e.Versioned = "costs", strings.Repeat("é", i*8), "cost-changed", uint64(i), i > 0
			r.bus.do(func() { r.node.Event(e) })
		}
		r.bus.do(func() { r.node.Refused("acme", "costs", &subscriber.RefusedError{Reason: "malformed"}) })
		r.wait(time.Second)
		d := r.node.Describe("acme")
		if d.Events != 11 || len(d.Recent) != recentEvents {
			r.Fatalf("%d events, %d remembered", d.Events, len(d.Recent))
		}
		if e := d.Recent[0]; e.Effect != "refused" || e.Reason != "malformed" || e.Topic != "costs" || e.Age < 900*time.Millisecond {
			r.Errorf("%+v", e)
		}
		for i, e := range d.Recent[1:] {
			n := 9 - i
			if e.Key != fmt.Sprint("k", n) || e.Version != uint64(n) || !e.Versioned || e.Effect != "set" || e.Kind != "cost" || e.Type != "cost-changed" {
				r.Errorf("%d: %+v", i, e)
			}
			whole := n*8*len("é") <= recentText
			if len(e.ID) > recentText || !utf8.ValidString(e.ID) || strings.HasSuffix(e.ID, "…") == whole {
				r.Errorf("%d: id of %d bytes %q", i, len(e.ID), e.ID)
			}
		}
		r.node.Drop("acme")
		if d := r.node.Describe("acme"); d.Recent != nil || d.Events != 0 {
			r.Errorf("%+v", d)
		}
	})
}

// What is remembered of events is bounded, whatever they say.
func TestRecentEventsAreBounded(t *testing.T) {
	huge := strings.Repeat("\xff", 1<<16)
	e := &subscriber.Event{Topic: huge, ID: huge, Type: huge}
	m := remember(e, "cost", huge, "set", 0)
	if len(m.texts) > 4*recentText {
		t.Errorf("%d bytes", len(m.texts))
	}
	if got := m.event(0); !utf8.ValidString(got.ID) || !utf8.ValidString(got.Key) {
		t.Errorf("%+v", got)
	}
	if size := unsafe.Sizeof(recent{}) + recentEvents*4*recentText; size > 3<<10 {
		t.Errorf("%d bytes of a tenant's events", size)
	}
	if size := unsafe.Sizeof(tenant{}); size > 176 {
		t.Errorf("a tenant without events has %d bytes", size)
	}
}

func TestList(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		var want []string
		for i := range 100 {
			name := fmt.Sprintf("t%02d", i)
			r.want(name, "cost", "a", "1 fresh origin")
			want = append(want, name)
		}
		r.wait(time.Second)
		all := func(string) bool { return true }
		var got []string
		for after, first := "", true; first || after != ""; first = false {
			page, next := r.node.List(after, "", 7, all)
			for _, s := range page {
				got = append(got, s.Name)
				if s.State != Live || s.Entries != 2 {
					r.Fatalf("%+v", s)
				}
			}
			after = next
		}
		if diff := cmp.Diff(want, got); diff != "" {
			r.Error(diff)
		}
		page, next := r.node.List("t43", "t4", 5, func(name string) bool { return name != "t45" })
		if len(page) != 5 || page[1].Name != "t46" || page[4].Name != "t49" || next != "" {
			r.Errorf("%v, %q", page, next)
		}
		if page, next := r.node.List("t99", "", 5, all); page != nil || next != "" {
			r.Errorf("%v, %q", page, next)
		}
	})
}

func TestInvalidate(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		if active, err := r.node.Invalidate("acme", "cost", "a"); active || err != nil {
			r.Error(active, err)
		}
		r.wantState("acme", Cold)
		r.want("acme", "cost", "a", "1 fresh origin")
		r.wait(time.Second)
		r.want("acme", "cost", "a", "1 fresh memory")
		if active, err := r.node.Invalidate("acme", "cost", "a"); !active || err != nil {
			r.Error(active, err)
		}
		r.want("acme", "cost", "a", "1 fresh origin")
		r.want("acme", "cost", "a", "1 fresh memory")
		if _, err := r.node.Invalidate("acme", "none", "a"); err == nil || !strings.Contains(err.Error(), "cost, role, user") {
			r.Error(err)
		}
	})
}

func TestDrop(t *testing.T) {
	inBubble(t, Config{Preload: []string{"pre"}}, func(r *rig) {
		if r.node.Drop("acme") {
			r.Error("nothing was active")
		}
		r.want("acme", "cost", "a", "1 fresh origin")
		r.wait(time.Second)
		if !r.node.Drop("acme") {
			r.Error("it was active")
		}
		r.wantState("acme", Cold)
		if names := r.bus.names(); !slices.Equal(names, []string{"pre"}) {
			r.Errorf("followed %v", names)
		}
		r.want("acme", "cost", "a", "1 fresh origin")
		r.wait(time.Second)
		r.wantState("acme", Live)

		r.origin.listed()
		if !r.node.Drop("pre") {
			r.Error("it was active")
		}
		r.wait(time.Second)
		r.wantState("pre", Live)
		if n := len(r.origin.listed()); n != 2 {
			r.Errorf("%d lists of what was dropped", n)
		}

		r.origin.fail("cost", cache.ErrAbsent)
		r.origin.fail("role", cache.ErrAbsent)
		r.want("ghost", "cost", "x", "absent fresh origin")
		r.wait(time.Second)
		r.node.Drop("ghost") // the origin knows it now, says the operator
		r.want("ghost", "cost", "x", "absent fresh origin")
		if r.node.Active() != 3 {
			r.Errorf("%d active", r.node.Active())
		}
	})
}

// Reads go on while their tenant is dropped.
func TestDropBesideReads(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		var readers sync.WaitGroup
		ctx, cancel := context.WithCancel(r.Context())
		for range 4 {
			readers.Go(func() {
				for ctx.Err() == nil {
					a, err := r.node.Read(context.Background(), "acme", "cost", "a", cache.ReadOptions{})
					if err != nil || string(a.Value) != "1" {
						r.Errorf("%s, %v", a.Value, err)
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		for range 200 {
			r.wait(3 * time.Millisecond)
			r.node.Drop("acme")
		}
		cancel()
		readers.Wait()
	})
}

// Tenants that were activated in the same second do not read their lists again
// in the same second.
func TestReloadsAreSpread(t *testing.T) {
	inBubble(t, Config{IdleTimeout: 100 * time.Hour}, func(r *rig) {
		const tenants = 100
		for i := range tenants {
			r.want(fmt.Sprint("t", i), "cost", "a", "1 fresh origin")
		}
		r.wait(time.Minute)
		if n := len(r.origin.listed()); n != 2*tenants {
			r.Fatalf("%d lists", n)
		}
		r.wait(time.Hour)
		perMinute := map[int]int{}
		for _, l := range r.origin.listed() {
			if at := l.at.Minutes(); at < 35 || at > 49 {
				r.Errorf("a list after %.0f minutes", at)
			}
			perMinute[int(l.at.Minutes())]++
		}
		most := 0
		for _, n := range perMinute {
			most = max(most, n)
		}
		r.Logf("%d lists over %d minutes, at most %d in one", 2*tenants, len(perMinute), most)
		if len(perMinute) < 12 || most > 5*tenants/12 {
			r.Errorf("%v", perMinute)
		}
	})
}

func TestMember(t *testing.T) {
	inBubble(t, Config{}, func(r *rig) {
		check := func(want Member) {
			r.Helper()
			if m := r.node.Member(); m != want {
				r.Errorf("%+v, want %+v", m, want)
			}
		}
		check(Member{State: Ready, BusLive: true})
		r.bus.mu.Lock()
		r.bus.status = subscriber.ConnStatus{}
		r.bus.mu.Unlock()
		check(Member{State: Joining})
		r.stop()
		check(Member{State: Departing})
	})
}
