package ring

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// 200 nodes of one process that hear of joins and leaves in different orders, and
// not of all of them, agree on the owners of 100,000 tenants once they have heard
// of the same: each by a builder of its own, and by one that all share.
func TestManyNodesAgree(t *testing.T) {
	const views, steps = 200, 2
	tenants := manyTenants(100_000)
	all := random(rand.New(rand.NewPCG(1, 2)), 24, "a", "b", "c")
	builders := make([]*Builder, views)
	shared, err := NewShared(usual)
	if err != nil {
		t.Fatal(err)
	}
	for step := range steps {
		now := slices.Clone(all)
		rand.Shuffle(len(now), func(i, j int) { now[i], now[j] = now[j], now[i] })
		now = now[:len(now)/2+step*6]
		want := scratch(t, usual, now)
		owners := make([][]uint32, len(tenants))
		for i, tenant := range tenants {
			owners[i] = want.Lookup(tenant)
		}
		each(views, func(i int) {
			if builders[i] == nil {
				builders[i] = newBuilder(t, usual)
			}
			if i%4 == 0 {
				builders[i].Build(heard(all, 4)) // on the way there
			}
			view := builders[i].Build(heard(now, 0))
			if joint := shared.mustRing(t, heard(now, 0)); joint.Epoch() != view.Epoch() {
				t.Errorf("node %d: epoch %d, and %d of the ring that all share", i, view.Epoch(), joint.Epoch())
			}
			if !slices.Equal(view.Members(), want.Members()) {
				t.Errorf("node %d has the members %v, want %v", i, view.Members(), want.Members())
			}
			if !slices.Equal(view.Table(), want.Table()) {
				t.Errorf("node %d has other owners", i)
			}
			if step+1 < steps {
				return
			}
			for at, tenant := range tenants {
				if got := view.Lookup(tenant); !slices.Equal(got, owners[at]) {
					t.Errorf("node %d gives %s to %v, want %v", i, tenant, got, owners[at])
					return
				}
			}
		})
	}
}

// heard returns the members in an order of its own, without up to so many.
func heard(members []Member, but int) []Member {
	view := slices.Clone(members)
	rand.Shuffle(len(view), func(i, j int) { view[i], view[j] = view[j], view[i] })
	return view[:len(view)-rand.IntN(but+1)]
}

// each runs f for every node, two at a time.
func each(n int, f func(i int)) {
	var running sync.WaitGroup
	for first := range 2 {
		running.Go(func() {
			for i := first; i < n; i += 2 {
				f(i)
			}
		})
	}
	running.Wait()
}
