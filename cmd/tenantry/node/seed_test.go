package node_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tenantry/tenantry/cmd/tenantry/wrapper"
	"github.com/tenantry/tenantry/subscriber/redistest"
)

// The working set of the comparison with full replication: a tenth of the
// tenants is active, and of each a quarter of the users.
const (
	allTenants, activeTenants = 100, 10
	allUsers, activeUsers     = 20, 5
	changesPerTenant          = 10
	mostOfReplication         = 0.2 // the share below which the specification's traffic must stay
)

// tally counts the bytes of answers' bodies.
type tally struct {
	handler http.Handler
	bytes   atomic.Int64
}

func (c *tally) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.handler.ServeHTTP(&tallied{w, c}, r)
}

type tallied struct {
	http.ResponseWriter

	tally *tally
}

func (w *tallied) Write(p []byte) (int, error) {
	w.tally.bytes.Add(int64(len(p)))
	return w.ResponseWriter.Write(p)
}

// busTally counts the bytes of the events that are published for a tenant.
type busTally struct {
	publisher

	active, others atomic.Int64
}

func (b *busTally) Publish(ctx context.Context, tenant, topic string, payload []byte) error {
	if n, _ := strconv.Atoi(strings.TrimPrefix(tenant, "tenant-")); n <= activeTenants {
		b.active.Add(int64(len(payload)))
	} else {
		b.others.Add(int64(len(payload)))
	}
	return b.publisher.Publish(ctx, tenant, topic, payload)
}

// What a node holds and transfers, beside a consumer that copies all that the
// origin has and is sent each changed document whole. The sample's data, in
// bytes of JSON; what Tenantry holds counts with everything around the values.
func TestAgainstFullReplication(t *testing.T) {
	s := newStack(t, redistest.Start(t), nil)
	bus := &busTally{publisher: publisher{s.publish}}
	origin := &tally{handler: wrapper.New(wrapper.Config{Tenants: allTenants, Publisher: bus})}
	s.origin.become(origin.ServeHTTP)

	var whole int64
	for n := 1; n <= allTenants; n++ {
		for _, path := range everything() {
			whole += documentBytes(t, origin.handler, wrapper.TenantName(n), path)
		}
	}
	var changed int64 // what replication is sent of the changes
	for n := 1; n <= activeTenants; n++ {
		s.active(wrapper.TenantName(n))
		s.work(wrapper.TenantName(n))
	}
	for n := 1; n <= allTenants; n++ {
		changed += s.change(origin.handler, wrapper.TenantName(n))
	}
	for n := 1; n <= activeTenants; n++ {
		s.work(wrapper.TenantName(n))
	}
	held, err := strconv.ParseFloat(s.metric("tenantry_bytes"), 64)
	if err != nil {
		t.Fatal(err)
	}
	moved, replicated := origin.bytes.Load()+bus.active.Load(), whole+changed+bus.active.Load()+bus.others.Load()
	t.Logf("held: %.0f bytes, of %d that full replication holds: %.1f %% less", held, whole, 100*(1-held/float64(whole)))
	t.Logf("of one active tenant alone: %.1f %% less", 100*(1-held/activeTenants/(float64(whole)/allTenants)))
	t.Logf("transferred: %d bytes, of %d: %.1f %% less", moved, replicated, 100*(1-float64(moved)/float64(replicated)))
	if float64(moved) > mostOfReplication*float64(replicated) || held > mostOfReplication*float64(whole) {
		t.Error("more than a fifth of full replication")
	}
}

// everything returns the paths of all that the sample has of a tenant: the lists of the
// critical kinds, the reference kinds one by one, and a page of each user's
// history and audit log.
func everything() []string {
	paths := []string{"credit-configs", "roles", "user-status", "configs"}
	for n := range allUsers {
		user := fmt.Sprint("users/user-", n+1)
		paths = append(paths, user, user+"/credits", "history/"+user, "audit-logs/"+user)
	}
	for _, entity := range []string{"org-1", "division-1", "division-2", "team-1", "team-2", "team-3", "team-4"} {
		paths = append(paths, "hierarchy/"+entity)
	}
	return paths
}

func documentBytes(t *testing.T, h http.Handler, tenant, path string) int64 {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/tenants/"+tenant+"/"+path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s of %s: %d", path, tenant, w.Code)
	}
	return int64(w.Body.Len())
}

// work is what an application asks of an active tenant.
func (s *stack) work(tenant string) {
	s.Helper()
	for n := range activeUsers {
		user := fmt.Sprint("user-", n+1)
		for _, path := range []string{"/api/authorize/crm.leads.create?userId=" + user, "/api/users/" + user, "/api/users/" + user + "/status"} {
			if a := s.get(path, tenant); a.status != http.StatusOK {
				s.Fatalf("%s of %s: %+v", path, tenant, a)
			}
		}
	}
	for _, path := range []string{"/api/hierarchy/team-1", "/api/hierarchy/org-1", "/api/roles/admin/permissions", "/api/history/users/user-1"} {
		if a := s.get(path, tenant); a.status != http.StatusOK {
			s.Fatalf("%s of %s: %+v", path, tenant, a)
		}
	}
}

// change changes profiles of a tenant, and returns the bytes of the changed
// documents.
func (s *stack) change(h http.Handler, tenant string) (size int64) {
	s.Helper()
	for n := range changesPerTenant {
		path := fmt.Sprintf("users/user-%d", n+1)
		req := httptest.NewRequestWithContext(s.Context(), http.MethodPut, "/api/tenants/"+tenant+"/"+path, strings.NewReader(`{"name":"Changed","team":"team-1","email":"changed@example.com"}`))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != http.StatusOK {
			s.Fatalf("PUT %s: %d %s", path, w.Code, w.Body)
		}
		size += documentBytes(s.T, h, tenant, path)
	}
	return size
}
