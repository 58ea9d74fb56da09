package node_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/rpc/client"
	"github.com/tenantry/tenantry/subscriber/redistest"
)

// subscribed returns the channels that the server has subscribers of, beats left
// out, the clients that it has, and the channels that they hold by its own list of
// clients.
func (s *stack) subscribed() (channels, clients, held int) {
	s.Helper()
	names, err := s.redis.Client().PubSubChannels(s.Context(), "*").Result()
	if err != nil {
		s.Fatal(err)
	}
	for _, name := range names {
		if !strings.Contains(name, "~beat") {
			channels++
		}
	}
	list, err := s.redis.Client().ClientList(s.Context()).Result()
	if err != nil {
		s.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m) sub=(\d+) `).FindAllStringSubmatch(list, -1) {
		var n int
		_, _ = fmt.Sscan(m[1], &n)
		held += n
		clients++
	}
	return channels, clients, held
}

// goroutines returns how many there are, but for those of pooled connections to
// the origin and to this test.
func goroutines() (n int) {
	stacks := make([]byte, 8<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if !strings.Contains(stack, "net/http.(*persistConn)") && !strings.Contains(stack, "net/http.(*conn).serve") && !strings.Contains(stack, "net/http.(*connReader)") {
			n++
		}
	}
	return n
}

// everyone is an origin that has every tenant.
func everyone(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasSuffix(r.URL.Path, "/users/u"):
		_, _ = io.WriteString(w, `{"userId":"u"}`)
	default:
		_, _ = io.WriteString(w, `[]`)
	}
}

// What idle and dropped tenants held of Redis and of the node, it gets back.
func TestDeactivationLeavesNothingOnRedis(t *testing.T) {
	s := newStack(t, redistest.Start(t), func(c *config.Config) { c.Tenants.IdleTimeout = 6 * time.Second })
	s.origin.become(everyone)
	s.until("ready", s.ready)
	operator := client.New("http://"+s.node.RPC(), s.client)
	const tenants = 300
	round := func(prefix string) {
		for i := range tenants {
			if a := s.get(fmt.Sprintf("/v1/tenants/%s-%d/entries/user/u", prefix, i), ""); a.status != http.StatusOK {
				t.Fatal(a)
			}
		}
		s.until("all are subscribed", func() bool {
			channels, _, held := s.subscribed()
			return channels >= tenants*12 && held >= channels
		})
		for i := range tenants / 2 {
			if nodes, err := operator.Drop(s.Context(), fmt.Sprintf("%s-%d", prefix, i)); err != nil || !slices.Equal(nodes, []string{"test-node"}) {
				t.Fatal(nodes, err)
			}
		}
		s.until("nothing is subscribed", func() bool {
			channels, _, held := s.subscribed()
			return channels == 0 && held == 2 // the beat of each connection
		})
	}
	round("first") // connections to the origin, pools
	_, clients, _ := s.subscribed()
	before := goroutines()
	round("second")
	round("third")
	channels, after, held := s.subscribed()
	bytes, active, metric := s.metric("tenantry_bytes"), s.metric("tenantry_active_tenants"), s.metric("tenantry_subscribed_channels")
	t.Logf("after %d activations: %d channels, %d held, %d clients (before %d), %d goroutines (before %d), bytes %s, active %s, tenantry_subscribed_channels %s",
		3*tenants, channels, held, after, clients, goroutines(), before, bytes, active, metric)
	if channels != 0 || after != clients || bytes != "0" || active != "0" || metric != "2" {
		t.Error("something is left")
	}
	s.until("the goroutines have ended", func() bool { return goroutines() <= before })
}

// What one node can tell of the metrics that clients and dashboards know by name.
func TestMetricsOfANode(t *testing.T) {
	s := newStack(t, redistest.Start(t), nil)
	s.active("123")
	s.get(creditPath, "123")
	s.event("crm:123:roles", `{"eventType":"role-changed","data":{"roleId":"admin"},"occurredAt":"2026-01-02T03:04:05Z"}`)
	s.event("crm:123:roles", `no JSON`)
	s.until("both events are counted", func() bool {
		return s.metric(`tenantry_events_total{effect="refused",kind="",reason="malformed"}`) == "1" &&
			s.metric(`tenantry_events_total{effect="invalidated",kind="role",reason=""}`) == "1"
	})
	page := s.metrics()
	for _, name := range []string{
		"tenantry_requests_total{", "tenantry_request_seconds_bucket{", "tenantry_reads_total{", "tenantry_origin_requests_total{", "tenantry_origin_seconds_bucket{",
		"tenantry_events_total{", "tenantry_event_lag_seconds_bucket{", "tenantry_doubts_total{", "tenantry_doubtful_tenants ", "tenantry_version_regressions_total ",
		"tenantry_provisional_seconds_bucket{", "tenantry_active_tenants ", "tenantry_subscribed_channels ", "tenantry_entries{", "tenantry_bytes ",
		"tenantry_evictions_total ", "tenantry_members{",
	} {
		if !strings.Contains(page, "\n"+name) {
			t.Errorf("no %s", name)
		}
	}
	if strings.Contains(page, `"123"`) {
		t.Error("a label names a tenant")
	}
	for _, name := range []string{"forwards_total", "handoffs_total", "ring_epoch", "audit_checked_total", "audit_stale_total", "audit_stale_seconds"} {
		if !strings.Contains(page, "\ntenantry_"+name) {
			t.Logf("not told by one node yet: tenantry_%s", name)
		}
	}
}

func (s *stack) metrics() string {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://"+s.node.Admin()+"/metrics", nil)
	if err != nil {
		s.Fatal(err)
	}
	return s.do(req).body
}
