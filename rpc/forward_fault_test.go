package rpc_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/rpc/peers"
	"github.com/tenantry/tenantry/rpc/rpctest"
	"github.com/tenantry/tenantry/shard"
)

// Two nodes each of which believes that the other owns the tenant: one hop, and the
// last reads.
func TestOneHopAtMost(t *testing.T) {
	bubble(t, 2, func(t *testing.T, ms *members) {
		for i, m := range ms.all {
			m.node.See(rpctest.View{Others: []shard.Peer{ms.all[1-i].peer}, Peers: []shard.Peer{ms.all[1-i].peer}})
		}
		origin := fresh(`{"value":1}`)
		origin.Via = cache.FromOrigin
		ms.all[1].node.Set("acme", "user", "u", origin)
		res := ms.all[0].get(t, &tenantryv1.GetRequest{Kind: "user", Key: "u"})
		if string(res.GetValue()) != `{"value":1}` || res.GetFreshness().GetNode() != "n2" {
			t.Error(res)
		}
		batch, err := ms.all[0].cache().BatchGet(t.Context(), &tenantryv1.BatchGetRequest{Tenant: "acme", Items: []*tenantryv1.BatchGetItem{{Kind: "user", Key: "u"}}})
		if err != nil || batch.GetNode() != "n2" {
			t.Error(batch, err)
		}
		for _, m := range ms.all {
			m.node.Fail("acme", "user", "u", &cache.UnavailableError{})
		}
		_, err = ms.all[0].cache().Get(t.Context(), &tenantryv1.GetRequest{Tenant: "acme", Kind: "user", Key: "u"})
		wantCode(t, err, connect.CodeUnavailable, "")
		if got := len(ms.all[1].node.Reads()); got != 3 {
			t.Errorf("%d reads", got)
		}
		// What a node asks of any other service stays there as well.
		ms.all[1].node.Set("acme", "user", "u", origin)
		for _, path := range []string{"/v1/tenants/acme/entries/user/u", "/tenantry.v1.CacheService/Get?connect=v1&encoding=json&message=%7B%22tenant%22:%22acme%22,%22kind%22:%22user%22,%22key%22:%22u%22%7D"} {
			if res, body := ms.all[1].rest(t, path, peers.SecretHeader, clusterSecret, peers.NodeHeader, "n1"); res.StatusCode != http.StatusOK {
				t.Error(res.StatusCode, body)
			}
		}
		for _, path := range ms.all[0].Requests() {
			if strings.Contains(path, "Peer") && !strings.HasSuffix(path, "/Activity") {
				t.Errorf("came back as %s", path)
			}
		}
		if reads := ms.all[0].node.Reads(); len(reads) != 1 { // the origin, when the other could not
			t.Errorf("read %v", reads)
		}
	})
}

// Who is no owner reads the origin if the owners cannot.
func TestTheOwnersHaveNoOrigin(t *testing.T) {
	bubble(t, 3, func(t *testing.T, ms *members) {
		for _, m := range ms.all[1:] {
			m.node.Fail("acme", "user", "u", &cache.UnavailableError{})
		}
		ms.all[0].node.Set("acme", "user", "u", fresh("here"))
		if res := ms.all[0].get(t, &tenantryv1.GetRequest{Kind: "user", Key: "u"}); string(res.GetValue()) != "here" || res.GetFreshness().GetNode() != "n1" {
			t.Error(res)
		}
	})
}

func TestNobodyAnswers(t *testing.T) {
	for name, breaks := range map[string]func(*member){
		"refuse":              func(m *member) { m.Kill() },
		"freeze":              func(m *member) { m.Freeze() },
		"are another cluster": func(m *member) { m.peer.URL = "nowhere" },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, func(t *testing.T, ms *members) {
				ms.all[0].node.Set("acme", "user", "u", fresh("here"))
				v := rpctest.View{}
				for _, m := range ms.all[1:] {
					breaks(m)
					v.Others = append(v.Others, m.peer)
				}
				ms.all[0].node.See(v)
				start := time.Now()
				for range 3 {
					res := ms.all[0].get(t, &tenantryv1.GetRequest{Kind: "user", Key: "u"})
					if string(res.GetValue()) != "here" || res.GetFreshness().GetNode() != "n1" {
						t.Error(res)
					}
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// What neither an owner's memory nor the origin gives, another owner may remember, or
// reach the origin for.
func TestACoOwnerAnswers(t *testing.T) {
	bubble(t, 3, func(t *testing.T, ms *members) {
		ms.all[1].node.Fail("acme", "user", "u", &cache.UnavailableError{RetryAfter: 3 * time.Second})
		ms.all[2].node.Set("acme", "user", "u", fresh("remembered"))
		res := ms.all[1].get(t, &tenantryv1.GetRequest{Kind: "user", Key: "u"})
		if string(res.GetValue()) != "remembered" || res.GetFreshness().GetNode() != "n3" {
			t.Error(res)
		}
		if reads := ms.all[2].node.Reads(); len(reads) != 0 {
			t.Errorf("the other was made to read %v", reads)
		}
		origin := fresh("read")
		origin.Via = cache.FromOrigin
		ms.all[2].node.Set("acme", "user", "u", origin)
		if res := ms.all[1].get(t, &tenantryv1.GetRequest{Kind: "user", Key: "u"}); string(res.GetValue()) != "read" || res.GetFreshness().GetNode() != "n3" {
			t.Error(res)
		}
		ms.all[2].node.Fail("acme", "user", "u", &cache.UnavailableError{RetryAfter: 5 * time.Second})
		for _, breaks := range []func(){func() {}, ms.all[2].Freeze, ms.all[2].Kill} {
			breaks()
			_, err := ms.all[1].cache().Get(t.Context(), &tenantryv1.GetRequest{Tenant: "acme", Kind: "user", Key: "u"})
			if e := wantCode(t, err, connect.CodeUnavailable, "the origin cannot be read"); e.Meta().Get("Retry-After") != "3" {
				t.Error(e.Meta())
			}
		}
	})
}

// An owner whose own way to the origin is lost asks another after a while, and does not
// wait for its own read to end; one that is only slow still answers itself.
func TestACoOwnerAnswersSooner(t *testing.T) {
	bubble(t, 3, func(t *testing.T, ms *members) {
		origin := fresh("read")
		origin.Via = cache.FromOrigin
		ms.set("user", "u", origin)
		get := func(waits time.Duration) (node string, took time.Duration) {
			ms.all[1].node.Wait = func(ctx context.Context, _ rpctest.Entry) {
				select {
				case <-time.After(waits):
				case <-ctx.Done():
				}
			}
			began := time.Now()
			res := ms.all[1].get(t, &tenantryv1.GetRequest{Kind: "user", Key: "u"})
			return res.GetFreshness().GetNode(), time.Since(began)
		}
		if node, took := get(2 * time.Second); node != "n3" || took > 500*time.Millisecond {
			t.Errorf("by %s after %v", node, took)
		}
		if node, took := get(300 * time.Millisecond); node != "n2" || took > 310*time.Millisecond {
			t.Errorf("by %s after %v", node, took)
		}
		ms.all[2].Kill()
		if node, took := get(2 * time.Second); node != "n2" || took > 2010*time.Millisecond {
			t.Errorf("by %s after %v", node, took)
		}
	})
}

// Owners that come and go under many callers: every answer is right.
func TestForwardingWhileOwnersComeAndGo(t *testing.T) {
	bubble(t, 3, func(t *testing.T, ms *members) {
		ms.fill()
		ms.all[0].node.Set("acme", "user", "u1", fresh("here"))
		ctx, cancel := context.WithCancel(t.Context())
		var breaking, reading sync.WaitGroup
		breaking.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				m := ms.all[1+i%2]
				[]func(){m.Kill, m.Freeze}[i/2%2]()
				time.Sleep(time.Duration(31*(i%13)) * time.Millisecond)
				m.Work(time.Millisecond)
				time.Sleep(20 * time.Millisecond)
			}
		})
		for range 20 {
			reading.Go(func() {
				for range 50 {
					res, err := ms.all[0].cache().Get(t.Context(), &tenantryv1.GetRequest{Tenant: "acme", Kind: "user", Key: "u1"})
					if err != nil || string(res.GetValue()) == "here" != (res.GetFreshness().GetNode() == "n1") {
						t.Error(res, err)
					}
					time.Sleep(20 * time.Millisecond)
				}
			})
		}
		reading.Wait()
		cancel()
		breaking.Wait()
	})
}

// Large values do not share an answer: it would come too late.
func TestLargeValues(t *testing.T) {
	bubble(t, 2, func(t *testing.T, ms *members) {
		req := &tenantryv1.BatchGetRequest{Tenant: "acme"}
		value := func(i int) string { return fmt.Sprintf("%d%s", i, strings.Repeat("x", 1<<19)) }
		for i := range 20 {
			key := fmt.Sprint(i)
			ms.set("user", key, fresh(value(i)))
			req.Items = append(req.Items, &tenantryv1.BatchGetItem{Kind: "user", Key: key})
		}
		res, err := ms.all[0].cache().BatchGet(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range res.GetResults() {
			if string(r.GetValue()) != value(i) {
				t.Errorf("%d: %d bytes, %v", i, len(r.GetValue()), r.GetError())
			}
		}
		ask := &tenantryv1.PeerServiceGetRequest{}
		for i := range 20 {
			ask.Reads = append(ask.Reads, &tenantryv1.PeerRead{Tenant: "acme", Kind: "user", Key: fmt.Sprint(i)})
		}
		count := func() (values, deferred, errs int) {
			res, err := tenantryv1connect.NewPeerServiceClient(ms.all[1].http, ms.all[1].url, asNode(clusterSecret)).Get(t.Context(), ask)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range res.GetResults() {
				switch {
				case r.GetDeferred() && r.GetResult() == nil:
					deferred++
				case r.GetResult().GetError().GetCode() == "resource_exhausted" && r.GetResult().GetValue() == nil:
					errs++
				case r.GetResult().GetFreshness() != nil:
					values++
				}
			}
			return values, deferred, errs
		}
		if v, d, e := count(); v != 7 || d != 0 || e != 13 {
			t.Error(v, d, e)
		}
		ask.NoWait = true
		if v, d, e := count(); v != 7 || d != 13 || e != 0 {
			t.Error(v, d, e)
		}
		ms.set("user", "0", fresh(strings.Repeat("x", 8<<20))) // alone it goes, whatever its size
		if v, d, e := count(); v != 1 || d != 19 || e != 0 {
			t.Error(v, d, e)
		}
	})
}

// asNode has a client's calls show a secret.
func asNode(secret string) connect.ClientOption {
	return connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set(peers.SecretHeader, secret)
			req.Header().Set(peers.NodeHeader, "n1")
			return next(ctx, req)
		}
	}))
}

// What a forwarded batch holds of others' values is bounded while it is put together.
func TestAForwardedBatchBoundsItsBytes(t *testing.T) {
	bubble(t, 2, func(t *testing.T, ms *members) {
		ms.set("user", "big", fresh(`"`+strings.Repeat("x", 6<<20)+`"`))
		req := &tenantryv1.BatchGetRequest{Tenant: "acme"}
		for range 7 {
			req.Items = append(req.Items, &tenantryv1.BatchGetItem{Kind: "user", Key: "big"})
		}
		res, err := ms.all[0].cache().BatchGet(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		whole, refused := 0, 0
		for _, r := range res.GetResults() {
			switch {
			case len(r.GetValue()) > 6<<20:
				whole++
			case r.GetError().GetCode() == "resource_exhausted":
				refused++
			}
		}
		if whole != 5 || refused != 2 {
			t.Errorf("%d whole, %d refused", whole, refused)
		}
	})
}
