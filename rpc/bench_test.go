package rpc_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
)

// The benchmarks compare the edge with its yardstick: a bare Connect handler
// that returns the same messages from a sync.Map. Each is a process of its own
// (this binary, started again), so that the CPU it uses is the server's alone;
// both get the same calls in turn, over loopback and HTTP/1.1. An iteration is
// a pair of rounds; 20 interleaved pairs are
//
//	go test -run '^$' -bench Yardstick -benchtime 20x ./rpc

const (
	benchCallers = 16
	benchBatch   = 100 // items of a batch
)

func BenchmarkYardstickGet(b *testing.B) {
	compare(b, 4000, 1, func(c *child, i int) error {
		_, err := c.client.Get(b.Context(), benchGet(i))
		return err
	})
}

func BenchmarkYardstickBatchGet(b *testing.B) {
	compare(b, 400, benchBatch, func(c *child, i int) error {
		_, err := c.client.BatchGet(b.Context(), benchBatchGet(i))
		return err
	})
}

func benchGet(i int) *tenantryv1.GetRequest {
	return &tenantryv1.GetRequest{Tenant: "acme", Kind: "credit-config", Key: benchKey(i % benchKeys)}
}

func benchBatchGet(i int) *tenantryv1.BatchGetRequest {
	req := &tenantryv1.BatchGetRequest{Tenant: "acme"}
	for k := range benchBatch {
		req.Items = append(req.Items, &tenantryv1.BatchGetItem{Kind: "credit-config", Key: benchKey((i + k*7) % benchKeys)})
	}
	return req
}

// child is a server process.
type child struct {
	url    string
	http   *http.Client
	client tenantryv1connect.CacheServiceClient
	cpu    time.Duration // used by the calls of this run
	wall   time.Duration
}

func startChild(b *testing.B, role string, env ...string) *child {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "TENANTRY_BENCH_SERVER="+role), env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	var url string
	if _, err := fmt.Fscanln(out, &url); err != nil {
		b.Fatal(err)
	}
	hc := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchCallers, DisableCompression: true}}
	return &child{url: url, http: hc, client: tenantryv1connect.NewCacheServiceClient(hc, url, connect.WithAcceptCompression("gzip", nil, nil))}
}

func (c *child) used(b *testing.B) time.Duration {
	res, err := c.http.Get(c.url + "/cpu")
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(n)
}

// drive makes n calls by the callers together.
func (c *child) drive(b *testing.B, n int, call func(*child, int) error) {
	cpu, start := c.used(b), time.Now()
	var wg sync.WaitGroup
	for w := range benchCallers {
		wg.Go(func() {
			for i := w; i < n; i += benchCallers {
				if err := call(c, i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	c.wall += time.Since(start)
	c.cpu += c.used(b) - cpu
}

// compare drives both servers in turn, calls a round, and reports the edge
// against the bare.
func compare(b *testing.B, calls, keys int, call func(*child, int) error) {
	edge, bare := startChild(b, "edge"), startChild(b, "bare")
	for _, c := range []*child{edge, bare} {
		c.drive(b, calls, call) // warms up
		c.cpu, c.wall = 0, 0
	}
	n := 0
	for b.Loop() {
		n += calls
		edge.drive(b, calls, call)
		bare.drive(b, calls, call)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(edge.cpu)/float64(n), "edge-cpu-ns/call")
	b.ReportMetric(float64(bare.cpu)/float64(n), "bare-cpu-ns/call")
	b.ReportMetric(float64(edge.cpu)/float64(bare.cpu), "cpu-ratio")
	b.ReportMetric(float64(n*keys)/edge.wall.Seconds(), "edge-keys/s")
	b.ReportMetric(float64(n*keys)/bare.wall.Seconds(), "bare-keys/s")
	b.ReportMetric(float64(bare.wall)/float64(edge.wall), "rate-ratio")
}
