package rpc

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

func TestPermits(t *testing.T) {
	for _, test := range []struct {
		permission, operation string
		want                  bool
	}{
		{"crm.leads.create", "crm.leads.create", true},
		{"crm.leads.*", "crm.leads.create", true},
		{"crm.*", "crm.leads.create", true},
		{"*", "crm.leads.create", true},
		{"crm.lea*", "crm.leads.create", true},
		{"crm.leads.*", "crm.leads", false},
		{"crm.leads.*", "crm.leads.", true},
		{"crm.leads.*", "crm.leadsx", false},
		{"crm.leads", "crm.leads.create", false},
		{"crm.leads.create", "crm.leads", false},
		{"crm.*.create", "crm.leads.create", false},
		{"*.create", "crm.leads.create", false},
		{"**", "crm", false},
		{"CRM.*", "crm.leads.create", false},
		{"", "crm.leads.create", false},
		{"crm.leads.*", "crm.leads.*", true},
	} {
		if got := permits(test.permission, test.operation); got != test.want {
			t.Errorf("%q, %q: got %v", test.permission, test.operation, got)
		}
	}
}

func TestPermitsIsEqualityWithoutAStar(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.StringMatching(`[a-z.]{0,8}`).Draw(t, "permission")
		o := rapid.StringMatching(`[a-z.*]{1,8}`).Draw(t, "operation")
		if permits(p, o) != (p == o) || permits(p+"*", o) != strings.HasPrefix(o, p) {
			t.Fatal("wrong")
		}
	})
}

// FuzzValues reads any values: no panic, and what is read is all there.
func FuzzValues(f *testing.F) {
	f.Add([]byte(`{"status":"active","roles":["a"],"permissions":["*"],"value":1,"cost":1.5}`))
	f.Add([]byte(`{"status":null,"roles":[null],"permissions":null,"value":null}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, value []byte) {
		e := entry{"t", "k", "x"}
		if u, err := statusOf(e, value); err == nil && (u.rawStatus == nil || u.roles == nil || !json.Valid(u.rawList)) {
			t.Fatalf("%+v", u)
		}
		if p, raw, err := permissionsOf(e, value); err == nil && (p == nil || !json.Valid(raw)) {
			t.Fatal(p)
		}
		if raw, err := configOf(e, value); err == nil && !json.Valid(raw) {
			t.Fatal(raw)
		}
	})
}

// kept is a node that has what is in the map, by kind.
type kept struct {
	nowhere

	answers map[string]cache.Answer
}

func (k kept) Read(_ context.Context, _, kind, _ string, _ cache.ReadOptions) (cache.Answer, error) {
	return k.answers[kind], nil
}

// BenchmarkAuthorize answers from memory for a user with three roles of 20
// permissions each, without the wire.
func BenchmarkAuthorize(b *testing.B) {
	permissions := `"crm.reports.run"` + strings.Repeat(`,"crm.contacts.merge"`, 18) + `,"crm.leads.*"`
	s := &entitlementService{reader: &reader{node: kept{answers: map[string]cache.Answer{
		kindUserStatus:    {Value: []byte(`{"status":"active","roles":["a","b","c"]}`)},
		kindRole:          {Value: []byte(`{"permissions":[` + permissions + `]}`)},
		kindCreditConfig:  {Value: []byte(`{"cost":3.10}`)},
		kindCreditBalance: {Value: []byte(`{"userId":"u","availableCredits":12}`)},
	}}, epoch: func() uint64 { return 0 }, report: faultOf}}
	caller, _ := Anonymous(b.Context(), nil)
	ctx := withCaller(b.Context(), caller)
	req := &tenantryv1.AuthorizeRequest{Tenant: "t", UserId: "u", Operation: "crm.leads.create"}
	b.ReportAllocs()
	for b.Loop() {
		if res, err := s.Authorize(ctx, req); err != nil || !res.GetAllowed() {
			b.Fatal(res, err)
		}
	}
}
