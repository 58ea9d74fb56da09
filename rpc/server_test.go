package rpc_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/rpc/rpctest"
)

func TestServerLeavesNothing(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, rpc.NewServer(l, http.NotFoundHandler(), nil))
	tr := &http.Transport{}
	res, err := (&http.Client{Transport: tr}).Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	tr.CloseIdleConnections()
	stop()
}

func TestServerWaitsForCallsInWork(t *testing.T) {
	h := serve(t, nil)
	h.node.Set("t", "user", "u", fresh("{}"))
	begun, release := make(chan struct{}), make(chan struct{})
	h.node.Wait = func(context.Context, rpctest.Entry) { close(begun); <-release }
	status := make(chan int)
	go func() {
		res, _ := h.get(t, "/v1/tenants/t/entries/user/u")
		status <- res.StatusCode
	}()
	<-begun
	time.AfterFunc(50*time.Millisecond, func() { close(release) })
	h.stop()
	if got := <-status; got != 200 {
		t.Errorf("got %d", got)
	}
}

func TestServerReportsItsListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := rpc.NewServer(l, http.NotFoundHandler(), nil).Run(t.Context()); err == nil {
		t.Error("no error")
	}
}

func TestReflection(t *testing.T) {
	h := serve(t, nil)
	stream := grpcreflect.NewClient(h2c(t), h.url, connect.WithGRPC()).NewStream(t.Context())
	names, err := stream.ListServices()
	if err != nil {
		t.Fatal(err)
	}
	got := make([]string, 0, len(names))
	for _, n := range names {
		got = append(got, string(n))
	}
	slices.Sort(got)
	want := []string{"grpc.health.v1.Health", "tenantry.v1.CacheService", "tenantry.v1.ClusterService", "tenantry.v1.EntitlementService"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, _ = stream.Close()
}

// TestBodiesAreBounded sends what is too large as it is, and what becomes so:
// 16 MiB of zeros in 16 KiB.
func TestBodiesAreBounded(t *testing.T) {
	h := serve(t, nil)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 16<<20))
	_ = z.Close()
	for name, test := range map[string]struct {
		body     io.Reader
		encoding string
	}{
		"large": {bytes.NewReader(make([]byte, 3<<20)), ""},
		"bomb":  {&bomb, "gzip"},
		"not":   {strings.NewReader("not gzip"), "gzip"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/tenantry.v1.CacheService/Get", test.body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/proto")
		if test.encoding != "" {
			req.Header.Set("Content-Encoding", test.encoding)
		}
		res, err := h1(t).Do(req)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusTooManyRequests {
			t.Errorf("%s: got %d", name, res.StatusCode)
		}
	}
}

func TestOnlyLargeAnswersAreCompressed(t *testing.T) {
	h := serve(t, nil)
	h.node.Set("t", "user", "small", fresh(`"`+strings.Repeat("x", 1000)+`"`))
	h.node.Set("t", "user", "large", fresh(`"`+strings.Repeat("x", 8000)+`"`))
	for key, want := range map[string]string{"small": "", "large": "gzip"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/tenantry.v1.CacheService/Get",
			strings.NewReader(`{"tenant":"t","kind":"user","key":"`+key+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept-Encoding", "gzip")
		res, err := h1(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if got := res.Header.Get("Content-Encoding"); got != want || res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %q", key, res.StatusCode, got)
		}
	}
}

func TestConnectJSONShape(t *testing.T) {
	h := serve(t, nil)
	h.node.Set("t", "user", "u", fresh(`{}`))
	res, err := h1(t).Post(h.url+"/tenantry.v1.CacheService/Get", "application/json", strings.NewReader(`{"tenant":"t","kind":"user","key":"u"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got struct {
		Value     []byte
		Freshness struct{ State, Source, Age, AsOf, Version, Token, Node, Epoch string }
	}
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	f := got.Freshness
	if string(got.Value) != "{}" || f.State != "FRESH" || f.Source != "MEMORY" || f.Age != "1.500s" || f.Version != "7" || f.Node != "n1" || f.Epoch != "42" || f.Token == "" || f.AsOf == "" {
		t.Errorf("got %+v", got)
	}
}

func TestAdmin(t *testing.T) {
	node := new(rpctest.Node)
	reg := prometheus.NewRegistry()
	rpc.NewHandler(rpc.Config{Node: node, Readiness: node, Registerer: reg})
	admin := httptest.NewServer(rpc.NewAdmin(node, reg))
	defer admin.Close()
	get := func(path string) (int, string) {
		res, err := admin.Client().Get(admin.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(body)
	}
	for _, test := range []struct {
		reasons, degraded []string
		status            int
		body              string
	}{
		{nil, nil, 200, `{"ready":true,"reasons":[],"degraded":[]}`},
		{nil, []string{"the bus is not live"}, 200, `{"ready":true,"reasons":[],"degraded":["the bus is not live"]}`},
		{[]string{"the bus has not been live yet"}, nil, 503, `{"ready":false,"reasons":["the bus has not been live yet"],"degraded":[]}`},
	} {
		node.SetReadiness(test.reasons, test.degraded)
		if status, body := get("/readyz"); status != test.status || body != test.body {
			t.Errorf("readyz: got %d %s", status, body)
		}
		if status, _ := get("/healthz"); status != 200 {
			t.Errorf("healthz: got %d", status)
		}
	}
	if status, body := get("/metrics"); status != 200 || !strings.Contains(body, "tenantry_requests_total") {
		t.Errorf("metrics: got %d %s", status, body)
	}
	if status, _ := get("/debug/pprof/goroutine?debug=1"); status != 200 {
		t.Errorf("pprof: got %d", status)
	}
	if status, _ := get("/nonsense"); status != 404 {
		t.Errorf("nonsense: got %d", status)
	}
}
