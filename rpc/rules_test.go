package rpc

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/rpc/rpctest"
	"github.com/tenantry/tenantry/shard"
)

// nowhere is a node that has nothing.
type nowhere struct{ rpctest.Alone }

func (nowhere) Read(context.Context, string, string, string, cache.ReadOptions) (cache.Answer, error) {
	return cache.Answer{Absent: true}, nil
}

func (nowhere) Recall(string, string, string, cache.ReadOptions) (a cache.Answer, ok bool, err error) {
	return a, false, nil
}

func (nowhere) Now() time.Duration { return time.Hour }

func (nowhere) Member() (m shard.Member) { return m }

func (nowhere) Describe(string) (d shard.Description) { return d }

func (nowhere) List(string, string, int, func(string) bool) (page []shard.Summary, next string) {
	return nil, ""
}

func (nowhere) Invalidate(string, string, string) (bool, error) { return false, nil }

func (nowhere) Drop(string) bool { return false }

// drawName draws names and keys, good and bad.
func drawName(t *rapid.T, label string) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", ".", "..", "...", "a/b", "../x", "\x00", "\x7f", "\u0080", "\u009f", "\u00a0", "é", "a b", "a\n", "\n", "%2e", "*",
			strings.Repeat("x", 64), strings.Repeat("x", 65), strings.Repeat("x", 512), strings.Repeat("x", 513), strings.Repeat("é", 256), strings.Repeat("é", 257)}),
		rapid.StringMatching(`[A-Za-z0-9._-]{1,64}`), rapid.String(),
	).Draw(t, label)
}

func drawAge(t *rapid.T) *durationpb.Duration {
	d := rapid.OneOf(rapid.SampledFrom([]time.Duration{-1, 0, 1, -time.Hour, 1<<63 - 1}), rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Int64().Draw(t, "age"))
	})).Draw(t, "max_age")
	if rapid.Bool().Draw(t, "unbounded") {
		return nil
	}
	return durationpb.New(d)
}

// TestRulesAgree compares what this package refuses with the rules in the
// protos, which clients may check by. Only a Duration that is none, and what a
// token is, the rules do not say.
func TestRulesAgree(t *testing.T) {
	rules, err := protovalidate.New()
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{node: nowhere{}, epoch: func() uint64 { return 0 }, report: faultOf}
	c, e := &cacheService{reader: r}, &entitlementService{reader: r}
	o := &clusterService{reader: r}
	caller, _ := Anonymous(t.Context(), nil)
	ctx := withCaller(t.Context(), caller)
	rapid.Check(t, func(t *rapid.T) {
		tenant, kind, key, age := drawName(t, "tenant"), drawName(t, "kind"), drawName(t, "key"), drawAge(t)
		agree := func(req proto.Message, err error) {
			t.Helper()
			want := brokenRules(rules.Validate(req))
			got, refused := errors.AsType[*fieldError](err)
			if refused != (want != nil) || refused && !slices.Contains(want, got.field) {
				t.Fatalf("%T %v: refused %v, but the rules say %q", req, req, err, want)
			}
		}
		get := &tenantryv1.GetRequest{Tenant: tenant, Kind: kind, Key: key, MaxAge: age}
		_, err := c.Get(ctx, get)
		agree(get, err)
		batch := &tenantryv1.BatchGetRequest{Tenant: tenant, MaxAge: age}
		item := &tenantryv1.BatchGetItem{Kind: kind, Key: key}
		for range rapid.SampledFrom([]int{0, 1, 1000, 1001}).Draw(t, "items") {
			batch.Items = append(batch.Items, item)
		}
		_, err = c.BatchGet(ctx, batch)
		agree(batch, err)
		agree(item, entry{"t", kind, key}.validateItem("key"))
		credits := &tenantryv1.CheckCreditsRequest{Tenant: tenant, Operation: key, UserId: kind, MaxAge: age}
		_, err = e.CheckCredits(ctx, credits)
		agree(credits, err)
		authorize := &tenantryv1.AuthorizeRequest{Tenant: tenant, Operation: kind, UserId: key, MaxAge: age}
		_, err = e.Authorize(ctx, authorize)
		agree(authorize, err)
		role := &tenantryv1.GetRolePermissionsRequest{Tenant: tenant, RoleId: key, MaxAge: age}
		_, err = e.GetRolePermissions(ctx, role)
		agree(role, err)
		status := &tenantryv1.GetUserStatusRequest{Tenant: tenant, UserId: key, MaxAge: age}
		_, err = e.GetUserStatus(ctx, status)
		agree(status, err)
		user := &tenantryv1.GetUserProfileRequest{Tenant: tenant, UserId: key, MaxAge: age}
		_, err = e.GetUserProfile(ctx, user)
		agree(user, err)
		hierarchy := &tenantryv1.GetHierarchyRequest{Tenant: tenant, EntityId: key, MaxAge: age}
		_, err = e.GetHierarchy(ctx, hierarchy)
		agree(hierarchy, err)
		config := &tenantryv1.GetConfigRequest{Tenant: tenant, Name: key, MaxAge: age}
		_, err = e.GetConfig(ctx, config)
		agree(config, err)
		describe := &tenantryv1.GetTenantRequest{Tenant: tenant}
		_, err = o.GetTenant(ctx, describe)
		agree(describe, err)
		list := &tenantryv1.ListTenantsRequest{Prefix: tenant, PageSize: rapid.SampledFrom([]uint32{0, 1, 1000, 1001, 1 << 31}).Draw(t, "page_size")}
		_, err = o.ListTenants(ctx, list)
		agree(list, err)
		invalidate := &tenantryv1.InvalidateEntryRequest{Tenant: tenant, Kind: kind, Key: key}
		_, err = o.InvalidateEntry(ctx, invalidate)
		agree(invalidate, err)
		drop := &tenantryv1.DropTenantRequest{Tenant: tenant}
		_, err = o.DropTenant(ctx, drop)
		agree(drop, err)
	})
}

// brokenRules returns the fields that break a rule.
func brokenRules(err error) (fields []string) {
	broken, ok := errors.AsType[*protovalidate.ValidationError](err)
	if err != nil && !ok {
		return []string{"the rules themselves: " + err.Error()}
	}
	if !ok {
		return nil
	}
	for _, v := range broken.Violations {
		fields = append(fields, protovalidate.FieldPathString(v.Proto.GetField()))
	}
	return fields
}
