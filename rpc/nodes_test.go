package rpc_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	healthv1 "github.com/tenantry/tenantry/proto/gen/grpc/health/v1"
	"github.com/tenantry/tenantry/proto/gen/grpc/health/v1/healthv1connect"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/rpc/peers"
	"github.com/tenantry/tenantry/rpc/rpctest"
	"github.com/tenantry/tenantry/shard"
)

// showing has a client's calls, streams too, carry headers.
type showing map[string]string

func (s showing) set(h http.Header) {
	for name, value := range s {
		h[http.CanonicalHeaderKey(name)] = []string{value}
	}
}

func (s showing) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		s.set(req.Header())
		return next(ctx, req)
	}
}

func (s showing) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		c := next(ctx, spec)
		s.set(c.RequestHeader())
		return c
	}
}

func (s showing) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// askPeerService calls every method of PeerService.
func askPeerService(ctx context.Context, c tenantryv1connect.PeerServiceClient) map[string]error {
	errs := make(map[string]error)
	_, errs["Get"] = c.Get(ctx, &tenantryv1.PeerServiceGetRequest{Reads: []*tenantryv1.PeerRead{{Tenant: "t", Kind: "user", Key: "u"}}})
	_, errs["Peek"] = c.Peek(ctx, &tenantryv1.PeekRequest{Tenant: "t", Items: []*tenantryv1.PeekItem{{Kind: "user", Key: "u"}}})
	_, errs["Fence"] = c.Fence(ctx, &tenantryv1.FenceRequest{Tenants: []string{"t"}})
	_, errs["Activity"] = c.Activity(ctx, &tenantryv1.ActivityRequest{Tenants: []*tenantryv1.TenantActivity{{Tenant: "t"}}})
	_, errs["TenantStates"] = c.TenantStates(ctx, &tenantryv1.TenantStatesRequest{Tenants: []string{"t"}, Activate: true})
	errs["Export"] = drained(c.Export(ctx, &tenantryv1.ExportRequest{Tenant: "t"}))
	errs["Tenants"] = drained(c.Tenants(ctx, &tenantryv1.TenantsRequest{}))
	return errs
}

// drained reads a stream to its end, and returns how that was.
func drained[T any](stream *connect.ServerStreamForClient[T], err error) error {
	if err != nil {
		return err
	}
	for stream.Receive() {
	}
	return errors.Join(stream.Err(), stream.Close())
}

// askAnything calls a method of each of the other services.
func askAnything(ctx context.Context, hc *http.Client, url string, options ...connect.ClientOption) map[string]error {
	errs := make(map[string]error)
	cache := tenantryv1connect.NewCacheServiceClient(hc, url, options...)
	_, errs["Get"] = cache.Get(ctx, &tenantryv1.GetRequest{Tenant: "t", Kind: "user", Key: "u"})
	_, errs["BatchGet"] = cache.BatchGet(ctx, &tenantryv1.BatchGetRequest{Tenant: "t"})
	_, errs["Authorize"] = tenantryv1connect.NewEntitlementServiceClient(hc, url, options...).Authorize(ctx, &tenantryv1.AuthorizeRequest{Tenant: "t", Operation: "o", UserId: "u"})
	cluster := tenantryv1connect.NewClusterServiceClient(hc, url, options...)
	_, errs["ListMembers"] = cluster.ListMembers(ctx, &tenantryv1.ListMembersRequest{})
	_, errs["DropTenant"] = cluster.DropTenant(ctx, &tenantryv1.DropTenantRequest{Tenant: "t"})
	watch, err := cluster.WatchRing(ctx, &tenantryv1.WatchRingRequest{})
	if errs["WatchRing"] = err; err == nil {
		watch.Receive()
		errs["WatchRing"] = watch.Err()
		_ = watch.Close()
	}
	_, errs["Check"] = healthv1connect.NewHealthClient(hc, url, options...).Check(ctx, &healthv1.HealthCheckRequest{})
	return errs
}

func TestPeerServiceIsForNodes(t *testing.T) {
	for name, test := range map[string]struct {
		secrets []string
		shown   showing
	}{
		"nothing shown":            {[]string{clusterSecret}, nil},
		"an empty one":             {[]string{clusterSecret}, showing{peers.SecretHeader: ""}},
		"a wrong one":              {[]string{clusterSecret}, showing{peers.SecretHeader: clusterSecret + "x"}},
		"a beginning":              {[]string{clusterSecret}, showing{peers.SecretHeader: clusterSecret[:5]}},
		"another's letters":        {[]string{clusterSecret}, showing{peers.SecretHeader: strings.ToUpper(clusterSecret)}},
		"only a name":              {[]string{clusterSecret}, showing{peers.NodeHeader: "n2"}},
		"credentials of a client":  {[]string{clusterSecret}, showing{"Authorization": "Bearer " + clusterSecret}},
		"no secrets":               {nil, showing{peers.SecretHeader: clusterSecret}},
		"no secrets, an empty one": {nil, showing{peers.SecretHeader: "", peers.NodeHeader: "n2"}},
		"an empty secret":          {[]string{""}, showing{peers.SecretHeader: "", peers.NodeHeader: "n2"}},
	} {
		t.Run(name, func(t *testing.T) {
			log := new(transcript)
			h := serve(t, func(c *rpc.Config) {
				c.Secrets = test.secrets
				c.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			for _, w := range ways() {
				options := slices.Concat(w.options, []connect.ClientOption{connect.WithInterceptors(test.shown)})
				for method, err := range askPeerService(t.Context(), tenantryv1connect.NewPeerServiceClient(w.http(t), h.url, options...)) {
					if connect.CodeOf(err) != connect.CodeUnauthenticated || strings.Contains(err.Error(), clusterSecret) {
						t.Errorf("%s: %s: %v", w.name, method, err)
					}
				}
			}
			message := url.QueryEscape(`{"reads":[{"tenant":"t","kind":"user","key":"u"}]}`)
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodOptions} {
				res, body := h.send(t, h1(t), method, "/tenantry.v1.PeerService/Get?connect=v1&encoding=json&message="+message, flatten(test.shown)...)
				if res.StatusCode < 400 || strings.Contains(body, "results") {
					t.Errorf("%s: %d %s", method, res.StatusCode, body)
				}
			}
			if reads, recalls, heard := h.node.Reads(), h.node.Recalls(), h.node.Heard(); reads != nil || recalls != nil || heard != nil {
				t.Error("the node was asked", reads, recalls, heard)
			}
			if strings.Contains(log.String(), clusterSecret) {
				t.Error("the log tells the secret")
			}
		})
	}
}

func flatten(s showing) (headers []string) {
	for name, value := range s {
		headers = append(headers, name, value)
	}
	return headers
}

func TestNodesAreKnownByTheirSecret(t *testing.T) {
	h := serve(t, func(c *rpc.Config) {
		c.Authenticate, c.Secrets = refuse, []string{"", "another", clusterSecret}
	})
	h.node.Set("t", "user", "u", fresh("{}"))
	shown := showing{peers.SecretHeader: clusterSecret, peers.NodeHeader: "n2"}
	for _, w := range ways() {
		hc, options := w.http(t), slices.Concat(w.options, []connect.ClientOption{connect.WithInterceptors(shown)})
		for method, err := range askPeerService(t.Context(), tenantryv1connect.NewPeerServiceClient(hc, h.url, options...)) {
			want := connect.Code(0)
			if method == "Export" {
				want = connect.CodeFailedPrecondition // it holds no tenant
			}
			if got, ok := errors.AsType[*connect.Error](err); ok != (want != 0) || ok && got.Code() != want {
				t.Errorf("%s: %s: %v", w.name, method, err)
			}
		}
		_, err := tenantryv1connect.NewCacheServiceClient(hc, h.url, options...).Get(t.Context(), &tenantryv1.GetRequest{Tenant: "t", Kind: "user", Key: "u"})
		if err != nil {
			t.Errorf("%s: %v", w.name, err)
		}
	}
	if heard := h.node.Heard(); len(heard) != len(ways()) || heard[0].Tenant != "t" {
		t.Error(heard)
	}
	reads, activities := make([]*tenantryv1.PeerRead, 1001), make([]*tenantryv1.TenantActivity, shard.MaxActivities+1)
	c := tenantryv1connect.NewPeerServiceClient(h1(t), h.url, connect.WithInterceptors(shown))
	_, err := c.Get(t.Context(), &tenantryv1.PeerServiceGetRequest{Reads: reads})
	wantCode(t, err, connect.CodeInvalidArgument, "reads: more than 1000")
	_, err = c.Activity(t.Context(), &tenantryv1.ActivityRequest{Tenants: activities})
	wantCode(t, err, connect.CodeInvalidArgument, "tenants: more than 10000")
	_, err = c.Activity(t.Context(), &tenantryv1.ActivityRequest{Tenants: activities[:1]})
	wantCode(t, err, connect.CodeInvalidArgument, "tenants: ")
	_, err = c.TenantStates(t.Context(), &tenantryv1.TenantStatesRequest{Tenants: []string{"t", "u"}, NothingMore: []bool{true}})
	wantCode(t, err, connect.CodeInvalidArgument, "nothing_more: is not one for each tenant")
}

// Whoever shows a wrong secret is nobody, whatever else it may show.
func TestAWrongSecretIsRefused(t *testing.T) {
	for _, secrets := range [][]string{nil, {""}, {clusterSecret}} {
		h := serve(t, func(c *rpc.Config) { c.Secrets = secrets })
		shown := showing{peers.SecretHeader: "wrong", "Authorization": "Bearer valid"}
		for _, w := range ways() {
			for method, err := range askAnything(t.Context(), w.http(t), h.url, append(w.options, connect.WithInterceptors(shown))...) {
				if connect.CodeOf(err) != connect.CodeUnauthenticated {
					t.Errorf("%s: %s: %v", w.name, method, err)
				}
			}
		}
		for _, path := range []string{
			"/api/credits/check/o", "/api/authorize/o?userId=u", "/api/users/u", "/api/users/u/status", "/api/hierarchy/e", "/api/roles/r/permissions",
			"/api/configs/c", "/v1/tenants/t/entries/user/u",
		} {
			res, body := h.get(t, path, append(flatten(shown), "X-Tenant-Id", "t")...)
			if res.StatusCode != http.StatusUnauthorized || body != `{"error":"who asks is not known"}` {
				t.Errorf("%s: %d %s", path, res.StatusCode, body)
			}
		}
		if reads, operated := h.node.Reads(), h.node.Operations(); reads != nil || operated != nil {
			t.Error(reads, operated)
		}
	}
}

// What clients say of themselves does not make their calls forwarded ones: they are
// forwarded, and authorised as theirs.
func TestClientsDoNotPassForNodes(t *testing.T) {
	bubble(t, 2, func(t *testing.T, ms *members) {
		ms.set("user", "u", fresh("the owner's"))
		ms.all[0].node.Set("acme", "user", "u", fresh("another's"))
		for name, value := range map[string]string{
			peers.NodeHeader: "n2", peers.SecretHeader: "", "Authorization": clusterSecret, "Cookie": peers.SecretHeader + "=" + clusterSecret, "Forwarded": "for=n2",
		} {
			res, body := ms.all[0].rest(t, "/v1/tenants/acme/entries/user/u", name, value)
			if body != "the owner's" || res.Header.Get("Tenantry-Node") != "n2" {
				t.Errorf("%s: %d %s", name, res.StatusCode, body)
			}
		}
	})
}

// A caller that may not name a tenant gets no answer of an owner either.
func TestForwardsAreAuthorisedFirst(t *testing.T) {
	bubbleWith(t, 2, func(name string, c *rpc.Config) {
		if name == "n1" {
			c.Authenticate = only("other")
		}
	}, func(t *testing.T, ms *members) {
		ms.fill()
		_, err := ms.all[0].cache().Get(t.Context(), &tenantryv1.GetRequest{Tenant: "acme", Kind: "user", Key: "u1"})
		wantCode(t, err, connect.CodePermissionDenied, "")
		_, err = ms.all[0].cache().BatchGet(t.Context(), &tenantryv1.BatchGetRequest{Tenant: "acme", Items: []*tenantryv1.BatchGetItem{{Kind: "user", Key: "u1"}}})
		wantCode(t, err, connect.CodePermissionDenied, "")
		if res, body := ms.all[0].rest(t, "/api/users/u1"); res.StatusCode != http.StatusForbidden {
			t.Error(res.StatusCode, body)
		}
		if asked := ms.all[1].Requests(); asked != nil {
			t.Error(asked)
		}
	})
}

// Nodes of clusters with different secrets do not answer each other; each reads for
// itself, and no text tells either secret.
func TestNodesOfAnotherCluster(t *testing.T) {
	const another = "the-secret-of-another-cluster"
	bubbleWith(t, 2, func(name string, c *rpc.Config) {
		if name == "n2" {
			c.Secrets = []string{another}
		}
	}, func(t *testing.T, ms *members) {
		ms.all[0].node.Set("acme", "user", "u", fresh("here"))
		ms.all[1].node.Set("acme", "user", "u", fresh("there"))
		ms.all[0].node.Activate(shard.Description{Summary: shard.Summary{Name: "acme"}})
		for range 3 {
			if res := ms.all[0].get(t, &tenantryv1.GetRequest{Kind: "user", Key: "u"}); string(res.GetValue()) != "here" {
				t.Error(res)
			}
		}
		c := tenantryv1connect.NewClusterServiceClient(ms.all[0].http, ms.all[0].url)
		_, err := c.DropTenant(t.Context(), &tenantryv1.DropTenantRequest{Tenant: "acme"})
		e := wantCode(t, err, connect.CodeUnavailable, "node n2")
		for _, m := range ms.all {
			for _, secret := range []string{clusterSecret, another} {
				if strings.Contains(m.log.String(), secret) || strings.Contains(e.Message(), secret) {
					t.Error("a secret is told")
				}
			}
		}
		if told := strings.Count(ms.all[0].log.String(), "does not know this one by its secret"); told != 1 {
			t.Errorf("told %d times", told)
		}
		if operated := ms.all[1].node.Operations(); operated != nil {
			t.Error(operated)
		}
	})
}

// Two real servers: a read through one over every protocol, failover, and the end
// leaves nothing behind.
func TestForwardingOverRealConnections(t *testing.T) {
	var owners []*harness
	for _, name := range []string{"n2", "n3"} {
		h := serve(t, func(c *rpc.Config) { c.Name, c.Secrets = name, []string{clusterSecret} })
		h.node.Set("acme", "user", "u", fresh(name))
		owners = append(owners, h)
	}
	ask := peers.New(peers.Config{Self: "n1", Epoch: func() uint64 { return 1 }, Secret: clusterSecret, Logger: slog.New(slog.DiscardHandler)})
	runPeers(t, ask)
	h := serve(t, func(c *rpc.Config) { c.Peers = ask })
	v := rpctest.View{}
	for i, name := range []string{"n2", "n3"} {
		v.Others = append(v.Others, shard.Peer{ID: name, Name: name, URL: owners[i].url})
	}
	h.node.See(v)
	try := func(t *testing.T, want string) {
		everyWay(t, h, func(t *testing.T, c tenantryv1connect.CacheServiceClient, _ tenantryv1connect.EntitlementServiceClient) {
			res, err := c.Get(t.Context(), &tenantryv1.GetRequest{Tenant: "acme", Kind: "user", Key: "u"})
			if err != nil || string(res.GetValue()) != want || res.GetFreshness().GetNode() != want {
				t.Error(res, err)
			}
			_, err = c.Get(t.Context(), &tenantryv1.GetRequest{Tenant: "acme", Kind: "user", Key: "none"})
			wantCode(t, err, connect.CodeNotFound, "the origin has no")
		})
	}
	try(t, "n2")
	owners[0].stop()
	try(t, "n3")
	owners[1].stop()
	h.node.Set("acme", "user", "u", fresh("n1"))
	try(t, "n1")
}
