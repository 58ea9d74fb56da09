package node_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/cmd/tenantry/node"
	"github.com/tenantry/tenantry/cmd/tenantry/wrapper"
	"github.com/tenantry/tenantry/subscriber"
	"github.com/tenantry/tenantry/subscriber/redistest"
)

// stack is a node with a real Redis and a sample Wrapper whose requests are
// logged.
type stack struct {
	*testing.T
	redis   *redistest.Server
	origin  *recorder
	node    *node.Node
	log     *lockedBuffer
	publish *subscriber.Publisher
	client  *http.Client
}

// newStack starts a stack; the server of Redis may not run yet.
func newStack(t *testing.T, redis *redistest.Server, configure func(*config.Config)) *stack {
	t.Helper()
	s := &stack{T: t, redis: redis, origin: &recorder{}, log: &lockedBuffer{}, client: &http.Client{Transport: &http.Transport{}}}
	var err error
	if s.publish, err = subscriber.NewPublisher(subscriber.Config{Addresses: []string{redis.Addr()}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.publish.Close() })
	s.origin.handler = wrapper.New(wrapper.Config{Tenants: 3, Publisher: publisher{s.publish}})
	server := httptest.NewServer(s.origin)
	t.Cleanup(server.Close)

	cfg := config.Default()
	cfg.Node.Name = "test-node"
	cfg.Listen.RPC, cfg.Listen.Admin, cfg.Listen.Gossip = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Redis.Addresses = []config.Address{config.Address(redis.Addr())}
	cfg.Origin.URL = config.URL(server.URL)
	if configure != nil {
		configure(cfg)
	}
	if s.node, err = node.New(cfg, "test", slog.New(slog.NewTextHandler(s.log, nil)), nil); err != nil {
		t.Fatal(err)
	}
	s.run()
	return s
}

func (s *stack) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.node.Run(ctx) }()
	s.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.Errorf("the node ended with %v", err)
		}
		s.client.CloseIdleConnections()
	})
}

type publisher struct{ *subscriber.Publisher }

func (p publisher) Publish(ctx context.Context, tenant, topic string, payload []byte) error {
	_, err := p.Publisher.Publish(ctx, tenant, topic, payload)
	return err
}

// answer is what a REST request got.
type answer struct {
	status    int
	body      string
	freshness string
	header    http.Header
}

func (s *stack) get(path, tenant string) answer {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://"+s.node.RPC()+path, nil)
	if err != nil {
		s.Fatal(err)
	}
	if tenant != "" {
		req.Header.Set("X-Tenant-Id", tenant)
	}
	return s.do(req)
}

func (s *stack) do(req *http.Request) answer {
	s.Helper()
	res, err := s.client.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.Fatal(err)
	}
	return answer{res.StatusCode, string(body), res.Header.Get("Tenantry-Freshness"), res.Header}
}

const creditPath = "/api/credits/check/crm.leads.create"

// cost asks what crm.leads.create costs tenant 123.
func (s *stack) cost() (cost, freshness string) {
	s.Helper()
	a := s.get(creditPath, "123")
	var credits struct{ CreditCost json.Number }
	if err := json.Unmarshal([]byte(a.body), &credits); err != nil {
		s.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return credits.CreditCost.String(), a.freshness
}

// until waits for a condition, at most 20 s.
func (s *stack) until(what string, condition func() bool) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 20*time.Second)
	defer cancel()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			s.Fatalf("waited in vain: %s\n%s", what, s.log)
		}
	}
}

func (s *stack) ready() bool {
	ready, _, degraded := s.node.Readiness()
	return ready && len(degraded) == 0
}

// active activates a tenant and waits until every list of it has been read and
// the bus is live.
func (s *stack) active(tenant string) {
	s.Helper()
	s.get("/v1/tenants/"+tenant+"/entries/credit-config/crm.leads.create", "")
	s.until("tenant "+tenant+" is live", func() bool {
		return s.ready() && s.node.TenantState(tenant) == "live"
	})
}

// metric returns a series' value, "0" if there is none.
func (s *stack) metric(series string) string {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://"+s.node.Admin()+"/metrics", nil)
	if err != nil {
		s.Fatal(err)
	}
	for line := range strings.Lines(s.do(req).body) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return "0"
}

func (s *stack) event(channel, payload string) {
	s.Helper()
	if err := s.redis.Client().Publish(s.Context(), channel, payload).Err(); err != nil {
		s.Fatal(err)
	}
}

// recorder is an origin that logs the requests it gets, as they are on the wire.
type recorder struct {
	handler http.Handler

	mu       sync.Mutex
	requests []originRequest
}

type originRequest struct {
	uri, etag string
	at        time.Time
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.requests = append(r.requests, originRequest{req.RequestURI, req.Header.Get("If-None-Match"), time.Now()})
	handler := r.handler
	r.mu.Unlock()
	handler.ServeHTTP(w, req)
}

// become replaces the origin.
func (r *recorder) become(h http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handler = h
}

func (r *recorder) all() []originRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]originRequest(nil), r.requests...)
}

// count returns the requests for a path.
func (r *recorder) count(uri string) (n int) {
	for _, q := range r.all() {
		if q.uri == uri {
			n++
		}
	}
	return n
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newNode(cfg *config.Config) (*node.Node, error) {
	return node.New(cfg, "test", slog.New(slog.DiscardHandler), nil)
}
