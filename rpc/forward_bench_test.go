package rpc_test

import (
	"context"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/rpc/peers"
	"github.com/tenantry/tenantry/rpc/rpctest"
	"github.com/tenantry/tenantry/shard"
)

const benchSecret = "between the benchmark's nodes"

// BenchmarkForward reads through a node that is not the owner, beside the owner
// itself and bare forwarding: a Connect handler that makes a second Connect call to
// a bare handler. All are processes of their own and get the same calls in turn.
// TENANTRY_BENCH_CALLS sets how many calls a node is asked at the same time, at most,
// TENANTRY_BENCH_TRANSPORT what carries them, in place of the default: net/http's
// transport by HTTP/1.1 (h1), or by HTTP/2 (h2c).
func BenchmarkForward(b *testing.B) {
	for _, callers := range []int{1, benchCallers} {
		b.Run(strconv.Itoa(callers), func(b *testing.B) { forward(b, callers) })
	}
}

// timed is what calls to one server took, round by round.
type timed struct {
	*child
	p50  []float64 // in µs
	rate []float64 // calls a second
}

func forward(b *testing.B, callers int) {
	owner, bare := startChild(b, "edge"), startChild(b, "bare")
	all := []*timed{
		{child: owner}, {child: startChild(b, "forwarder", "TENANTRY_BENCH_OWNER="+owner.url)},
		{child: startChild(b, "bare-forwarder", "TENANTRY_BENCH_OWNER="+bare.url)},
	}
	for _, s := range all {
		s.round(b, callers)
		s.p50, s.rate = nil, nil
	}
	for b.Loop() {
		for _, s := range all {
			s.round(b, callers)
		}
	}
	b.ReportMetric(0, "ns/op")
	direct, ours, yardstick := all[0], all[1], all[2]
	b.ReportMetric(median(direct.p50), "direct-p50-µs")
	b.ReportMetric(median(ours.p50), "ours-p50-µs")
	b.ReportMetric(median(yardstick.p50), "yardstick-p50-µs")
	b.ReportMetric(median(ratios(ours.p50, yardstick.p50)), "ratio-p50")
	b.ReportMetric(median(ours.rate), "ours-calls/s")
	b.ReportMetric(median(ratios(ours.rate, direct.rate)), "of-direct-calls/s")
	b.ReportMetric(median(ratios(yardstick.rate, direct.rate)), "yardstick-of-direct-calls/s")
}

// round makes 2,000 calls.
func (s *timed) round(b *testing.B, callers int) {
	const calls = 2000
	took := make([]time.Duration, calls)
	var wg sync.WaitGroup
	start := time.Now()
	for w := range callers {
		wg.Go(func() {
			for i := w; i < calls; i += callers {
				at := time.Now()
				if _, err := s.client.Get(b.Context(), benchGet(i)); err != nil {
					b.Error(err)
					return
				}
				took[i] = time.Since(at)
			}
		})
	}
	wg.Wait()
	s.rate = append(s.rate, calls/time.Since(start).Seconds())
	slices.Sort(took)
	s.p50 = append(s.p50, float64(took[calls/2])/float64(time.Microsecond))
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// ratios are those of each round: what else the machine does changes more between
// rounds than within one.
func ratios(ours, others []float64) []float64 {
	all := make([]float64, len(ours))
	for i := range ours {
		all[i] = ours[i] / others[i]
	}
	return all
}

// foreign is a node whose tenants another owns.
type foreign struct {
	*memory

	owner shard.Peer
}

func (f foreign) Owns(string) bool           { return false }
func (f foreign) Others(string) []shard.Peer { return []shard.Peer{f.owner} }
func (f foreign) Peers() []shard.Peer        { return []shard.Peer{f.owner} }

var _ rpc.Ownership = foreign{memory: &memory{Alone: rpctest.Alone{}}}

func forwarderHandler() http.Handler {
	n := foreign{new(memory), shard.Peer{ID: "1", Name: "node-1", URL: os.Getenv("TENANTRY_BENCH_OWNER")}}
	calls, _ := strconv.Atoi(os.Getenv("TENANTRY_BENCH_CALLS"))
	epoch := func() uint64 { return 12345678901234567 }
	p := peers.New(peers.Config{
		Self: "node-2", Epoch: epoch, Secret: benchSecret, Calls: calls, Transport: benchTransport(), Registerer: prometheus.NewRegistry(),
	})
	return rpc.NewHandler(rpc.Config{Node: n, Readiness: n, Authenticate: rpc.Anonymous, Name: "node-2",
		Epoch: epoch, Peers: p, Secrets: []string{benchSecret}, Registerer: prometheus.NewRegistry()})
}

func benchTransport() http.RoundTripper {
	t := &http.Transport{MaxIdleConnsPerHost: benchCallers, DisableCompression: true, Protocols: new(http.Protocols)}
	switch os.Getenv("TENANTRY_BENCH_TRANSPORT") {
	case "h1":
		t.Protocols.SetHTTP1(true)
	case "h2c":
		t.Protocols.SetUnencryptedHTTP2(true)
	default:
		return nil
	}
	return t
}

// bareForwarder makes a second call.
type bareForwarder struct {
	tenantryv1connect.UnimplementedCacheServiceHandler
	next tenantryv1connect.CacheServiceClient
}

func (f *bareForwarder) Get(ctx context.Context, req *tenantryv1.GetRequest) (*tenantryv1.GetResponse, error) {
	return f.next.Get(ctx, req)
}

func bareForwarderHandler() http.Handler {
	hc := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchCallers, DisableCompression: true}}
	_, h := tenantryv1connect.NewCacheServiceHandler(&bareForwarder{
		next: tenantryv1connect.NewCacheServiceClient(hc, os.Getenv("TENANTRY_BENCH_OWNER"), connect.WithAcceptCompression("gzip", nil, nil)),
	})
	return h
}
