package rpc_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/shard"
)

// fill gives the owners all kinds of entries and errors.
func (ms *members) fill() {
	unversioned := fresh(`{"name":"é"}`)
	unversioned.Versioned, unversioned.Version = false, 0
	stale := fresh("{}")
	stale.State, stale.Age = cache.Stale, time.Hour
	event := fresh("{}")
	event.State, event.Via = cache.Provisional, cache.FromEvent
	origin := fresh(`{"value":[1.50, "<"]}`)
	origin.Via = cache.FromOrigin
	ms.set("credit-config", "crm.leads.create", fresh(`{"cost":3.10}`))
	ms.set("credit-config", "broken", fresh(`{"cost":null}`))
	ms.set("credit-balance", "u1", fresh(`{"availableCredits":3.1}`))
	ms.set("user", "u1", fresh("{\"a\" : \" \\u0000<>&\u2028\"}\n"))
	ms.set("user", "u2", unversioned)
	ms.set("user", "stale", stale)
	ms.set("user", "event", event)
	ms.set("hierarchy", "e1", fresh(`{"entityId":"e1"}`))
	ms.set("role", "admin", fresh(`{"permissions":["crm.*"]}`))
	ms.set("role", "absent", cache.Answer{Absent: true, Age: time.Second, Position: time.Minute})
	ms.set("user-status", "u1", fresh(`{"status":"active","roles":["admin","none"]}`))
	ms.set("config", "c", origin)
	for key, err := range failures() {
		for _, m := range ms.all { // the origin fails them all
			m.node.Fail("acme", "user", key, err)
			m.node.Fail("acme", "credit-config", key, err)
		}
	}
}

// failures are all errors of a node.
func failures() map[string]error {
	return map[string]error{
		"kind":        &shard.UnknownKindError{Kind: "user", Known: []string{"role"}},
		"limit":       shard.ErrTenantLimit,
		"old":         cache.ErrTooOld,
		"unavailable": &cache.UnavailableError{RetryAfter: 7 * time.Second, Err: &cache.FaultError{Reason: "timeout", Err: errors.New("10.0.0.1")}},
		"fault":       &cache.FaultError{Reason: "status", RetryAfter: 90 * time.Second, Err: errors.New("10.0.0.1")},
		"bug":         errors.New("10.0.0.1"),
	}
}

// keysOf are the keys of users that fill has, and others.
func keysOf() []string {
	keys := []string{"u1", "u2", "stale", "event", "none", "a\x00", strings.Repeat("x", 512), "ü/ä"}
	for key := range failures() {
		keys = append(keys, key)
	}
	return keys
}

// Whoever asks a node that does not own the tenant gets to the byte what the owner
// would have answered.
func TestForwardedAnswersAreTheOwners(t *testing.T) {
	bubble(t, 3, func(t *testing.T, ms *members) {
		ms.fill()
		forwards, owner := ms.all[0], ms.all[1]
		for _, key := range keysOf() {
			for _, options := range [][]connect.ClientOption{nil, {connect.WithProtoJSON()}, {connect.WithHTTPGet()}} {
				req := &tenantryv1.GetRequest{Tenant: "acme", Kind: "user", Key: key}
				want, wantErr := owner.cache(options...).Get(t.Context(), req)
				got, err := forwards.cache(options...).Get(t.Context(), req)
				if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
					t.Errorf("%q: %s", key, diff)
				}
				if diff := cmp.Diff(seenOf(wantErr), seenOf(err)); diff != "" {
					t.Errorf("%q: %s", key, diff)
				}
			}
		}
		for _, read := range forwards.node.Reads() { // the origin, when no owner could
			if failures()[read.Key] == nil {
				t.Errorf("read %v", read)
			}
		}
		if strings.Contains(forwards.log.String(), "10.0.0.1") {
			t.Error("the owner's faults are in the other's log")
		}
	})
}

// seenOf is all that a caller sees of an error.
func seenOf(err error) []string {
	e, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return []string{fmt.Sprint(err)}
	}
	seen := []string{e.Code().String(), e.Message(), e.Meta().Get("Retry-After")}
	for _, d := range e.Details() {
		m, err := d.Value()
		seen = append(seen, fmt.Sprint(d.Type(), m, err))
	}
	return seen
}

func TestForwardedRESTAnswersAreTheOwners(t *testing.T) {
	bubble(t, 3, func(t *testing.T, ms *members) {
		ms.fill()
		paths := []string{
			"/api/credits/check/crm.leads.create", "/api/credits/check/crm.leads.create?userId=u1", "/api/credits/check/none",
			"/api/credits/check/broken", "/api/credits/check/crm.leads.create?userId=u9", "/api/authorize/crm.leads.create?userId=u1",
			"/api/authorize/none?userId=u9", "/api/authorize/limit?userId=u1", "/api/authorize/unavailable?userId=u1",
			"/api/users/u1/status", "/api/hierarchy/e1", "/api/roles/admin/permissions", "/api/roles/absent/permissions", "/api/configs/c", "/api/configs/none",
		}
		for _, key := range keysOf() {
			paths = append(paths, "/api/users/"+strings.NewReplacer("/", "%2F", "\x00", "%00").Replace(key))
		}
		for _, path := range paths {
			want, wantBody := ms.all[1].rest(t, path)
			got, body := ms.all[0].rest(t, path)
			if got.StatusCode >= 400 {
				want.Header.Del("Tenantry-Node") // who says no
				got.Header.Del("Tenantry-Node")
			}
			if diff := cmp.Diff(want.Header, got.Header); diff != "" || want.StatusCode != got.StatusCode || body != wantBody {
				t.Errorf("%s: %d %q, want %d %q %s", path, got.StatusCode, body, want.StatusCode, wantBody, diff)
			}
			if etag := want.Header.Get("ETag"); etag != "" {
				if got, _ := ms.all[0].rest(t, path, "If-None-Match", etag); got.StatusCode != http.StatusNotModified {
					t.Errorf("%s: %d", path, got.StatusCode)
				}
			}
		}
	})
}

func TestForwardedBatch(t *testing.T) {
	bubble(t, 3, func(t *testing.T, ms *members) {
		ms.fill()
		ms.all[1].Work(time.Millisecond)
		req := &tenantryv1.BatchGetRequest{Tenant: "acme", MaxAge: durationpb.New(time.Hour)}
		for range 15 {
			for _, key := range keysOf() {
				req.Items = append(req.Items, &tenantryv1.BatchGetItem{Kind: "user", Key: key, MinVersion: 3})
			}
		}
		want, err := ms.all[1].cache().BatchGet(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		ms.all[1].Requests()
		got, err := ms.all[0].cache().BatchGet(t.Context(), req)
		for _, r := range got.GetResults() {
			if r.GetFreshness() != nil {
				r.Freshness.Age = durationpb.New(r.Freshness.GetAge().AsDuration().Truncate(100 * time.Millisecond)) // on the way
				r.Freshness.AsOf = nil
			}
		}
		for _, r := range want.GetResults() {
			if r.GetFreshness() != nil {
				r.Freshness.AsOf = nil
			}
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || err != nil {
			t.Error(err, diff)
		}
		calls := len(ms.all[1].Requests())
		deferred := 15 * (len(failures()) + 3) // each of them asks for itself; three are absent, and read
		if calls > deferred+40 {
			t.Errorf("%d calls for %d reads", calls, len(req.GetItems()))
		}
	})
}

func TestForwardedFreshness(t *testing.T) {
	bubble(t, 2, func(t *testing.T, ms *members) {
		ms.set("role", "a", fresh("{}"))
		ms.all[1].Work(20 * time.Millisecond)
		f := ms.all[0].get(t, &tenantryv1.GetRequest{Kind: "role", Key: "a"}).GetFreshness()
		if f.GetAge().AsDuration() != 1520*time.Millisecond || f.GetNode() != "n2" || f.GetEpoch() != 41 || f.GetVersion() != 7 {
			t.Error(f)
		}
		_, err := ms.all[0].cache().Get(t.Context(), &tenantryv1.GetRequest{Tenant: "acme", Kind: "role", Key: "none"})
		e := wantCode(t, err, connect.CodeNotFound, `the origin has no role "none"`)
		absent, err := e.Details()[0].Value()
		if f, ok := absent.(*tenantryv1.Freshness); !ok || err != nil || f.GetNode() != "n2" || f.GetState() != tenantryv1.Freshness_FRESH || f.GetAge().AsDuration() != 20*time.Millisecond {
			t.Error(absent, err)
		}
		res, _ := ms.all[0].rest(t, "/api/users/none")
		if res.StatusCode != http.StatusNotFound || res.Header.Get("Tenantry-Freshness") != "fresh" || res.Header.Get("Age") != "0" {
			t.Error(res.StatusCode, res.Header)
		}
		res, _ = ms.all[0].rest(t, "/v1/tenants/acme/entries/role/a")
		if res.Header.Get("Tenantry-Node") != "n2" || res.Header.Get("Age") != "1" {
			t.Error(res.Header)
		}
	})
}
