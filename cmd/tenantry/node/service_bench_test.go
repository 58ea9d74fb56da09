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

	"github.com/tenantry/tenantry/cmd/tenantry/wrapper"
	"github.com/tenantry/tenantry/subscriber/redistest"
)

const (
	servedTenants = 100
	servedRate    = 1000 // requests a second
	servedCallers = 20
	servedFor     = 5 * time.Second // of an iteration
)

// servedPaths are the critical questions of the seed's first table, as REST.
var servedPaths = [...]string{"/api/credits/check/crm.leads.create", "/api/roles/sales-manager/permissions"}

// BenchmarkCriticalQuestions asks a node 1,000 times a second what an operation
// costs and what a role permits, over 100 tenants in turn. The time inside the node
// is that of tenantry_request_seconds; percentiles are bounds of its buckets.
func BenchmarkCriticalQuestions(b *testing.B) {
	n := startServed(b, wrapper.New(wrapper.Config{Tenants: servedTenants, Latency: 50 * time.Millisecond}))
	c := newCaller(b, n.url)
	ask := func(i int) time.Duration {
		return c.took(servedPaths[i%len(servedPaths)], servedTenant(i/len(servedPaths)))
	}
	for i := range len(servedPaths) * servedTenants {
		ask(i) // activates
	}
	n.await(b, fmt.Sprintf("tenantry_entries{class=%q}", "critical"), servedTenants*30)
	before := n.histogram(b)
	var all []time.Duration
	for b.Loop() {
		all = append(all, paced(ask)...)
	}
	inside := n.histogram(b)
	for at := range inside {
		inside[at] -= before[at]
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(100*float64(inside[.001])/float64(len(all)), "inside-under-1ms-%")
	b.ReportMetric(1e3*atMost(inside, .99), "inside-p99-ms")
	b.ReportMetric(percentileMs(all, 99), "client-p99-ms")
	if got := inside[forever]; got != len(all) {
		b.Fatalf("%d requests were counted, %d asked", got, len(all))
	}
}

// BenchmarkBesideAHangingTenant compares the time of a tenant's reads beside
// another tenant whose origin hangs, and which a hundred callers ask for, with
// that alone. A tenth of the reads have to ask the origin.
func BenchmarkBesideAHangingTenant(b *testing.B) {
	sample := wrapper.New(wrapper.Config{Tenants: servedTenants, Latency: 5 * time.Millisecond})
	n := startServed(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/tenants/tenant-0099/") {
			<-r.Context().Done()
			return
		}
		sample.ServeHTTP(w, r)
	}))
	c := newCaller(b, n.url)
	read := func(i int) time.Duration {
		if i%10 == 0 { // another key each time: a miss
			return c.took(fmt.Sprintf("/v1/tenants/123/entries/user/none-%d-%d", i, time.Now().UnixNano()), "123")
		}
		return c.took(servedPaths[i%len(servedPaths)], "123")
	}
	paced(read) // warms up
	var alone, beside []float64
	for i := 0; b.Loop(); i++ {
		for _, hanging := range []bool{i%2 == 0, i%2 != 0} {
			if !hanging {
				alone = append(alone, percentileMs(paced(read), 99))
				continue
			}
			stop := c.hammer(100)
			beside = append(beside, percentileMs(paced(read), 99))
			stop()
		}
	}
	b.ReportMetric(0, "ns/op")
	reportPair(b, "p99-ms", median(slices.Clone(beside)), median(slices.Clone(alone)), median(ratiosOf(beside, alone)))
}

func ratiosOf(ours, yardstick []float64) (all []float64) {
	for i := range ours {
		all = append(all, ours[i]/yardstick[i])
	}
	return all
}

func servedTenant(i int) string { return fmt.Sprintf("tenant-%04d", i%servedTenants+1) }

// startServed starts a node as a process of its own, with an origin in this one.
func startServed(b testing.TB, origin http.Handler) *process {
	b.Helper()
	o := httptest.NewServer(origin)
	b.Cleanup(o.Close)
	return startProcess(b, roleVar+"=node", redisVar+"="+redistest.Start(b).Addr(), originVar+"="+o.URL)
}

// caller asks by REST.
type caller struct {
	testing.TB
	url    string
	client *http.Client
}

func newCaller(b testing.TB, url string) *caller {
	tr := &http.Transport{MaxIdleConnsPerHost: 256}
	b.Cleanup(tr.CloseIdleConnections)
	return &caller{b, url, &http.Client{Transport: tr}}
}

// took asks and returns how long the answer took.
func (c *caller) took(path, tenant string) time.Duration {
	begin := time.Now()
	if status := c.ask(c.Context(), path, tenant); status != http.StatusOK && status != http.StatusNotFound {
		c.Errorf("%s of %s: %d", path, tenant, status)
	}
	return time.Since(begin)
}

// ask returns the status, 0 for no answer.
func (c *caller) ask(ctx context.Context, path, tenant string) (status int) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, nil)
	if err != nil {
		c.Error(err)
		return 0
	}
	req.Header.Set("X-Tenant-Id", tenant)
	res, err := c.client.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// hammer has so many callers ask for the tenant that hangs, each at most ten
// times a second, until stop is called.
func (c *caller) hammer(callers int) (stop func()) {
	ctx, cancel := context.WithCancel(c.Context())
	var asking sync.WaitGroup
	for n := range callers {
		asking.Go(func() {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for i := 0; ; i++ {
				select {
				case <-tick.C:
					c.ask(ctx, fmt.Sprintf("/v1/tenants/tenant-0099/entries/user/u-%d-%d", n, i), "")
				case <-ctx.Done():
					return
				}
			}
		})
	}
	return func() { cancel(); asking.Wait() }
}

// paced makes calls at the rate, whatever each takes, and returns their times.
func paced(call func(i int) time.Duration) (all []time.Duration) {
	const each = servedRate * int(servedFor/time.Second) / servedCallers
	times := make([][each]time.Duration, servedCallers)
	var calling sync.WaitGroup
	for w := range servedCallers {
		calling.Go(func() {
			tick := time.NewTicker(time.Second * servedCallers / servedRate)
			defer tick.Stop()
			for i := range each {
				<-tick.C
				times[w][i] = call(i*servedCallers + w)
			}
		})
	}
	calling.Wait()
	for w := range times {
		all = append(all, times[w][:]...)
	}
	return all
}

func percentileMs(all []time.Duration, p int) float64 {
	slices.Sort(all)
	return all[len(all)*p/100].Seconds() * 1e3
}

// forever is the bound of the last bucket.
const forever = 1e9

// histogram returns how many requests the paths' routes took at most, by bound.
func (p *process) histogram(b testing.TB) map[float64]int {
	b.Helper()
	counts := make(map[float64]int)
	for line := range strings.Lines(p.metrics(b)) {
		labels, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if !ok || !strings.HasPrefix(labels, "tenantry_request_seconds_bucket{") ||
			!strings.Contains(labels, "/api/credits/") && !strings.Contains(labels, "/api/roles/") {
			continue
		}
		_, le, _ := strings.Cut(labels, `le="`)
		bound, err := strconv.ParseFloat(strings.TrimSuffix(le, `"`), 64)
		n, err2 := strconv.Atoi(value)
		if err != nil || err2 != nil {
			b.Fatal(line)
		}
		counts[min(bound, forever)] += n
	}
	return counts
}

// atMost returns the lowest bound that a share of the requests is within.
func atMost(counts map[float64]int, share float64) float64 {
	lowest := float64(forever)
	for bound, n := range counts {
		if float64(n) >= share*float64(counts[forever]) {
			lowest = min(lowest, bound)
		}
	}
	return lowest
}

func (p *process) metrics(b testing.TB) string {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+p.admin+"/metrics", nil)
	if err != nil {
		b.Fatal(err)
	}
	res, err := new(http.Client).Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil {
		b.Fatal(err)
	}
	return string(page)
}

// metric returns a series' value; 0 if there is none.
func (p *process) metric(b testing.TB, series string) (value float64) {
	b.Helper()
	for line := range strings.Lines(p.metrics(b)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), series+" "); ok {
			value, _ = strconv.ParseFloat(text, 64)
		}
	}
	return value
}

// await waits, at most 30 s, until a series is at least so high.
func (p *process) await(b testing.TB, series string, least float64) {
	b.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for p.metric(b, series) < least {
		select {
		case <-tick.C:
		case <-deadline:
			b.Fatalf("%s is %v, not %v", series, p.metric(b, series), least)
		}
	}
}
