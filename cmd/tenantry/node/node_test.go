package node_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/subscriber/redistest"
)

// seedEvent is the message of the specification, to the letter.
const seedEvent = `{"eventId":"change-123","eventType":"credit-config-changed","tenantId":"123",
 "data":{"operationCode":"crm.leads.create","changedFields":["credit_cost"],"newValue":3.0,"oldValue":2.5}}`

const creditURI = "/api/tenants/123/credit-configs/crm.leads.create"

func TestTheSeedsMessage(t *testing.T) {
	for _, channel := range []string{"crm:123:credit-config-changed", "crm:123:credit-configs"} {
		t.Run(channel, func(t *testing.T) {
			s := newStack(t, redistest.Start(t), nil)
			s.active("123")
			if cost, freshness := s.cost(); cost != "2.5" || freshness != "fresh" {
				s.Fatalf("before the event: %s %s", cost, freshness)
			}
			before := len(s.origin.all())
			s.event(channel, seedEvent)
			begin := time.Now()
			cost, freshness := s.cost()
			for cost != "3.0" && time.Since(begin) < 50*time.Millisecond {
				cost, freshness = s.cost()
			}
			if cost != "3.0" || freshness != "provisional" {
				s.Fatalf("after the event: %s %s", cost, freshness)
			}
			if n := len(s.origin.all()); n != before && time.Since(begin) < 200*time.Millisecond {
				s.Errorf("%d origin requests before the answer", n-before)
			}
			s.until("the origin's word stands", func() bool {
				cost, freshness := s.cost()
				return cost == "2.5" && freshness == "fresh"
			})
			last := s.origin.all()[len(s.origin.all())-1]
			if last.uri != creditURI || last.etag != "" {
				s.Errorf("the confirming request was %+v", last)
			}
			if wait := last.at.Sub(begin); wait < 150*time.Millisecond {
				s.Errorf("it was confirmed after %v already", wait)
			}
		})
	}
}

func TestTheSeedsMessageWithAVersion(t *testing.T) {
	s := newStack(t, redistest.Start(t), nil)
	s.active("123")
	s.event("crm:123:credit-configs", strings.Replace(seedEvent, "{", `{"version":9,`, 1))
	s.until("the event is applied", func() bool { cost, _ := s.cost(); return cost == "3.0" })
	before := len(s.origin.all())
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); {
		if cost, freshness := s.cost(); cost != "3.0" || freshness != "fresh" {
			s.Fatalf("%s %s", cost, freshness)
		}
	}
	if n := len(s.origin.all()); n != before {
		s.Errorf("%d origin requests for a value that is known current", n-before)
	}
}

func TestDecimalTextIsKept(t *testing.T) {
	s := newStack(t, redistest.Start(t), nil)
	s.active("123")
	for i, text := range []string{"3.10", "3", "0.000", "12345678901234567890.10", "1e2", "-0.5"} {
		s.event("crm:123:credit-configs", fmt.Sprintf(`{"version":%d,"data":{"operationCode":"crm.leads.create","newValue":%s}}`, i+10, text))
		s.until(text+" is kept as it is", func() bool {
			return strings.Contains(s.get(creditPath, "123").body, `"creditCost":`+text+`,`)
		})
	}
}

// Whatever is not a good event leaves the value in memory right at once.
func TestBadEvents(t *testing.T) {
	s := newStack(t, redistest.Start(t), nil)
	s.active("123")
	s.active("tenant-0001")
	deep := strings.Repeat(`{"a":`, 3000) + "1" + strings.Repeat("}", 3000)
	data := `"data":{"operationCode":"crm.leads.create","newValue":9}`
	for _, test := range []struct{ name, event, reason string }{
		{"no JSON", `hello`, "malformed"},
		{"empty", ``, "malformed"},
		{"a list", `[1]`, "malformed"},
		{"half", `{"data":{"operationCode":"crm.leads.create","newValue":9}`, "malformed"},
		{"twice", `{` + data + `}{` + data + `}`, "malformed"},
		{"a member twice", `{` + data + `,` + data + `}`, "malformed"},
		{"version a string", `{"version":"7",` + data + `}`, "wrong_type"},
		{"version a fraction", `{"version":7.0,` + data + `}`, "wrong_type"},
		{"version negative", `{"version":-1,` + data + `}`, "wrong_type"},
		{"version too large", `{"version":18446744073709551616,` + data + `}`, "wrong_type"},
		{"data a list", `{"data":[1]}`, "wrong_type"},
		{"no data", `{"eventType":"credit-config-changed"}`, "no_key"},
		{"no key", `{"data":{"newValue":9}}`, "no_key"},
		{"key a number", `{"data":{"operationCode":5,"newValue":9}}`, "wrong_type"},
		{"key with NUL", `{"data":{"operationCode":"crm.leads.create\u0000","newValue":9}}`, "bad_key"},
		{"raw NUL", "{\"data\":{\"operationCode\":\"crm.leads.create\x00\",\"newValue\":9}}", "malformed"},
		{"another tenant's", `{"tenantId":"tenant-0001",` + data + `}`, "foreign_tenant"},
		{"3,000 deep", `{"data":{"operationCode":"crm.leads.create","newValue":9,"x":` + deep + `}}`, "too_deep"},
		{"10 MB", `{"data":{"operationCode":"crm.leads.create","newValue":9,"x":"` + strings.Repeat("x", 10<<20) + `"}}`, "oversized"},
	} {
		t.Run(test.name, func(t *testing.T) {
			series := fmt.Sprintf(`tenantry_events_total{effect="refused",kind="",reason=%q}`, test.reason)
			before := s.metric(series)
			s.event("crm:123:credit-configs", test.event)
			s.until("it is refused and counted", func() bool { return s.metric(series) != before })
			if cost, freshness := s.cost(); cost != "2.5" || freshness != "fresh" {
				t.Errorf("afterwards: %s %s", cost, freshness)
			}
			a := s.get("/v1/tenants/tenant-0001/entries/credit-config/crm.leads.create", "")
			if a.status != http.StatusOK || a.freshness != "fresh" {
				t.Errorf("another tenant: %+v", a)
			}
		})
	}
}

// An event that names the entry but carries no usable value invalidates it.
func TestEventsWithoutAUsableValue(t *testing.T) {
	s := newStack(t, redistest.Start(t), nil)
	s.active("123")
	for _, value := range []string{`"9"`, `null`, `{}`, `[9]`, `true`} {
		before := s.origin.count(creditURI)
		s.event("crm:123:credit-configs", `{"data":{"operationCode":"crm.leads.create","newValue":`+value+`}}`)
		s.until("the origin is asked", func() bool {
			if cost, _ := s.cost(); cost != "2.5" {
				s.Fatalf("newValue %s became the cost %s", value, cost)
			}
			return s.origin.count(creditURI) > before
		})
	}
}

func TestKeysReachNoOtherPath(t *testing.T) {
	s := newStack(t, redistest.Start(t), nil)
	for _, key := range []string{"..%2Fx", "a%2Fb", "%252e%252e", "..%2F..%2Ftenant-0001%2Froles%2Fadmin", "a%3Fb", "a%23b", "a%5Cb"} {
		a := s.get("/v1/tenants/123/entries/user/"+key, "")
		if a.status != http.StatusNotFound {
			s.Errorf("%s: %+v", key, a)
		}
		if n := s.origin.count("/api/tenants/123/users/" + key); n != 1 {
			s.Errorf("%s: asked %d times as it is; all: %v", key, n, s.origin.all())
		}
	}
	for _, path := range []string{"/v1/tenants/123/entries/user/%2e%2e", "/v1/tenants/123/entries/user/..", "/v1/tenants/%2e%2e/entries/user/a",
		"/v1/tenants/a%2Fb/entries/user/a", "/v1/tenants/123/entries/user/a%00b", "/v1/tenants/123/entries/user/" + strings.Repeat("k", 513)} {
		if a := s.get(path, ""); a.status != http.StatusBadRequest {
			s.Errorf("%s: %+v", path, a)
		}
	}
	for _, q := range s.origin.all() {
		if !strings.HasPrefix(q.uri, "/api/tenants/123/") {
			s.Errorf("the origin was asked for %s", q.uri)
		}
	}
}

func TestRedisAbsentAtTheStart(t *testing.T) {
	redis := redistest.New(t)
	s := newStack(t, redis, nil)
	if cost, freshness := s.cost(); cost != "2.5" || freshness != "fresh" {
		s.Errorf("read through: %s %s", cost, freshness)
	}
	s.until("the reason is given", func() bool {
		ready, reasons, _ := s.node.Readiness()
		return !ready && strings.Contains(strings.Join(reasons, " "), "refused")
	})
	redis.Restart()
	s.until("it recovers alone", s.ready)
	s.active("123")
	s.event("crm:123:credit-configs", seedEvent)
	s.until("events arrive", func() bool { cost, _ := s.cost(); return cost == "3.0" })
}

func TestRedisRestarts(t *testing.T) {
	s := newStack(t, redistest.Start(t), nil)
	s.active("123")
	s.redis.Stop()
	s.until("the loss is noticed", func() bool {
		ready, _, degraded := s.node.Readiness()
		return ready && len(degraded) > 0
	})
	if cost, freshness := s.cost(); cost != "2.5" || freshness != "fresh" {
		s.Errorf("without the bus: %s %s", cost, freshness)
	}
	s.redis.Restart()
	s.until("it recovers alone", s.ready)
	s.active("123")
	s.event("crm:123:credit-configs", seedEvent)
	s.until("events arrive", func() bool { cost, _ := s.cost(); return cost == "3.0" })
}

func TestOneRequestForAThousandReads(t *testing.T) {
	s := newStack(t, redistest.Start(t), nil)
	s.active("123")
	sample := s.origin.handler
	s.origin.become(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(300 * time.Millisecond):
		case <-r.Context().Done():
		}
		sample.ServeHTTP(w, r)
	})
	var reading sync.WaitGroup
	for range 1000 {
		reading.Go(func() {
			if a := s.get("/v1/tenants/123/entries/user/user-1", ""); a.status != http.StatusOK {
				t.Errorf("%+v", a)
			}
		})
	}
	reading.Wait()
	if n := s.origin.count("/api/tenants/123/users/user-1"); n != 1 {
		s.Errorf("%d origin requests", n)
	}
}

// A change at the Wrapper shows at once and is fresh: its event has a version.
func TestAChangeAtTheWrapper(t *testing.T) {
	s := newStack(t, redistest.Start(t), nil)
	s.active("123")
	s.get("/api/users/user-1", "123")
	for path, body := range map[string]string{
		"credit-configs/crm.leads.create": `{"creditCost":3.10}`,
		"users/user-1":                    `{"userId":"user-1","name":"Changed"}`,
	} {
		req, err := http.NewRequestWithContext(s.Context(), http.MethodPut, "http://"+s.node.RPC(), strings.NewReader(body))
		if err != nil {
			s.Fatal(err)
		}
		req.URL.Path, req.RequestURI = "/api/tenants/123/"+path, "/api/tenants/123/"+path
		s.origin.handler.ServeHTTP(discard{}, req)
	}
	s.until("the cost changed", func() bool { cost, freshness := s.cost(); return cost == "3.10" && freshness == "fresh" })
	s.until("the profile changed", func() bool { return strings.Contains(s.get("/api/users/user-1", "123").body, "Changed") })
}

func TestHistoryPassesThrough(t *testing.T) {
	s := newStack(t, redistest.Start(t), nil)
	const path = "/api/history/users/user-1/a%20b?page=2"
	for range 2 { // never kept
		if a := s.get(path, "123"); a.status != http.StatusOK || !strings.HasPrefix(a.body, "[") && !strings.HasPrefix(a.body, "{") {
			s.Errorf("%+v", a)
		}
	}
	if n := s.origin.count("/api/tenants/123/history/users/user-1/a%20b?page=2"); n != 2 {
		s.Errorf("asked %d times as it is; all: %v", n, s.origin.all())
	}
	if n := s.metric(`tenantry_reads_total{class="on-demand",kind="history",result="passthrough"}`); n != "2" {
		s.Errorf("%s were counted", n)
	}
	if a := s.get("/api/history/%2e%2e/roles/admin", "123"); a.status != http.StatusBadRequest {
		s.Errorf("%+v", a)
	}
}

// One tenant's hanging paths do not hold up another's.
func TestAHangingTenant(t *testing.T) {
	s := newStack(t, redistest.Start(t), nil)
	s.active("123")
	sample := s.origin.handler
	s.origin.become(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/tenants/tenant-0001/") {
			<-r.Context().Done()
			return
		}
		sample.ServeHTTP(w, r)
	})
	var hanging sync.WaitGroup
	for i := range 100 {
		hanging.Go(func() { s.get(fmt.Sprint("/v1/tenants/tenant-0001/entries/user/u", i), "") })
	}
	for i := range 200 {
		begin := time.Now()
		a := s.get(fmt.Sprintf("/v1/tenants/123/entries/user/user-%d", i%20+1), "")
		if d := time.Since(begin); a.status != http.StatusOK || d > time.Second {
			s.Errorf("%d after %v", a.status, d)
		}
	}
	hanging.Wait()
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

func TestAPortInUse(t *testing.T) {
	s := newStack(t, redistest.Start(t), nil)
	cfg := config.Default()
	cfg.Listen.RPC, cfg.Listen.Admin, cfg.Listen.Gossip = config.Address(s.node.RPC()), "127.0.0.1:0", "127.0.0.1:0"
	if _, err := newNode(cfg); err == nil || !strings.Contains(err.Error(), "listen.rpc") {
		s.Errorf("%v", err)
	}
}
