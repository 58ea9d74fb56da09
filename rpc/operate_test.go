package rpc_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/rpc/rpctest"
	"github.com/tenantry/tenantry/shard"
	"github.com/tenantry/tenantry/shard/ring"
)

func TestGetTenantOfAnOwner(t *testing.T) {
	bubble(t, 3, func(t *testing.T, ms *members) {
		for i, m := range ms.all[1:] {
			d := described()
			d.Events = uint64(i)
			m.node.Activate(d)
		}
		get := func(m *member) *tenantryv1.GetTenantResponse {
			t.Helper()
			res, err := m.cluster().GetTenant(t.Context(), &tenantryv1.GetTenantRequest{Tenant: "acme"})
			if err != nil {
				t.Fatal(err)
			}
			return res
		}
		direct := get(ms.all[1])
		if diff := cmp.Diff(direct, get(ms.all[0]), protocmp.Transform()); diff != "" || direct.GetNode() != "n2" || direct.GetEpoch() != 41 {
			t.Error(direct, diff)
		}
		ms.all[1].Kill()
		if got := get(ms.all[0]); got.GetNode() != "n3" || got.GetState() != tenantryv1.TenantState_TENANT_STATE_LIVE {
			t.Error(got)
		}
		ms.all[1].Freeze()
		start := time.Now()
		if got := get(ms.all[0]); got.GetNode() != "n3" || time.Since(start) > 6*time.Second {
			t.Error(got, time.Since(start))
		}
		ms.all[1].Kill()
		ms.all[2].Kill()
		if got := get(ms.all[0]); got.GetNode() != "n1" || got.GetState() != tenantryv1.TenantState_TENANT_STATE_COLD {
			t.Error(got)
		}
	})
}

// Two nodes that take each other for the owner do not ask each other for ever.
func TestGetTenantOfNobody(t *testing.T) {
	bubble(t, 2, func(t *testing.T, ms *members) {
		for i, m := range ms.all {
			m.node.See(rpctest.View{Others: []shard.Peer{ms.all[1-i].peer}, Peers: []shard.Peer{ms.all[1-i].peer}})
		}
		got, err := ms.all[0].cluster().GetTenant(t.Context(), &tenantryv1.GetTenantRequest{Tenant: "acme"})
		if err != nil || got.GetNode() != "n2" {
			t.Error(got, err)
		}
		if asked := len(ms.all[0].Requests()) + len(ms.all[1].Requests()); asked != 2 {
			t.Errorf("%d calls", asked)
		}
	})
}

// changes are the operators' changes, and how a node records them.
func changes() map[string]func(context.Context, *member) ([]string, error) {
	return map[string]func(context.Context, *member) ([]string, error){
		"invalidate": func(ctx context.Context, m *member) ([]string, error) {
			res, err := m.cluster().InvalidateEntry(ctx, &tenantryv1.InvalidateEntryRequest{Tenant: "acme", Kind: "role", Key: "a"})
			return res.GetNodes(), err
		},
		"drop": func(ctx context.Context, m *member) ([]string, error) {
			res, err := m.cluster().DropTenant(ctx, &tenantryv1.DropTenantRequest{Tenant: "acme"})
			return res.GetNodes(), err
		},
	}
}

func TestChangesReachAll(t *testing.T) {
	for what, change := range changes() {
		t.Run(what, func(t *testing.T) {
			bubble(t, 4, func(t *testing.T, ms *members) {
				activate := func() {
					for _, m := range ms.all[1:3] {
						m.node.Activate(described())
					}
				}
				acted := func() (nodes []string) {
					for _, m := range ms.all {
						for _, o := range m.node.Operations() {
							if o.What == what && o.Tenant == "acme" {
								nodes = append(nodes, m.peer.Name)
							}
						}
					}
					times := len(nodes)
					nodes = slices.Compact(nodes)
					if what == "invalidate" && times != 2*len(nodes) && times != len(nodes) || what == "drop" && times != len(nodes) {
						t.Errorf("%d times on %v", times, nodes)
					}
					return nodes
				}
				for _, m := range ms.all {
					activate()
					nodes, err := change(t.Context(), m)
					if err != nil || !slices.Equal(nodes, []string{"n2", "n3"}) {
						t.Errorf("through %s: %v, %v", m.peer.Name, nodes, err)
					}
					if got := acted(); !slices.Equal(got, []string{"n1", "n2", "n3", "n4"}) && !(m != ms.all[0] && what == "invalidate" && slices.Equal(got, []string{"n2", "n3", "n4"})) {
						t.Errorf("through %s: %v acted", m.peer.Name, got)
					}
				}
				if nodes, err := change(t.Context(), ms.all[0]); what == "drop" && (err != nil || len(nodes) != 0) {
					t.Error(nodes, err) // there was nothing left
				}
				acted()
				for how, breaks := range map[string]func(){"dies": ms.all[2].Kill, "freezes": ms.all[2].Freeze} {
					activate()
					breaks()
					start := time.Now()
					_, err := change(t.Context(), ms.all[0])
					e := wantCode(t, err, connect.CodeUnavailable, "node n3 could not be reached")
					if e.Meta().Get("Retry-After") != "1" || time.Since(start) > 6*time.Second {
						t.Error(how, e.Meta(), time.Since(start))
					}
					if got := acted(); !slices.Equal(got, []string{"n1", "n2", "n4"}) {
						t.Errorf("%s: %v acted", how, got)
					}
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				ms.all[2].Freeze()
				_, err := change(ctx, ms.all[0])
				wantCode(t, err, connect.CodeDeadlineExceeded, "")
			})
		})
	}
}

func TestAChangeThatIsRefusedIsNotPassedOn(t *testing.T) {
	bubble(t, 2, func(t *testing.T, ms *members) {
		for kind, code := range map[string]connect.Code{"none": connect.CodeFailedPrecondition, "history": connect.CodeInvalidArgument} {
			_, err := ms.all[0].cluster().InvalidateEntry(t.Context(), &tenantryv1.InvalidateEntryRequest{Tenant: "acme", Kind: kind, Key: "a"})
			wantCode(t, err, code, "kind")
		}
		if asked := ms.all[1].Requests(); asked != nil {
			t.Error(asked)
		}
	})
}

func TestListMembersOfACluster(t *testing.T) {
	var all []rpc.Member
	for i := range 4 {
		all = append(all, rpc.Member{
			Name: fmt.Sprintf("n%d", i+1), Zone: "z", Version: "v1", Algorithm: "a", Address: "h:1", GossipAddress: "h:2",
			State: tenantryv1.Member_STATE_READY, InState: time.Minute, Epoch: 9, BusLive: true,
		})
	}
	all[3].State = tenantryv1.Member_STATE_DEAD
	bubbleWith(t, 3, func(_ string, c *rpc.Config) { c.Members = func() []rpc.Member { return all } }, func(t *testing.T, ms *members) {
		for i, m := range ms.all {
			for j := range i + 1 {
				m.node.Activate(shard.Description{Summary: shard.Summary{Name: fmt.Sprintf("t%d", j)}})
			}
		}
		list := func() map[string]uint64 {
			t.Helper()
			res, err := ms.all[0].cluster().ListMembers(t.Context(), &tenantryv1.ListMembersRequest{})
			if err != nil || res.GetNode() != "n1" || res.GetEpoch() != 40 {
				t.Fatal(res, err)
			}
			active := make(map[string]uint64)
			for i, m := range res.GetMembers() {
				active[m.GetName()] = m.GetActiveTenants()
				if m.GetName() != all[i].Name || m.GetState() != all[i].State || m.GetZone() != "z" || m.GetGossipAddress() != "h:2" || m.GetEpoch() != 9 || m.GetInState().AsDuration() != time.Minute {
					t.Error(m)
				}
			}
			return active
		}
		if got, want := list(), (map[string]uint64{"n1": 1, "n2": 2, "n3": 3, "n4": 0}); !maps.Equal(got, want) {
			t.Error(got)
		}
		ms.all[1].Freeze()
		ms.all[2].Kill()
		start := time.Now()
		if got, want := list(), (map[string]uint64{"n1": 1, "n2": 0, "n3": 0, "n4": 0}); !maps.Equal(got, want) {
			t.Error(got)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// rings are rings of one to n members, with these.
func rings(t *testing.T, n int) (rings []*ring.Ring, members []shard.Peer) {
	t.Helper()
	b, err := ring.NewBuilder(ring.Settings{Partitions: 31, VirtualNodes: 20, Load: 1.25, Replicas: 2})
	if err != nil {
		t.Fatal(err)
	}
	var all []ring.Member
	for i := range n {
		name := fmt.Sprintf("n%d", i+1)
		all = append(all, ring.Member{Name: name, Zone: "z"})
		members = append(members, shard.Peer{ID: "id-" + name, Name: name, Zone: "z", URL: "http://" + name + ":7070"})
		rings = append(rings, b.Build(all))
	}
	return rings, members
}

func TestGetRing(t *testing.T) {
	bubble(t, 1, func(t *testing.T, ms *members) {
		rings, peers := rings(t, 3)
		r := rings[2]
		ms.all[0].node.See(rpctest.View{Ring: r, Members: peers})
		c := ms.all[0].cluster()
		got, err := c.GetRing(t.Context(), &tenantryv1.GetRingRequest{Tenant: "acme"})
		if err != nil {
			t.Fatal(err)
		}
		want := &tenantryv1.GetRingResponse{
			Epoch: r.Epoch(), Partition: uint32(r.Partition("acme")), Owners: r.Names(r.Lookup("acme")),
			Ring: &tenantryv1.Ring{Epoch: r.Epoch(), Algorithm: r.Algorithm(), VirtualNodes: 20, Load: 1.25, Replicas: 2, Partitions: 31, Owners: r.Table()},
		}
		for _, p := range peers {
			want.Ring.Members = append(want.Ring.Members, &tenantryv1.RingMember{Name: p.Name, Zone: "z", RpcAddress: p.Name + ":7070"})
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
		got, err = c.GetRing(t.Context(), &tenantryv1.GetRingRequest{KnownEpoch: r.Epoch()})
		if diff := cmp.Diff(&tenantryv1.GetRingResponse{Epoch: r.Epoch()}, got, protocmp.Transform()); diff != "" || err != nil {
			t.Error(err, diff)
		}
		_, err = c.GetRing(t.Context(), &tenantryv1.GetRingRequest{Tenant: ".."})
		wantCode(t, err, connect.CodeInvalidArgument, "tenant: ")
	})
}

func TestWatchRing(t *testing.T) {
	bubble(t, 1, func(t *testing.T, ms *members) {
		rings, peers := rings(t, 4)
		see := func(i int) { ms.all[0].node.See(rpctest.View{Ring: rings[i], Members: peers[:i+1]}) }
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var mu sync.Mutex
		got := make(map[string][]int) // members of the rings that came; 0: a sign of life
		for name, known := range map[string]uint64{"all": 0, "known": rings[0].Epoch()} {
			stream, err := ms.all[0].cluster().WatchRing(ctx, &tenantryv1.WatchRingRequest{KnownEpoch: known})
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for stream.Receive() {
					mu.Lock()
					got[name] = append(got[name], len(stream.Msg().GetRing().GetMembers()))
					mu.Unlock()
				}
				_ = stream.Close()
			}()
		}
		want := func(all, known []int) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(got["all"], all) || !slices.Equal(got["known"], known) {
				t.Errorf("got %v, want %v and %v", got, all, known)
			}
			clear(got)
		}
		want(nil, nil)
		see(0)
		want([]int{1}, nil)
		see(1)
		want([]int{2}, []int{2})
		see(2)
		see(2) // another view, and the same ring
		want([]int{3}, []int{3})
		time.Sleep(16 * time.Second)
		want([]int{0}, []int{0})
		see(3)
		see(0) // in a burst only the last counts
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		for name, rings := range got {
			if len(rings) == 0 || rings[len(rings)-1] != 1 {
				t.Error(name, rings)
			}
		}
		clear(got)
	})
}

func TestWatchRingEndsWithTheServer(t *testing.T) {
	rings, peers := rings(t, 1)
	for _, w := range ways() {
		if w.name == "connect gzip" {
			continue
		}
		h := serve(t, nil)
		h.node.See(rpctest.View{Ring: rings[0], Members: peers})
		stream, err := h.watch(t, w)
		if err != nil {
			t.Fatal(err)
		}
		known, err := tenantryv1connect.NewClusterServiceClient(w.http(t), h.url, w.options...).
			WatchRing(t.Context(), &tenantryv1.WatchRingRequest{KnownEpoch: rings[0].Epoch()})
		if err != nil {
			t.Fatal(err)
		}
		if !stream.Receive() || stream.Msg().GetRing().GetEpoch() != rings[0].Epoch() {
			t.Fatalf("%s: %v, %v", w.name, stream.Msg(), stream.Err())
		}
		start := time.Now()
		h.stop()
		if stream.Receive() || stream.Err() != nil {
			t.Errorf("%s: %v, %v", w.name, stream.Msg(), stream.Err())
		}
		if known.Receive() || known.Err() != nil {
			t.Errorf("%s: %v, %v", w.name, known.Msg(), known.Err())
		}
		_ = known.Close()
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: took %v", w.name, took)
		}
		_ = stream.Close()
	}
}

func (h *harness) watch(t *testing.T, w way) (*connect.ServerStreamForClient[tenantryv1.WatchRingResponse], error) {
	c := tenantryv1connect.NewClusterServiceClient(w.http(t), h.url, w.options...)
	return c.WatchRing(t.Context(), &tenantryv1.WatchRingRequest{})
}
