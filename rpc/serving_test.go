package rpc_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	healthv1 "github.com/tenantry/tenantry/proto/gen/grpc/health/v1"
	"github.com/tenantry/tenantry/proto/gen/grpc/health/v1/healthv1connect"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/rpc/rpctest"
)

func refuse(context.Context, http.Header) (*rpc.Caller, error) { return nil, errors.New("secret") }

func scopeless(context.Context, http.Header) (*rpc.Caller, error) {
	return &rpc.Caller{Name: "x", AllTenants: true}, nil
}

func only(tenants ...string) rpc.Authenticate {
	return func(context.Context, http.Header) (*rpc.Caller, error) {
		return &rpc.Caller{Name: "x", Tenants: tenants, Scope: rpc.ScopeRead}, nil
	}
}

func TestCallersAreAuthorised(t *testing.T) {
	for name, test := range map[string]struct {
		authenticate rpc.Authenticate
		code         connect.Code
	}{
		"nobody": {nil, connect.CodeUnauthenticated}, "refused": {refuse, connect.CodeUnauthenticated},
		"another's": {only("a"), connect.CodePermissionDenied}, "scope": {scopeless, connect.CodePermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			h := serve(t, func(c *rpc.Config) { c.Authenticate = test.authenticate })
			everyWay(t, h, func(t *testing.T, c tenantryv1connect.CacheServiceClient, e tenantryv1connect.EntitlementServiceClient) {
				_, err := c.Get(t.Context(), &tenantryv1.GetRequest{Tenant: "b", Kind: "user", Key: "u"})
				wantCode(t, err, test.code, "")
				_, err = c.BatchGet(t.Context(), &tenantryv1.BatchGetRequest{Tenant: "b"})
				wantCode(t, err, test.code, "")
				_, err = e.CheckCredits(t.Context(), &tenantryv1.CheckCreditsRequest{Tenant: "b", Operation: "o"})
				wantCode(t, err, test.code, "")
			})
			if reads := h.node.Reads(); len(reads) != 0 {
				t.Errorf("read %v", reads)
			}
		})
	}
}

func TestWhatIsNotServed(t *testing.T) {
	h := serve(t, nil)
	_, err := tenantryv1connect.NewPeerServiceClient(h1(t), h.url).Peek(t.Context(), &tenantryv1.PeekRequest{})
	wantCode(t, err, connect.CodeUnauthenticated, "")
	cluster := tenantryv1connect.NewClusterServiceClient(h1(t), h.url)
	_, err = cluster.Drain(t.Context(), &tenantryv1.DrainRequest{})
	wantCode(t, err, connect.CodeUnimplemented, "")
	watch, err := tenantryv1connect.NewCacheServiceClient(h1(t), h.url).Watch(t.Context(), &tenantryv1.WatchRequest{Tenant: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if watch.Receive() {
		t.Error("received a change")
	}
	wantCode(t, watch.Err(), connect.CodeUnimplemented, "")
	_ = watch.Close()
}

func TestPanicsStayInside(t *testing.T) {
	h := serve(t, nil)
	h.node.Wait = func(context.Context, rpctest.Entry) { panic("secret") }
	everyWay(t, h, func(t *testing.T, c tenantryv1connect.CacheServiceClient, _ tenantryv1connect.EntitlementServiceClient) {
		_, err := c.Get(t.Context(), &tenantryv1.GetRequest{Tenant: "t", Kind: "user", Key: "u"})
		wantCode(t, err, connect.CodeInternal, "internal error")
		res, err := c.BatchGet(t.Context(), &tenantryv1.BatchGetRequest{Tenant: "t", Items: []*tenantryv1.BatchGetItem{{Kind: "user", Key: "u"}}})
		if err != nil || res.GetResults()[0].GetError().GetCode() != "internal" {
			t.Errorf("batch: %v, %v", res, err)
		}
	})
	if res, body := h.get(t, "/v1/tenants/t/entries/user/u"); res.StatusCode != http.StatusInternalServerError || strings.Contains(body, "secret") {
		t.Errorf("REST: %d %s", res.StatusCode, body)
	}
}

func TestDeadlines(t *testing.T) {
	h := serve(t, nil)
	h.node.Wait = func(ctx context.Context, _ rpctest.Entry) { <-ctx.Done() }
	everyWay(t, h, func(t *testing.T, c tenantryv1connect.CacheServiceClient, _ tenantryv1connect.EntitlementServiceClient) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := c.Get(ctx, &tenantryv1.GetRequest{Tenant: "t", Kind: "user", Key: "u"})
		wantCode(t, err, connect.CodeDeadlineExceeded, "")
	})
}

func TestHealth(t *testing.T) {
	h := serve(t, nil)
	for _, w := range ways() {
		c := healthv1connect.NewHealthClient(w.http(t), h.url, w.options...)
		h.node.SetReadiness(nil, nil)
		for _, service := range []string{"", "tenantry.v1.CacheService"} {
			res, err := c.Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
			if err != nil || res.GetStatus() != healthv1.HealthCheckResponse_SERVING {
				t.Errorf("%s %q: %v, %v", w.name, service, res, err)
			}
		}
		_, err := c.Check(t.Context(), &healthv1.HealthCheckRequest{Service: "x"})
		wantCode(t, err, connect.CodeNotFound, "service")
		h.node.SetReadiness([]string{"bus"}, nil)
		res, err := c.Check(t.Context(), &healthv1.HealthCheckRequest{})
		if err != nil || res.GetStatus() != healthv1.HealthCheckResponse_NOT_SERVING {
			t.Errorf("%s not ready: %v, %v", w.name, res, err)
		}
	}
}

func TestStopEndsStreams(t *testing.T) {
	h := serve(t, nil)
	stream, err := healthv1connect.NewHealthClient(h2c(t), h.url, connect.WithGRPC()).Watch(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if !stream.Receive() || stream.Msg().GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Fatalf("got %v, %v", stream.Msg(), stream.Err())
	}
	start := time.Now()
	h.stop()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if stream.Receive() {
		t.Error("received more")
	}
	_ = stream.Close()
}

func TestMetrics(t *testing.T) {
	h := serve(t, nil)
	h.node.Set("t", "user", "u", fresh("{}"))
	c := tenantryv1connect.NewCacheServiceClient(h1(t), h.url)
	_, _ = c.Get(t.Context(), &tenantryv1.GetRequest{Tenant: "t", Kind: "user", Key: "u"})
	_, _ = c.Get(t.Context(), &tenantryv1.GetRequest{Tenant: "t", Kind: "user", Key: "none"})
	h.get(t, "/v1/tenants/t/entries/user/u")
	h.get(t, "/nonsense")
	count, err := testutil.GatherAndCount(h.registry, "tenantry_request_seconds")
	if err != nil || count == 0 {
		t.Error(count, err)
	}
	families, err := h.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if v := m.GetCounter().GetValue(); v > 0 {
				got[m.GetLabel()[1].GetValue()+" "+m.GetLabel()[0].GetValue()] = v
			}
		}
	}
	want := map[string]float64{
		"tenantry.v1.CacheService/Get ok": 1, "tenantry.v1.CacheService/Get not_found": 1,
		"/v1/tenants/{tenant}/entries/{kind}/{key} ok": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
