package rpc_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/rpc/rpctest"
)

// benchKeys is how many entries either server has.
const benchKeys = 1000

// TestMain turns the binary into a server where the environment says so.
func TestMain(m *testing.M) {
	switch os.Getenv("TENANTRY_BENCH_SERVER") {
	case "edge":
		h := withCPU(edgeHandler())
		serveForBench(func(l net.Listener) { _ = rpc.NewServer(l, h, nil).Run(context.Background()) })
	case "forwarder":
		h := forwarderHandler()
		serveForBench(func(l net.Listener) { _ = rpc.NewServer(l, h, nil).Run(context.Background()) })
	case "bare-forwarder":
		h := bareForwarderHandler()
		serveForBench(func(l net.Listener) { _ = http.Serve(l, h) })
	case "bare":
		h := withCPU(bareHandler())
		serveForBench(func(l net.Listener) { _ = http.Serve(l, h) })
	default:
		m.Run()
	}
}

// serveForBench prints its address and serves until standard input ends.
func serveForBench(serve func(net.Listener)) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	_, _ = fmt.Fprintln(os.Stdout, "http://"+l.Addr().String())
	go serve(l)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// withCPU adds the path /cpu: the CPU time used so far, in nanoseconds.
func withCPU(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/cpu" {
			h.ServeHTTP(w, r)
			return
		}
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		fmt.Fprint(w, u.Utime.Nano()+u.Stime.Nano())
	})
}

// memory is a node that holds everything.
type memory struct {
	rpc.Operations
	rpctest.Alone

	m sync.Map
}

func (n *memory) Read(_ context.Context, _, _, key string, _ cache.ReadOptions) (cache.Answer, error) {
	v, ok := n.m.Load(key)
	if !ok {
		return cache.Answer{Absent: true}, nil
	}
	return *v.(*cache.Answer), nil
}

func (n *memory) Recall(tenant, kind, key string, o cache.ReadOptions) (cache.Answer, bool, error) {
	a, err := n.Read(context.Background(), tenant, kind, key, o)
	return a, err == nil && !a.Absent, err
}

func (n *memory) Now() time.Duration                    { return time.Hour }
func (n *memory) Readiness() (bool, []string, []string) { return true, nil, nil }

func benchKey(i int) string { return fmt.Sprintf("crm.operation.%06d", i) }

// benchValue is 256 bytes of JSON.
func benchValue(i int) []byte {
	return fmt.Appendf(nil, `{"i":%06d,"x":%q}`, i, strings.Repeat("x", 237))
}

func edgeHandler() http.Handler {
	n := new(memory)
	for i := range benchKeys {
		n.m.Store(benchKey(i), &cache.Answer{Value: benchValue(i), Age: 1234567, Position: time.Minute, Version: 9, Versioned: true})
	}
	return rpc.NewHandler(rpc.Config{Node: n, Readiness: n, Authenticate: rpc.Anonymous, Name: "node-1",
		Epoch: func() uint64 { return 12345678901234567 }, Secrets: []string{benchSecret}, Registerer: prometheus.NewRegistry()})
}

// bare returns kept messages, which it takes from an edge once.
type bare struct {
	tenantryv1connect.UnimplementedCacheServiceHandler
	gets, results sync.Map
}

func (b *bare) Get(_ context.Context, req *tenantryv1.GetRequest) (*tenantryv1.GetResponse, error) {
	v, ok := b.gets.Load(req.GetKey())
	if !ok {
		return nil, connect.NewError(connect.CodeNotFound, nil)
	}
	return v.(*tenantryv1.GetResponse), nil
}

func (b *bare) BatchGet(_ context.Context, req *tenantryv1.BatchGetRequest) (*tenantryv1.BatchGetResponse, error) {
	res := &tenantryv1.BatchGetResponse{Node: "node-1", Epoch: 12345678901234567, Results: make([]*tenantryv1.BatchGetResult, len(req.GetItems()))}
	for i, item := range req.GetItems() {
		v, _ := b.results.Load(item.GetKey())
		res.Results[i] = v.(*tenantryv1.BatchGetResult)
	}
	return res, nil
}

func bareHandler() http.Handler {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _ = rpc.NewServer(l, edgeHandler(), nil).Run(ctx) }()
	c := tenantryv1connect.NewCacheServiceClient(new(http.Client), "http://"+l.Addr().String())
	b := new(bare)
	for i := range benchKeys {
		res, err := c.Get(ctx, benchGet(i))
		if err != nil {
			panic(err)
		}
		b.gets.Store(benchKey(i), res)
		f := proto.CloneOf(res.GetFreshness())
		f.Node, f.Epoch = "", 0
		b.results.Store(benchKey(i), &tenantryv1.BatchGetResult{Value: res.GetValue(), Freshness: f})
	}
	_, h := tenantryv1connect.NewCacheServiceHandler(b)
	return h
}
