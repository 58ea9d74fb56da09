package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/shard"
)

// way is a protocol over an HTTP version.
type way struct {
	name    string
	http    func(*testing.T) *http.Client
	options []connect.ClientOption
}

func ways() []way {
	return []way{
		{"connect h1", h1, nil},
		{"connect h2c", h2c, nil},
		{"connect json", h1, []connect.ClientOption{connect.WithProtoJSON()}},
		{"connect get", h1, []connect.ClientOption{connect.WithHTTPGet()}},
		{"connect get h2c", h2c, []connect.ClientOption{connect.WithHTTPGet()}},
		{"connect gzip", h1, []connect.ClientOption{connect.WithSendGzip()}},
		{"grpc", h2c, []connect.ClientOption{connect.WithGRPC()}},
		{"grpc-web h1", h1, []connect.ClientOption{connect.WithGRPCWeb()}},
		{"grpc-web h2c", h2c, []connect.ClientOption{connect.WithGRPCWeb()}},
	}
}

// everyWay runs a test over every protocol.
func everyWay(t *testing.T, h *harness, f func(t *testing.T, c tenantryv1connect.CacheServiceClient, e tenantryv1connect.EntitlementServiceClient)) {
	for _, w := range ways() {
		t.Run(w.name, func(t *testing.T) {
			hc := w.http(t)
			f(t, tenantryv1connect.NewCacheServiceClient(hc, h.url, w.options...),
				tenantryv1connect.NewEntitlementServiceClient(hc, h.url, w.options...))
		})
	}
}

func TestGet(t *testing.T) {
	h := serve(t, nil)
	h.node.Set("acme", "role", "../x", fresh(`{"permissions":["a"]}`))
	everyWay(t, h, func(t *testing.T, c tenantryv1connect.CacheServiceClient, _ tenantryv1connect.EntitlementServiceClient) {
		before := time.Now()
		got, err := c.Get(t.Context(), &tenantryv1.GetRequest{Tenant: "acme", Kind: "role", Key: "../x"})
		if err != nil {
			t.Fatal(err)
		}
		if off := got.GetFreshness().GetAsOf().AsTime().Sub(before.Add(-1500 * time.Millisecond)); off < 0 || off > time.Second {
			t.Errorf("as_of is off by %v", off)
		}
		if n := len(got.GetFreshness().GetToken()); n == 0 || n > 256 {
			t.Errorf("a token of %d bytes", n)
		}
		got.Freshness.AsOf, got.Freshness.Token = nil, nil
		want := &tenantryv1.GetResponse{Value: []byte(`{"permissions":["a"]}`), Freshness: &tenantryv1.Freshness{
			State: tenantryv1.Freshness_FRESH, Source: tenantryv1.Freshness_MEMORY,
			Age: durationpb.New(1500 * time.Millisecond), Version: proto.Uint64(7), Node: "n1", Epoch: 42,
		}}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestGetOptions(t *testing.T) {
	h := serve(t, nil)
	h.node.Set("acme", "role", "a", fresh("{}"))
	c := tenantryv1connect.NewCacheServiceClient(h1(t), h.url)
	first, err := c.Get(t.Context(), &tenantryv1.GetRequest{Tenant: "acme", Kind: "role", Key: "a"})
	if err != nil {
		t.Fatal(err)
	}
	h.node.Reads()
	_, err = c.Get(t.Context(), &tenantryv1.GetRequest{
		Tenant: "acme", Kind: "role", Key: "a", MaxAge: durationpb.New(time.Second), MinVersion: 3, After: first.GetFreshness().GetToken(),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := cache.ReadOptions{MaxAge: time.Second, HasMaxAge: true, MinVersion: 7, Position: time.Minute, Settled: time.Minute}
	if diff := cmp.Diff(want, h.node.Reads()[0].Options); diff != "" {
		t.Error(diff)
	}
	_, err = c.Get(t.Context(), &tenantryv1.GetRequest{Tenant: "acme", Kind: "role", Key: "b", After: first.GetFreshness().GetToken()})
	wantCode(t, err, connect.CodeInvalidArgument, "after: is the token of another entry")
}

func wantCode(t *testing.T, err error, code connect.Code, text string) *connect.Error {
	t.Helper()
	e, ok := errors.AsType[*connect.Error](err)
	if !ok || e.Code() != code || !strings.Contains(e.Message(), text) {
		t.Errorf("got %v, want %v with %q", err, code, text)
		return connect.NewError(connect.CodeUnknown, nil)
	}
	return e
}

func TestGetRefusesBadInput(t *testing.T) {
	h := serve(t, nil)
	bad := map[string]*tenantryv1.GetRequest{
		"tenant":  {Kind: "role", Key: "a"},
		"kind":    {Tenant: "t", Key: "a"},
		"key":     {Tenant: "t", Kind: "role", Key: "a\x00"},
		"max_age": {Tenant: "t", Kind: "role", Key: "a", MaxAge: durationpb.New(-1)},
		"after":   {Tenant: "t", Kind: "role", Key: "a", After: []byte("garbage")},
	}
	everyWay(t, h, func(t *testing.T, c tenantryv1connect.CacheServiceClient, _ tenantryv1connect.EntitlementServiceClient) {
		for field, req := range bad {
			if field == "max_age" && strings.Contains(t.Name(), "get") {
				continue // same as the others, and nothing to gain
			}
			_, err := c.Get(t.Context(), req)
			wantCode(t, err, connect.CodeInvalidArgument, field+": ")
		}
	})
	if reads := h.node.Reads(); len(reads) != 0 {
		t.Errorf("read %v", reads)
	}
}

func TestGetErrors(t *testing.T) {
	h := serve(t, nil)
	h.node.Fail("t", "nope", "k", &shard.UnknownKindError{Kind: "nope", Known: []string{"role", "user"}})
	h.node.Fail("t", "role", "down", &cache.UnavailableError{RetryAfter: 2 * time.Second, Err: context.DeadlineExceeded})
	h.node.Fail("t", "role", "full", fmt.Errorf("activate: %w", shard.ErrTenantLimit))
	h.node.Fail("t", "role", "odd", errors.New("secret"))
	everyWay(t, h, func(t *testing.T, c tenantryv1connect.CacheServiceClient, _ tenantryv1connect.EntitlementServiceClient) {
		get := func(kind, key string) error {
			_, err := c.Get(t.Context(), &tenantryv1.GetRequest{Tenant: "t", Kind: kind, Key: key})
			return err
		}
		wantCode(t, get("nope", "k"), connect.CodeFailedPrecondition, "role, user")
		wantCode(t, get("role", "full"), connect.CodeResourceExhausted, "limits.active_tenants")
		if e := wantCode(t, get("role", "odd"), connect.CodeInternal, "internal error"); strings.Contains(e.Message(), "secret") {
			t.Error("an unknown error went out")
		}
		down := wantCode(t, get("role", "down"), connect.CodeUnavailable, "origin")
		if info := detail[*errdetails.RetryInfo](down); info.GetRetryDelay().AsDuration() != 2*time.Second || down.Meta().Get("Retry-After") != "2" {
			t.Errorf("retry: %v, %v", info, down.Meta())
		}
		absent := wantCode(t, get("role", "none"), connect.CodeNotFound, `the origin has no role "none"`)
		if f := detail[*tenantryv1.Freshness](absent); f.GetState() != tenantryv1.Freshness_FRESH || f.GetNode() != "n1" {
			t.Errorf("freshness of an absence: %v", f)
		}
	})
}

// detail returns the detail of a type, or nil.
func detail[T proto.Message](e *connect.Error) (none T) {
	for _, d := range e.Details() {
		if m, err := d.Value(); err == nil {
			if m, ok := m.(T); ok {
				return m
			}
		}
	}
	return none
}

func TestBatchGet(t *testing.T) {
	h := serve(t, nil)
	h.node.Set("t", "role", "a", fresh("{}"))
	h.node.Set("t", "user", "u", fresh(`{"u":1}`))
	h.node.Fail("t", "nope", "k", &shard.UnknownKindError{Kind: "nope", Known: []string{"role"}})
	h.node.Fail("t", "role", "down", &cache.UnavailableError{RetryAfter: time.Second, Err: errors.New("x")})
	items := []*tenantryv1.BatchGetItem{
		{Kind: "user", Key: "u"}, {Kind: "role", Key: "none"}, {Kind: "nope", Key: "k"}, {Kind: "role", Key: ""},
		{Kind: "role", Key: "down"}, {Kind: "role", Key: "a"}, {Kind: "role", Key: "a", After: []byte("x")}, {Kind: "user", Key: "u"},
	}
	want := []string{`{"u":1}`, "not_found", "failed_precondition", "invalid_argument", "unavailable", "{}", "invalid_argument", `{"u":1}`}
	everyWay(t, h, func(t *testing.T, c tenantryv1connect.CacheServiceClient, _ tenantryv1connect.EntitlementServiceClient) {
		res, err := c.BatchGet(t.Context(), &tenantryv1.BatchGetRequest{Tenant: "t", Items: items})
		if err != nil {
			t.Fatal(err)
		}
		if res.GetNode() != "n1" || res.GetEpoch() != 42 || len(res.GetResults()) != len(items) {
			t.Fatalf("got %v", res)
		}
		for i, r := range res.GetResults() {
			if got := string(r.GetValue()) + r.GetError().GetCode(); got != want[i] {
				t.Errorf("item %d: got %q, want %q", i, got, want[i])
			}
			if hasFreshness := r.GetFreshness() != nil; hasFreshness != (r.GetError() == nil || want[i] == "not_found") {
				t.Errorf("item %d: freshness %v", i, r.GetFreshness())
			}
		}
		if d := res.GetResults()[4].GetError().GetRetryDelay().AsDuration(); d != time.Second {
			t.Errorf("retry after %v", d)
		}
	})
}

func TestBatchGetBounds(t *testing.T) {
	h := serve(t, nil)
	c := tenantryv1connect.NewCacheServiceClient(h1(t), h.url)
	batch := func(tenant string, n int, age *durationpb.Duration) (*tenantryv1.BatchGetResponse, error) {
		req := &tenantryv1.BatchGetRequest{Tenant: tenant, MaxAge: age}
		for i := range n {
			req.Items = append(req.Items, &tenantryv1.BatchGetItem{Kind: "user", Key: fmt.Sprint(i)})
		}
		return c.BatchGet(t.Context(), req)
	}
	_, err := batch("t", 1001, nil)
	wantCode(t, err, connect.CodeInvalidArgument, "items: more than 1000")
	_, err = batch("..", 1, nil)
	wantCode(t, err, connect.CodeInvalidArgument, "tenant: ")
	_, err = batch("t", 1, durationpb.New(-1))
	wantCode(t, err, connect.CodeInvalidArgument, "max_age: negative")
	if res, err := batch("t", 0, nil); err != nil || len(res.GetResults()) != 0 {
		t.Errorf("no items: %v, %v", res, err)
	}
	if res, err := batch("t", 1000, durationpb.New(0)); err != nil || len(res.GetResults()) != 1000 {
		t.Errorf("1000 items: %v", err)
	}
	if o := h.node.Reads()[0].Options; !o.HasMaxAge || o.MaxAge != 0 {
		t.Errorf("max_age of the batch was not passed on: %+v", o)
	}
}

func TestBatchGetBoundsItsBytes(t *testing.T) {
	h := serve(t, nil)
	h.node.Set("t", "user", "big", fresh(`"`+strings.Repeat("x", 6<<20)+`"`))
	c := tenantryv1connect.NewCacheServiceClient(h1(t), h.url, connect.WithAcceptCompression("gzip", nil, nil))
	req := &tenantryv1.BatchGetRequest{Tenant: "t"}
	for range 7 {
		req.Items = append(req.Items, &tenantryv1.BatchGetItem{Kind: "user", Key: "big"})
	}
	res, err := c.BatchGet(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range res.GetResults() {
		if tooMuch := r.GetError().GetCode() == "resource_exhausted"; tooMuch != (i >= 5) || tooMuch == (len(r.GetValue()) > 0) {
			t.Errorf("item %d: %v", i, r.GetError())
		}
	}
}

func TestEntitlements(t *testing.T) {
	h := serve(t, nil)
	h.node.Set("t", "credit-config", "op", fresh(`{"cost":3.10}`))
	h.node.Set("t", "credit-balance", "u", cache.Answer{Value: []byte(`{"availableCredits":3.0}`), State: cache.Stale, Via: cache.FromOrigin, Age: time.Second})
	h.node.Set("t", "role", "r", fresh(`{"permissions":["a","b.*"]}`))
	h.node.Set("t", "role", "odd", fresh(`{"permissions":"all"}`))
	h.node.Set("t", "user-status", "u", fresh(`{"status":"active","roles":["r","s"]}`))
	h.node.Set("t", "user-status", "odd", fresh(`{"status":1,"roles":["r","s"]}`))
	h.node.Set("t", "user-status", "null", fresh(`{"status":"active","roles":null}`))
	h.node.Set("t", "user-status", "half", fresh(`{"status":"active","roles":["r",null]}`))
	h.node.Set("t", "config", "c", fresh(`{"value":{"limit":3.10}}`))
	h.node.Set("t", "config", "odd", fresh(`{}`))
	h.node.Set("t", "user", "u", fresh(`{"x": 1}`))
	h.node.Set("t", "hierarchy", "e", fresh(`{"y": 2}`))
	everyWay(t, h, func(t *testing.T, _ tenantryv1connect.CacheServiceClient, e tenantryv1connect.EntitlementServiceClient) {
		credits, err := e.CheckCredits(t.Context(), &tenantryv1.CheckCreditsRequest{Tenant: "t", Operation: "op", UserId: "u"})
		if err != nil {
			t.Fatal(err)
		}
		if credits.GetCreditCost() != "3.10" || credits.GetAvailableCredits() != "3.0" || credits.GetCanAfford() || credits.GetOperation() != "op" {
			t.Errorf("got %v", credits)
		}
		f := credits.GetFreshness()
		if f.GetState() != tenantryv1.Freshness_STALE || f.GetSource() != tenantryv1.Freshness_ORIGIN || f.Version != nil || f.GetAge().AsDuration() != 1500*time.Millisecond {
			t.Errorf("composed freshness: %v", f)
		}
		credits, err = e.CheckCredits(t.Context(), &tenantryv1.CheckCreditsRequest{Tenant: "t", Operation: "op", After: f.GetToken()})
		if err != nil || !credits.GetCanAfford() || credits.GetAvailableCredits() != "" {
			t.Errorf("without a user: %v, %v", credits, err)
		}
		_, err = e.CheckCredits(t.Context(), &tenantryv1.CheckCreditsRequest{Tenant: "t", Operation: "none"})
		wantCode(t, err, connect.CodeNotFound, "Operation not configured")
		_, err = e.CheckCredits(t.Context(), &tenantryv1.CheckCreditsRequest{Tenant: "t", Operation: "none", After: f.GetToken()})
		wantCode(t, err, connect.CodeInvalidArgument, "after: ")
		_, err = e.CheckCredits(t.Context(), &tenantryv1.CheckCreditsRequest{Tenant: "t", Operation: "op", UserId: "\x01"})
		wantCode(t, err, connect.CodeInvalidArgument, "user_id: ")
		role, err := e.GetRolePermissions(t.Context(), &tenantryv1.GetRolePermissionsRequest{Tenant: "t", RoleId: "r"})
		if diff := cmp.Diff([]string{"a", "b.*"}, role.GetPermissions()); diff != "" || err != nil {
			t.Error(diff, err)
		}
		_, err = e.GetRolePermissions(t.Context(), &tenantryv1.GetRolePermissionsRequest{Tenant: "t", RoleId: "odd"})
		wantCode(t, err, connect.CodeUnavailable, "permissions")
		user, err := e.GetUserProfile(t.Context(), &tenantryv1.GetUserProfileRequest{Tenant: "t", UserId: "u"})
		if string(user.GetValue()) != `{"x": 1}` || err != nil {
			t.Errorf("got %v, %v", user, err)
		}
		hierarchy, err := e.GetHierarchy(t.Context(), &tenantryv1.GetHierarchyRequest{Tenant: "t", EntityId: "e"})
		if string(hierarchy.GetValue()) != `{"y": 2}` || err != nil {
			t.Errorf("got %v, %v", hierarchy, err)
		}
		status, err := e.GetUserStatus(t.Context(), &tenantryv1.GetUserStatusRequest{Tenant: "t", UserId: "u"})
		if status.GetStatus() != "active" || !slices.Equal(status.GetRoles(), []string{"r", "s"}) || status.GetUserId() != "u" || status.GetFreshness().GetVersion() != 7 || err != nil {
			t.Errorf("got %v, %v", status, err)
		}
		_, err = e.GetUserStatus(t.Context(), &tenantryv1.GetUserStatusRequest{Tenant: "t", UserId: "none"})
		wantCode(t, err, connect.CodeNotFound, "user-status")
		for _, odd := range []string{"odd", "null", "half"} {
			_, err = e.GetUserStatus(t.Context(), &tenantryv1.GetUserStatusRequest{Tenant: "t", UserId: odd})
			wantCode(t, err, connect.CodeUnavailable, "no usable")
		}
		config, err := e.GetConfig(t.Context(), &tenantryv1.GetConfigRequest{Tenant: "t", Name: "c"})
		if string(config.GetValue()) != `{"limit":3.10}` || config.GetName() != "c" || err != nil {
			t.Errorf("got %v, %v", config, err)
		}
		_, err = e.GetConfig(t.Context(), &tenantryv1.GetConfigRequest{Tenant: "t", Name: "odd"})
		wantCode(t, err, connect.CodeUnavailable, "no usable value")
		_, err = e.GetConfig(t.Context(), &tenantryv1.GetConfigRequest{Tenant: "t", Name: ""})
		wantCode(t, err, connect.CodeInvalidArgument, "name: ")
	})
}
