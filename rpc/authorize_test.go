package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/rpc/rpctest"
	"github.com/tenantry/tenantry/shard"
)

// seedAuthorize gives the node a user who may create leads.
func seedAuthorize(n *rpctest.Node) {
	n.Set("t", "user-status", "ann", fresh(`{"status":"active","roles":["rep","viewer"]}`))
	n.Set("t", "role", "rep", fresh(`{"permissions":["crm.leads.*"]}`))
	n.Set("t", "role", "viewer", fresh(`{"permissions":["crm.read"]}`))
	n.Set("t", "credit-config", "crm.leads.create", fresh(`{"cost":3.10}`))
	n.Set("t", "credit-config", "crm.deals.close", fresh(`{"cost":3.1000}`))
	n.Set("t", "credit-config", "vast", fresh(`{"cost":1e400}`))
	n.Set("t", "credit-balance", "ann", fresh(`{"availableCredits":3.1}`))
}

var down = &cache.UnavailableError{RetryAfter: 2 * time.Second, Err: errors.New("secret")}

func authorize(user, operation string) *tenantryv1.AuthorizeRequest {
	return &tenantryv1.AuthorizeRequest{Tenant: "t", UserId: user, Operation: operation}
}

func TestAuthorize(t *testing.T) {
	h := serve(t, nil)
	seedAuthorize(h.node)
	n := h.node
	n.Set("t", "user-status", "idle", fresh(`{"status":"suspended","roles":["gone","viewer","gone"]}`))
	n.Set("t", "user-status", "bare", fresh(`{"status":"active","roles":[]}`))
	n.Set("t", "user-status", "root", fresh(`{"status":"active","roles":["all"]}`))
	n.Set("t", "user-status", "half", fresh(`{"status":"active","roles":["down","rep","odd"]}`))
	n.Set("t", "role", "all", fresh(`{"permissions":["*"]}`))
	n.Set("t", "role", "odd", fresh(`{"permissions":null}`))
	n.Fail("t", "role", "down", down)
	for _, user := range []string{"bare", "root", "half"} {
		n.Set("t", "credit-balance", user, fresh(`{"availableCredits":"100"}`))
	}
	n.Set("t", "credit-balance", "idle", fresh(`{"availableCredits":3.0999}`))
	want := []struct {
		user, operation string
		cost, available string
		reasons         []string
	}{
		{"ann", "crm.leads.create", "3.10", "3.1", nil},
		{"root", "crm.deals.close", "3.1000", "100", nil},
		{"half", "crm.leads.create", "3.10", "100", nil}, // what cannot be read changes nothing
		{"ann", "crm.deals.close", "3.1000", "3.1", []string{"operation_not_permitted"}},
		{"root", "vast", "1e400", "100", []string{"credits_insufficient"}},
		{"ann", "crm.leads.none", "", "3.1", []string{"operation_not_configured"}},
		{"bare", "crm.leads.create", "3.10", "100", []string{"operation_not_permitted"}},
		{"idle", "crm.leads.create", "3.10", "3.0999", []string{"user_inactive", "operation_not_permitted", "role_unknown", "credits_insufficient"}},
		{"nobody", "crm.leads.create", "3.10", "", []string{"user_unknown", "balance_unknown"}},
		{"nobody", "none", "", "", []string{"user_unknown", "operation_not_configured", "balance_unknown"}},
	}
	everyWay(t, h, func(t *testing.T, _ tenantryv1connect.CacheServiceClient, e tenantryv1connect.EntitlementServiceClient) {
		for _, w := range want {
			got, err := e.Authorize(t.Context(), authorize(w.user, w.operation))
			if err != nil {
				t.Errorf("%s %s: %v", w.user, w.operation, err)
				continue
			}
			var words []string
			for _, r := range got.GetReasons() {
				word, text, _ := strings.Cut(r, ": ")
				if words = append(words, word); text == "" {
					t.Errorf("a reason without a text: %q", r)
				}
			}
			if diff := cmp.Diff(w.reasons, words); diff != "" || got.GetAllowed() != (w.reasons == nil) {
				t.Errorf("%s %s: %v %s", w.user, w.operation, got, diff)
			}
			if got.GetCreditCost() != w.cost || got.GetAvailableCredits() != w.available {
				t.Errorf("%s %s: got %q, %q", w.user, w.operation, got.GetCreditCost(), got.GetAvailableCredits())
			}
		}
	})
}

// TestAuthorizeFailsClosed takes away one part after the other, of an answer
// that would be yes and of one that would be no anyway.
func TestAuthorizeFailsClosed(t *testing.T) {
	for _, status := range []string{"active", "suspended"} {
		for _, part := range []rpctest.Entry{
			{Tenant: "t", Kind: "user-status", Key: "ann"}, {Tenant: "t", Kind: "role", Key: "rep"},
			{Tenant: "t", Kind: "credit-config", Key: "crm.leads.create"}, {Tenant: "t", Kind: "credit-balance", Key: "ann"},
		} {
			h := serve(t, nil)
			seedAuthorize(h.node)
			h.node.Set("t", "user-status", "ann", fresh(`{"status":"`+status+`","roles":["rep","viewer"]}`))
			e := tenantryv1connect.NewEntitlementServiceClient(h1(t), h.url)
			h.node.Fail(part.Tenant, part.Kind, part.Key, down)
			got, err := e.Authorize(t.Context(), authorize("ann", "crm.leads.create"))
			if er := wantCode(t, err, connect.CodeUnavailable, "origin"); er.Meta().Get("Retry-After") != "2" || got != nil {
				t.Errorf("%v: got %v, retry %v", part, got, er.Meta())
			}
			h.node.Set(part.Tenant, part.Kind, part.Key, fresh(`{}`))
			_, err = e.Authorize(t.Context(), authorize("ann", "crm.leads.create"))
			wantCode(t, err, connect.CodeUnavailable, "no usable")
			h.node.Fail(part.Tenant, part.Kind, part.Key, &shard.UnknownKindError{Kind: part.Kind})
			_, err = e.Authorize(t.Context(), authorize("ann", "crm.leads.create"))
			wantCode(t, err, connect.CodeFailedPrecondition, "kind")
			h.node.Wait = func(_ context.Context, e rpctest.Entry) {
				if e == part {
					panic("secret")
				}
			}
			_, err = e.Authorize(t.Context(), authorize("ann", "crm.leads.create"))
			wantCode(t, err, connect.CodeInternal, "internal error")
			h.stop()
		}
	}
}

func TestAuthorizeBoundsRoles(t *testing.T) {
	h := serve(t, nil)
	seedAuthorize(h.node)
	e := tenantryv1connect.NewEntitlementServiceClient(h1(t), h.url)
	with := func(n int, more string) {
		var roles []string
		for i := range n {
			roles = append(roles, fmt.Sprintf("%q", fmt.Sprint("role-", i)))
		}
		h.node.Set("t", "user-status", "ann", fresh(`{"status":"active","roles":[`+strings.Join(roles, ",")+more+`]}`))
		h.node.Reads()
	}
	with(64, `,"role-0"`)
	got, err := e.Authorize(t.Context(), authorize("ann", "crm.leads.create"))
	if err != nil || len(got.GetReasons()) != 65 || len(h.node.Reads()) != 67 {
		t.Errorf("64 roles: %v, %v", got, err)
	}
	if _, err := e.Authorize(t.Context(), &tenantryv1.AuthorizeRequest{
		Tenant: "t", UserId: "ann", Operation: "crm.leads.create", After: got.GetFreshness().GetToken(),
	}); err != nil {
		t.Errorf("its token: %v", err)
	}
	with(65, "")
	_, err = e.Authorize(t.Context(), authorize("ann", "crm.leads.create"))
	wantCode(t, err, connect.CodeUnavailable, "roles")
	if reads := h.node.Reads(); len(reads) != 3 {
		t.Errorf("65 roles: %d reads", len(reads))
	}
	with(0, `"../x",".."`)
	_, err = e.Authorize(t.Context(), authorize("ann", "crm.leads.create"))
	wantCode(t, err, connect.CodeUnavailable, "roles")
}

func TestAuthorizeFreshness(t *testing.T) {
	h := serve(t, nil)
	e := tenantryv1connect.NewEntitlementServiceClient(h1(t), h.url)
	for _, part := range []struct{ kind, key, value string }{
		{"user-status", "ann", `{"status":"active","roles":["rep","viewer"]}`},
		{"role", "rep", `{"permissions":["crm.leads.*"]}`},
		{"role", "viewer", `{"permissions":["crm.read"]}`},
		{"credit-config", "crm.leads.create", `{"cost":3.10}`},
		{"credit-balance", "ann", `{"availableCredits":3.1}`},
	} {
		seedAuthorize(h.node)
		h.node.Set("t", part.kind, part.key, cache.Answer{Value: []byte(part.value), State: cache.Stale, Age: 9 * time.Second})
		got, err := e.Authorize(t.Context(), authorize("ann", "crm.leads.create"))
		f := got.GetFreshness()
		if err != nil || f.GetState() != tenantryv1.Freshness_STALE || f.GetAge().AsDuration() != 9*time.Second || f.Version != nil || f.GetNode() != "n1" {
			t.Errorf("%s %s: %v, %v", part.kind, part.key, f, err)
		}
	}
}

func TestAuthorizeToken(t *testing.T) {
	h := serve(t, nil)
	seedAuthorize(h.node)
	e := tenantryv1connect.NewEntitlementServiceClient(h1(t), h.url)
	first, err := e.Authorize(t.Context(), authorize("ann", "crm.leads.create"))
	if err != nil {
		t.Fatal(err)
	}
	h.node.Reads()
	req := authorize("ann", "crm.leads.create")
	req.After, req.MaxAge = first.GetFreshness().GetToken(), durationpb.New(time.Minute)
	if _, err := e.Authorize(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	reads := h.node.Reads()
	if len(reads) != 5 {
		t.Errorf("%d reads", len(reads))
	}
	for _, r := range reads {
		if o := r.Options; o.MinVersion != 7 || o.Position != time.Minute || o.MaxAge != time.Minute {
			t.Errorf("%v: %+v", r.Entry, o)
		}
	}
	role, err := e.GetRolePermissions(t.Context(), &tenantryv1.GetRolePermissionsRequest{Tenant: "t", RoleId: "rep"})
	if err != nil {
		t.Fatal(err)
	}
	req.After = role.GetFreshness().GetToken()
	if _, err := e.Authorize(t.Context(), req); err != nil {
		t.Errorf("the token of a role of the user: %v", err)
	}
	h.node.Set("t", "role", "other", fresh(`{"permissions":[]}`))
	role, err = e.GetRolePermissions(t.Context(), &tenantryv1.GetRolePermissionsRequest{Tenant: "t", RoleId: "other"})
	if err != nil {
		t.Fatal(err)
	}
	req.After = role.GetFreshness().GetToken()
	_, err = e.Authorize(t.Context(), req)
	wantCode(t, err, connect.CodeInvalidArgument, "after: is the token of another entry")
}

func TestAuthorizeRefusesBadInput(t *testing.T) {
	h := serve(t, nil)
	e := tenantryv1connect.NewEntitlementServiceClient(h1(t), h.url)
	for field, req := range map[string]*tenantryv1.AuthorizeRequest{
		"tenant":    {UserId: "u", Operation: "o"},
		"user_id":   {Tenant: "t", Operation: "o"},
		"operation": {Tenant: "t", UserId: "u", Operation: ".."},
		"after":     {Tenant: "t", UserId: "u", Operation: "o", After: []byte("x")},
		"max_age":   {Tenant: "t", UserId: "u", Operation: "o", MaxAge: durationpb.New(-1)},
	} {
		_, err := e.Authorize(t.Context(), req)
		wantCode(t, err, connect.CodeInvalidArgument, field+": ")
	}
	if reads := h.node.Reads(); len(reads) != 0 {
		t.Errorf("read %v", reads)
	}
	other := serve(t, func(c *rpc.Config) { c.Authenticate = only("a") })
	_, err := tenantryv1connect.NewEntitlementServiceClient(h1(t), other.url).Authorize(t.Context(), authorize("ann", "o"))
	wantCode(t, err, connect.CodePermissionDenied, "tenant")
}

// TestAuthorizeReadsConcurrently makes every read wait until two stages of them
// are in flight: status, cost and balance, then all roles.
func TestAuthorizeReadsConcurrently(t *testing.T) {
	h := serve(t, nil)
	seedAuthorize(h.node)
	var begun atomic.Int32
	first, second := make(chan struct{}), make(chan struct{})
	h.node.Wait = func(ctx context.Context, e rpctest.Entry) {
		n := begun.Add(1)
		stage := first
		if e.Kind == "role" {
			stage = second
		}
		switch n {
		case 3:
			close(first)
		case 5:
			close(second)
		}
		select {
		case <-stage:
		case <-ctx.Done():
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	got, err := tenantryv1connect.NewEntitlementServiceClient(h1(t), h.url).Authorize(ctx, authorize("ann", "crm.leads.create"))
	if err != nil || !got.GetAllowed() {
		t.Errorf("got %v, %v", got, err)
	}
}
