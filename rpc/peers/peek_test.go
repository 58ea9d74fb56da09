package peers

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/rpc/rpctest"
	"github.com/tenantry/tenantry/shard"
)

// A peek is answered by the first node that knows.
func TestPeek(t *testing.T) {
	s := &scripted{}
	bubbleScripted(t, s, func(t *testing.T, p *Peers, to shard.Peer, host *rpctest.Host) {
		peek := func() (string, time.Duration) {
			began := time.Now()
			a, ok := p.Peek(t.Context(), []shard.Peer{to, to}, "acme", shard.Definition{Kind: "role", Hash: 3}, "a")
			return fmt.Sprintf("%s %v %v %d %v", a.Value, a.Absent, a.State, a.Version, ok), time.Since(began)
		}
		fresh := cache.Answer{Value: []byte("1"), Age: time.Second, Version: 3, Versioned: true}
		absent, stale := cache.Answer{Absent: true, State: cache.Provisional}, fresh
		stale.State = cache.Stale
		for name, test := range map[string]struct {
			results []*tenantryv1.PeekResult
			err     error
			want    string
		}{
			"fresh":        {[]*tenantryv1.PeekResult{PeekedOf("a", &fresh)}, nil, "1 false fresh 3 true"},
			"absent":       {[]*tenantryv1.PeekResult{PeekedOf("a", &absent)}, nil, " true provisional 0 true"},
			"stale":        {[]*tenantryv1.PeekResult{PeekedOf("a", &stale)}, nil, " false fresh 0 false"},
			"not held":     {[]*tenantryv1.PeekResult{{}}, nil, " false fresh 0 false"},
			"no result":    {nil, nil, " false fresh 0 false"},
			"two results":  {[]*tenantryv1.PeekResult{PeekedOf("a", &fresh), PeekedOf("a", &fresh)}, nil, " false fresh 0 false"},
			"unknown":      {nil, connect.NewError(connect.CodeUnimplemented, errors.New("no")), " false fresh 0 false"},
			"a wrong form": {[]*tenantryv1.PeekResult{{Entry: &tenantryv1.Entry{Key: "a", Form: 9}, State: 1}}, nil, " false fresh 0 false"},
		} {
			s.peek = func(*tenantryv1.PeekRequest) (*tenantryv1.PeekResponse, error) {
				return &tenantryv1.PeekResponse{Results: test.results}, test.err
			}
			if got, _ := peek(); got != test.want {
				t.Errorf("%s: %q", name, got)
			}
		}
		host.Freeze()
		if got, took := peek(); got != " false fresh 0 false" || took > 2*peekTimeout {
			t.Errorf("frozen: %q after %v", got, took)
		}
		time.Sleep(pingInterval + pingTimeout)
		if got, took := peek(); got != " false fresh 0 false" || took > 0 {
			t.Errorf("still frozen: %q after %v", got, took)
		}
	})
}

// A node that is late, but answers pings, is busy: it is not taken to be down for that.
// What is asked of a tenant meanwhile shares a call.
func TestPeeksAtABusyNode(t *testing.T) {
	var calls, items, late atomic.Int64
	fresh := cache.Answer{Value: []byte("1"), Age: time.Second}
	s := &scripted{peek: func(req *tenantryv1.PeekRequest) (*tenantryv1.PeekResponse, error) {
		calls.Add(1)
		items.Add(int64(len(req.GetItems())))
		time.Sleep(time.Duration(late.Load()))
		res := new(tenantryv1.PeekResponse)
		for _, i := range req.GetItems() {
			res.Results = append(res.Results, PeekedOf(i.GetKey(), &fresh))
		}
		return res, nil
	}}
	bubbleScripted(t, s, func(t *testing.T, p *Peers, to shard.Peer, _ *rpctest.Host) {
		peek := func(key string) bool {
			a, ok := p.Peek(t.Context(), []shard.Peer{to}, "acme", shard.Definition{Kind: "role", Hash: 3}, key)
			return ok && string(a.Value) == "1"
		}
		late.Store(int64(2 * peekTimeout))
		if peek("a") {
			t.Error("it waited too long")
		}
		late.Store(int64(peekTimeout / 2))
		time.Sleep(time.Second)
		var answered atomic.Int64
		var all sync.WaitGroup
		calls.Store(0)
		items.Store(0)
		for i := range 50 {
			all.Go(func() {
				if peek(fmt.Sprint(i)) {
					answered.Add(1)
				}
			})
		}
		all.Wait()
		if answered.Load() != 50 || calls.Load() != 2 || items.Load() != 50 {
			t.Errorf("%d of 50 answered by %d calls for %d items", answered.Load(), calls.Load(), items.Load())
		}
		synctest.Wait()
		l := p.lane(&to)
		l.peeks.mu.Lock()
		defer l.peeks.mu.Unlock()
		if len(l.peeks.next) > 0 || !l.health.up() {
			t.Error(l.peeks.next, l.health.up())
		}
	})
}
