package node_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/redis/rueidis"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/rpc/client"
	"github.com/tenantry/tenantry/subscriber/redistest"
)

// The benchmarks of this package compare a whole node, with a real Redis and
// an origin, with a yardstick that is measured in the same run. An iteration
// is a pair of rounds, one of each side in turn; the figures are the medians
// over the pairs. "make bench" runs them with the iterations they are meant
// for and prints a table.

const (
	benchKeys  = 1000 // hot entries, of one tenant
	benchBatch = 100  // items of a batch
)

// The keys and their values, which have 256 bytes.
func benchKey(i int) string { return fmt.Sprintf("crm.setting.%06d", i) }

func benchValue(i int) string { return fmt.Sprintf(`{"value":"%06d%s"}`, i, strings.Repeat("x", 238)) }

func benchGet(i int) *tenantryv1.GetRequest {
	return &tenantryv1.GetRequest{Tenant: "acme", Kind: "config", Key: benchKey(i % benchKeys)}
}

func benchBatchGet(i int) *tenantryv1.BatchGetRequest {
	req := &tenantryv1.BatchGetRequest{Tenant: "acme", Items: make([]*tenantryv1.BatchGetItem, benchBatch)}
	for k := range benchBatch {
		req.Items[k] = &tenantryv1.BatchGetItem{Kind: "config", Key: benchKey((i + k*7) % benchKeys)}
	}
	return req
}

// BenchmarkGet compares the CPU time of a node for a unary Get of a hot entry
// with that of a bare Connect handler over a sync.Map.
func BenchmarkGet(b *testing.B) {
	againstBare(b, 8000, 1, func(c tenantryv1connect.CacheServiceClient, i int) error {
		_, err := c.Get(b.Context(), benchGet(i))
		return err
	})
}

// BenchmarkBatchGet compares a node's keys per second, and its CPU time, with
// those of a bare Connect handler, in batches of 100.
func BenchmarkBatchGet(b *testing.B) {
	againstBare(b, 1200, benchBatch, func(c tenantryv1connect.CacheServiceClient, i int) error {
		_, err := c.BatchGet(b.Context(), benchBatchGet(i))
		return err
	})
}

func againstBare(b *testing.B, calls, keys int, call func(tenantryv1connect.CacheServiceClient, int) error) {
	n := startNode(b, redistest.Start(b))
	bare := startProcess(b, roleVar+"=bare", nodeVar+"="+n.url)
	side := func(p *process) side {
		c := plainClient(b, p.url)
		return side{call: func(i int) error { return call(c, i) }, cpu: func() time.Duration { return p.cpu(b) }}
	}
	d := duel{callers: 16, calls: calls, keys: keys, ours: side(n), yardstick: side(bare)}
	d.run(b)
	d.report(b, "cpu-µs/call", cpuPerCall)
	d.report(b, "keys/s", keysPerSecond)
	assertFresh(b, n.url)
}

// BenchmarkClientGet compares single gets of 64 callers through the Go client
// with GETs of the same values from Redis through rueidis, which sends what
// concurrent callers ask in one write.
func BenchmarkClientGet(b *testing.B) {
	redis := redistest.Start(b)
	n := startNode(b, redis)
	c := client.New(n.url, nil)
	r, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{redis.Addr()}, DisableCache: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(r.Close)
	for i := range benchKeys {
		if err := redis.Client().Set(b.Context(), benchKey(i), benchValue(i), 0).Err(); err != nil {
			b.Fatal(err)
		}
	}
	d := duel{callers: 64, calls: 16000, keys: 1}
	d.ours.call = func(i int) error {
		_, err := c.Get(b.Context(), "acme", "config", benchKey(i%benchKeys))
		return err
	}
	d.yardstick.call = func(i int) error {
		_, err := r.Do(b.Context(), r.B().Get().Key(benchKey(i%benchKeys)).Build()).AsBytes()
		return err
	}
	d.run(b)
	d.report(b, "keys/s", keysPerSecond)
	assertFresh(b, n.url)
}

// startNode starts a node that holds the keys of tenant acme.
func startNode(b *testing.B, redis *redistest.Server) *process {
	b.Helper()
	origin := httptest.NewServer(http.HandlerFunc(serveSettings))
	b.Cleanup(origin.Close)
	n := startProcess(b, roleVar+"=node", redisVar+"="+redis.Addr(), originVar+"="+origin.URL)
	c := plainClient(b, n.url)
	ctx, cancel := context.WithTimeout(b.Context(), 20*time.Second)
	defer cancel()
	for f := new(tenantryv1.Freshness); f.GetSource() != tenantryv1.Freshness_MEMORY; {
		res, err := c.Get(ctx, benchGet(benchKeys-1))
		if err != nil {
			b.Fatal(err)
		}
		f = res.GetFreshness()
	}
	return n
}

// serveSettings is the origin: nothing exists but acme's settings.
func serveSettings(w http.ResponseWriter, r *http.Request) {
	item, one := strings.CutPrefix(r.URL.Path, "/api/tenants/acme/configs/crm.setting.")
	switch i, err := strconv.Atoi(item); {
	case one && err == nil:
		_, _ = io.WriteString(w, benchDocument(i))
	case r.URL.Path == "/api/tenants/acme/configs":
		for i := range benchKeys {
			_, _ = io.WriteString(w, "[,"[min(i, 1):min(i, 1)+1]+benchDocument(i))
		}
		_, _ = io.WriteString(w, "]")
	default:
		_, _ = io.WriteString(w, "[]")
	}
}

func benchDocument(i int) string {
	return fmt.Sprintf(`{"name":%q,"version":7,%s`, benchKey(i), strings.TrimPrefix(benchValue(i), "{"))
}

// assertFresh fails if the node did not answer from memory.
func assertFresh(b *testing.B, url string) {
	b.Helper()
	res, err := plainClient(b, url).Get(b.Context(), benchGet(3))
	if err != nil {
		b.Fatal(err)
	}
	f := res.GetFreshness()
	if f.GetState() != tenantryv1.Freshness_FRESH || f.GetSource() != tenantryv1.Freshness_MEMORY || len(res.GetValue()) != 256 {
		b.Fatalf("not a fresh answer of 256 bytes from memory: %v", res)
	}
}

// plainClient returns a generated client over HTTP/1.1, without gzip.
func plainClient(b *testing.B, url string) tenantryv1connect.CacheServiceClient {
	tr := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	b.Cleanup(tr.CloseIdleConnections)
	return tenantryv1connect.NewCacheServiceClient(&http.Client{Transport: tr}, url, connect.WithAcceptCompression("gzip", nil, nil))
}

// side is one of two that are compared.
type side struct {
	call   func(i int) error
	cpu    func() time.Duration // of the server so far; nil: not measured
	rounds []round
}

type round struct {
	wall, cpu   time.Duration
	calls, keys int
}

func cpuPerCall(r round) float64    { return r.cpu.Seconds() * 1e6 / float64(r.calls) }
func keysPerSecond(r round) float64 { return float64(r.keys) / r.wall.Seconds() }

// duel drives two sides in turn, with calls made by callers together.
type duel struct {
	callers, calls, keys int // keys of a call
	ours, yardstick      side
}

func (d *duel) run(b *testing.B) {
	for _, s := range []*side{&d.ours, &d.yardstick} {
		d.round(b, s) // warms up
		s.rounds = nil
	}
	for n := 0; b.Loop(); n++ {
		pair := []*side{&d.ours, &d.yardstick}
		if n%2 == 1 {
			slices.Reverse(pair)
		}
		d.round(b, pair[0])
		d.round(b, pair[1])
	}
	b.ReportMetric(0, "ns/op")
}

func (d *duel) round(b *testing.B, s *side) {
	r := round{calls: d.calls, keys: d.calls * d.keys}
	var used time.Duration
	if s.cpu != nil {
		used = s.cpu()
	}
	start := time.Now()
	var calling sync.WaitGroup
	for w := range d.callers {
		calling.Go(func() {
			for i := w; i < d.calls; i += d.callers {
				if err := s.call(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	calling.Wait()
	r.wall = time.Since(start)
	if s.cpu != nil {
		r.cpu = s.cpu() - used
	}
	s.rounds = append(s.rounds, r)
}

// report reports the medians of a figure, and of its ratio in each pair.
func (d *duel) report(b *testing.B, unit string, figure func(round) float64) {
	var ours, yardstick, ratio []float64
	for i := range d.ours.rounds {
		o, y := figure(d.ours.rounds[i]), figure(d.yardstick.rounds[i])
		ours, yardstick, ratio = append(ours, o), append(yardstick, y), append(ratio, o/y)
	}
	reportPair(b, unit, median(ours), median(yardstick), median(ratio))
}

func median(all []float64) float64 {
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// reportPair reports a figure of both sides under the names that the table of
// "make bench" knows.
func reportPair(b *testing.B, unit string, ours, yardstick, ratio float64) {
	b.ReportMetric(ours, "ours-"+unit)
	b.ReportMetric(yardstick, "yardstick-"+unit)
	b.ReportMetric(ratio, "ratio-"+unit)
}
