package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/rpc/rpctest"
	"github.com/tenantry/tenantry/shard"
)

// scripted is a node that hands over what a test says.
type scripted struct {
	tenantryv1connect.UnimplementedPeerServiceHandler

	export   func(ctx context.Context, send func(*tenantryv1.ExportResponse)) error
	peek     func(*tenantryv1.PeekRequest) (*tenantryv1.PeekResponse, error)
	states   *tenantryv1.TenantStatesResponse
	asked    *tenantryv1.TenantStatesRequest
	heard    int
	implicit bool // of a version that has only what the first clusters had
}

func (s *scripted) Export(ctx context.Context, _ *tenantryv1.ExportRequest, stream *connect.ServerStream[tenantryv1.ExportResponse]) error {
	return s.export(ctx, func(m *tenantryv1.ExportResponse) { _ = stream.Send(m) })
}

func (s *scripted) Peek(_ context.Context, req *tenantryv1.PeekRequest) (*tenantryv1.PeekResponse, error) {
	return s.peek(req)
}

func (s *scripted) TenantStates(ctx context.Context, req *tenantryv1.TenantStatesRequest) (*tenantryv1.TenantStatesResponse, error) {
	if s.implicit {
		return s.UnimplementedPeerServiceHandler.TenantStates(ctx, req)
	}
	s.asked = req
	return s.states, nil
}

func (s *scripted) Activity(_ context.Context, req *tenantryv1.ActivityRequest) (*tenantryv1.ActivityResponse, error) {
	s.heard += len(req.GetTenants())
	return &tenantryv1.ActivityResponse{}, nil
}

// bubbleScripted runs a test with a scripted node, in a bubble.
func bubbleScripted(t *testing.T, s *scripted, test func(t *testing.T, p *Peers, to shard.Peer, host *rpctest.Host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var network rpctest.Network
		_, handler := tenantryv1connect.NewPeerServiceHandler(s)
		host := network.Serve("o1", handler)
		p := New(Config{Self: "self", Epoch: func() uint64 { return 5 }, Transport: &network})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = p.Run(ctx) }()
		test(t, p, shard.Peer{ID: "o1-1", Name: "o1", URL: "http://o1"}, host)
		cancel()
		<-ended
	})
}

func start() *tenantryv1.ExportResponse {
	kinds := []*tenantryv1.KindDefinition{{Name: "role", DefinitionHash: 3}, {Name: "of later"}}
	return &tenantryv1.ExportResponse{Part: &tenantryv1.ExportResponse_Start_{Start: &tenantryv1.ExportResponse_Start{Node: "o1", Kinds: kinds}}}
}

func page(kind string, entries ...*tenantryv1.Entry) *tenantryv1.ExportResponse {
	return &tenantryv1.ExportResponse{Part: &tenantryv1.ExportResponse_Page_{Page: &tenantryv1.ExportResponse_Page{Kind: kind, Entries: entries}}}
}

func end(undoubted bool, kinds ...string) *tenantryv1.ExportResponse {
	m := &tenantryv1.ExportResponse_End{Undoubted: undoubted}
	for _, k := range kinds {
		m.Complete = append(m.Complete, &tenantryv1.ExportResponse_Completeness{Kind: k, Age: durationpb.New(time.Minute)})
	}
	return &tenantryv1.ExportResponse{Part: &tenantryv1.ExportResponse_End_{End: m}}
}

func handed(key string) cache.Handed {
	return cache.Handed{
		Key: key, Value: []byte("{}"), Age: time.Minute, Lag: time.Millisecond, Left: time.Hour, Version: 7, Versioned: true, Floor: 8,
		ETag: `"e"`, Provisional: true, FromEvent: true, KnownOld: true, Current: true,
	}
}

// An export is what was sent, to the last field.
func TestExport(t *testing.T) {
	sent := []cache.Handed{
		handed("a"), {Key: "gone", Form: cache.HandedAbsent, Age: time.Second, Left: time.Minute, Current: true},
		{Key: "stub", Form: cache.HandedStub, Floor: 9}, {Key: "plain", Value: []byte("1"), Left: time.Second},
	}
	s := &scripted{export: func(_ context.Context, send func(*tenantryv1.ExportResponse)) error {
		send(start())
		for i := range sent {
			send(page("role", EntryOf(&sent[i])))
		}
		send(end(true, "role"))
		return nil
	}}
	bubbleScripted(t, s, func(t *testing.T, p *Peers, to shard.Peer, _ *rpctest.Host) {
		kind := &cache.Kind{Name: "role", Definition: 3}
		var got []cache.Handed
		end, err := p.Export(t.Context(), to, "acme", []*cache.Kind{kind}, func(k *cache.Kind, some []cache.Handed) error {
			if k != kind {
				t.Error(k)
			}
			got = append(got, some...)
			return nil
		})
		if diff := cmp.Diff(sent, got); diff != "" || err != nil {
			t.Error(err, diff)
		}
		if want := (cache.End{Undoubted: true, Kinds: []*cache.Kind{kind}, Whole: []cache.Whole{{Kind: kind, Age: time.Minute}}}); !cmp.Equal(want, end, cmp.Comparer(func(a, b *cache.Kind) bool { return a == b })) {
			t.Errorf("%+v", end)
		}
	})
}

// What is no export as this version knows it is an error, or nothing to be believed.
func TestNoExport(t *testing.T) {
	bad := func(change func(e *tenantryv1.Entry)) *tenantryv1.ExportResponse {
		h := handed("a")
		e := EntryOf(&h)
		change(e)
		return page("role", e)
	}
	for name, test := range map[string]struct {
		parts []*tenantryv1.ExportResponse
		fails bool
	}{
		"nothing":                 {nil, true},
		"no end":                  {[]*tenantryv1.ExportResponse{start(), page("role")}, true},
		"no start":                {[]*tenantryv1.ExportResponse{page("role"), end(true)}, true},
		"only an end":             {[]*tenantryv1.ExportResponse{end(true, "role")}, false},
		"doubted":                 {[]*tenantryv1.ExportResponse{start(), end(false, "role")}, false},
		"to be revalidated":       {[]*tenantryv1.ExportResponse{revalidate(), end(true, "role")}, true},
		"a part of later":         {[]*tenantryv1.ExportResponse{start(), {}, end(true)}, true},
		"another kind":            {[]*tenantryv1.ExportResponse{start(), page("user"), end(true)}, true},
		"another kind is whole":   {[]*tenantryv1.ExportResponse{start(), end(true, "user")}, true},
		"a form of later":         {[]*tenantryv1.ExportResponse{start(), bad(func(e *tenantryv1.Entry) { e.Form = 4 })}, true},
		"no form":                 {[]*tenantryv1.ExportResponse{start(), bad(func(e *tenantryv1.Entry) { e.Form = 0 })}, true},
		"no key":                  {[]*tenantryv1.ExportResponse{start(), bad(func(e *tenantryv1.Entry) { e.Key = "" })}, true},
		"an endless key":          {[]*tenantryv1.ExportResponse{start(), bad(func(e *tenantryv1.Entry) { e.Key = string(make([]byte, 513)) })}, true},
		"a value without a value": {[]*tenantryv1.ExportResponse{start(), bad(func(e *tenantryv1.Entry) { e.Value = nil })}, true},
		"a stub with one":         {[]*tenantryv1.ExportResponse{start(), bad(func(e *tenantryv1.Entry) { e.Form = 3 })}, true},
		"from the future":         {[]*tenantryv1.ExportResponse{start(), bad(func(e *tenantryv1.Entry) { e.Age = durationpb.New(-1) })}, true},
		"for ever":                {[]*tenantryv1.ExportResponse{start(), bad(func(e *tenantryv1.Entry) { e.Left = &durationpb.Duration{Seconds: 1 << 50} })}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scripted{export: func(_ context.Context, send func(*tenantryv1.ExportResponse)) error {
				for _, m := range test.parts {
					send(m)
				}
				return nil
			}}
			bubbleScripted(t, s, func(t *testing.T, p *Peers, to shard.Peer, _ *rpctest.Host) {
				end, err := p.Export(t.Context(), to, "acme", []*cache.Kind{{Name: "role"}}, func(*cache.Kind, []cache.Handed) error { return nil })
				if (err != nil) != test.fails || end.Undoubted || end.Whole != nil {
					t.Errorf("%+v, %v", end, err)
				}
			})
		})
	}
}

func revalidate() *tenantryv1.ExportResponse {
	m := start()
	m.GetStart().Revalidate = true
	return m
}

// A node that refuses says so; one that sends nothing for too long has broken off,
// however often it did before; and who is told to stop stops.
func TestExportsThatEnd(t *testing.T) {
	ask := func(t *testing.T, p *Peers, to shard.Peer, keep error) (time.Duration, error) {
		began := time.Now()
		_, err := p.Export(t.Context(), to, "acme", []*cache.Kind{{Name: "role"}}, func(*cache.Kind, []cache.Handed) error { return keep })
		return time.Since(began), err
	}
	s := &scripted{}
	bubbleScripted(t, s, func(t *testing.T, p *Peers, to shard.Peer, host *rpctest.Host) {
		s.export = func(context.Context, func(*tenantryv1.ExportResponse)) error {
			return connect.NewError(connect.CodeFailedPrecondition, errors.New("not live"))
		}
		if _, err := ask(t, p, to, nil); !errors.Is(err, shard.ErrNotHeld) {
			t.Error(err)
		}
		s.export = func(context.Context, func(*tenantryv1.ExportResponse)) error {
			return connect.NewError(connect.CodeUnimplemented, errors.New("of a version before"))
		}
		if _, err := ask(t, p, to, nil); !errors.Is(err, shard.ErrNotHeld) {
			t.Error(err)
		}
		s.export = func(ctx context.Context, send func(*tenantryv1.ExportResponse)) error {
			send(start())
			for range 5 {
				select {
				case <-time.After(stall * 3 / 4):
				case <-ctx.Done():
				}
				send(page("role"))
			}
			<-ctx.Done()
			return ctx.Err()
		}
		if took, err := ask(t, p, to, nil); !errors.Is(err, errStalled) || took < 5*stall*3/4 || took > 5*stall {
			t.Errorf("%v after %v", err, took)
		}
		time.Sleep(time.Second) // it answers a ping
		enough := errors.New("enough")
		if _, err := ask(t, p, to, enough); !errors.Is(err, enough) {
			t.Error(err)
		}
		host.Freeze()
		if took, err := ask(t, p, to, nil); !errors.Is(err, errStalled) || took > stall+time.Second {
			t.Errorf("%v after %v", err, took)
		}
		if took, err := ask(t, p, to, nil); !errors.Is(err, errDown) || took > 0 {
			t.Errorf("%v after %v", err, took)
		}
		host.Kill()
		if took, err := ask(t, p, to, nil); err == nil || took > time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// A tenant may be larger than the largest answer.
func TestALongExport(t *testing.T) {
	value := make([]byte, 1<<20)
	s := &scripted{export: func(_ context.Context, send func(*tenantryv1.ExportResponse)) error {
		send(start())
		for i := range maxAnswer * 9 / 8 / len(value) {
			h := cache.Handed{Key: fmt.Sprint(i), Value: value, Left: time.Hour}
			send(page("role", EntryOf(&h)))
		}
		send(end(true, "role"))
		return nil
	}}
	bubbleScripted(t, s, func(t *testing.T, p *Peers, to shard.Peer, _ *rpctest.Host) {
		entries := 0
		end, err := p.Export(t.Context(), to, "acme", []*cache.Kind{{Name: "role", Definition: 3}}, func(_ *cache.Kind, some []cache.Handed) error {
			entries += len(some)
			return nil
		})
		if err != nil || !end.Undoubted || entries != maxAnswer*9/8/len(value) {
			t.Errorf("%d entries, %+v, %v", entries, end, err)
		}
	})
}

// States are asked for; a node of before them is told, and believed to be live.
func TestStates(t *testing.T) {
	s := &scripted{states: &tenantryv1.TenantStatesResponse{States: []tenantryv1.TenantState{
		tenantryv1.TenantState_TENANT_STATE_LIVE, tenantryv1.TenantState_TENANT_STATE_LOADING, 99,
	}}}
	tenants := []shard.Activity{{Tenant: "a", Idle: time.Second}, {Tenant: "b", NothingMore: true}, {Tenant: "c", InDoubt: true}}
	bubbleScripted(t, s, func(t *testing.T, p *Peers, to shard.Peer, _ *rpctest.Host) {
		states, err := p.States(t.Context(), to, tenants)
		if want := []shard.State{shard.Live, shard.Loading, shard.Cold}; !cmp.Equal(states, want) || err != nil {
			t.Errorf("%v, %v", states, err)
		}
		if q := s.asked; q.GetNode() != "self" || !q.GetActivate() || fmt.Sprint(q.GetTenants()) != "[a b c]" || q.GetIdle()[0].AsDuration() != time.Second ||
			fmt.Sprint(q.GetNothingMore(), q.GetInDoubt()) != "[false true false] [false false true]" {
			t.Error(q)
		}
		s.implicit = true
		states, err = p.States(t.Context(), to, tenants)
		if want := []shard.State{shard.Live, shard.Live, shard.Live}; !cmp.Equal(states, want) || err != nil || s.heard != 3 {
			t.Errorf("%v, %v, heard %d", states, err, s.heard)
		}
		if err := p.Tenants(t.Context(), to, func([]shard.Activity) { t.Error("a page") }); connect.CodeOf(err) != connect.CodeUnimplemented {
			t.Error(err)
		}
	})
}

// Exports follow each other on one connection.
func TestExportsShareAConnection(t *testing.T) {
	s := &scripted{export: func(_ context.Context, send func(*tenantryv1.ExportResponse)) error {
		send(start())
		send(end(true, "role"))
		return nil
	}}
	_, handler := tenantryv1connect.NewPeerServiceHandler(s)
	server := httptest.NewUnstartedServer(handler)
	var connections atomic.Int64
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	p := New(Config{Self: "self", Epoch: func() uint64 { return 5 }})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = p.Run(ctx) }()
	for range 20 {
		end, err := p.Export(t.Context(), shard.Peer{ID: "o1-1", URL: server.URL}, "acme", []*cache.Kind{{Name: "role", Definition: 3}}, nil)
		if err != nil || !end.Undoubted {
			t.Fatal(end, err)
		}
	}
	if n := connections.Load(); n > 2 { // one may be of a ping
		t.Errorf("%d connections", n)
	}
	cancel()
	<-ended
}
