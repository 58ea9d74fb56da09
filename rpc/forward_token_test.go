package rpc_test

import (
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/rpc/rpctest"
)

// What a caller has seen through one node, it sees through every other.
func TestTokensAreGoodOnEveryNode(t *testing.T) {
	versioned, unversioned := fresh("{}"), fresh("{}")
	unversioned.Versioned, unversioned.Version = false, 0
	own := cache.ReadOptions{Position: time.Minute, Settled: time.Minute}
	for name, test := range map[string]struct {
		answer     cache.Answer
		same, none cache.ReadOptions
	}{
		"versioned":   {versioned, cache.ReadOptions{MinVersion: 7, Position: time.Minute, Settled: time.Minute}, cache.ReadOptions{MinVersion: 7}},
		"unversioned": {unversioned, own, cache.ReadOptions{HasMaxAge: true}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, func(t *testing.T, ms *members) {
				ms.set("role", "a", test.answer)
				tokens := [][]byte{
					ms.all[1].get(t, &tenantryv1.GetRequest{Kind: "role", Key: "a"}).GetFreshness().GetToken(),
					ms.all[0].get(t, &tenantryv1.GetRequest{Kind: "role", Key: "a"}).GetFreshness().GetToken(),
				}
				for _, token := range tokens {
					ms.all[1].node.Recalls()
					ms.all[0].get(t, &tenantryv1.GetRequest{Kind: "role", Key: "a", After: token})
					wantOptions(t, "through another", test.same, ms.all[1].node.Recalls())
					ms.all[1].get(t, &tenantryv1.GetRequest{Kind: "role", Key: "a", After: token})
					wantOptions(t, "directly", test.same, ms.all[1].node.Recalls())
					ms.all[1].Kill()
					ms.all[0].get(t, &tenantryv1.GetRequest{Kind: "role", Key: "a", After: token})
					wantOptions(t, "on another", test.none, ms.all[2].node.Recalls())
					ms.all[1].Work(0)
					time.Sleep(time.Second)
				}
				_, err := ms.all[0].cache().Get(t.Context(), &tenantryv1.GetRequest{Tenant: "acme", Kind: "role", Key: "b", After: tokens[1]})
				wantCode(t, err, connect.CodeInvalidArgument, "after: is the token of another entry")
				synctest.Wait()
				for _, m := range ms.all[1:] {
					m.node.Clock = time.Second // which the token's position is after
				}
				_, err = ms.all[0].cache().Get(t.Context(), &tenantryv1.GetRequest{Tenant: "acme", Kind: "role", Key: "a", After: tokens[1]})
				wantCode(t, err, connect.CodeInvalidArgument, "after: is not a token")
			})
		})
	}
}

func wantOptions(t *testing.T, how string, want cache.ReadOptions, reads []rpctest.Read) {
	t.Helper()
	if len(reads) != 1 {
		t.Fatalf("%s: read %v", how, reads)
	}
	if diff := cmp.Diff(want, reads[0].Options); diff != "" {
		t.Errorf("%s: %s", how, diff)
	}
}

// A composed answer may come from several nodes. Its token counts on each of them for
// what came from there.
func TestTokensOfComposedAnswers(t *testing.T) {
	bubble(t, 3, func(t *testing.T, ms *members) {
		ms.fill()
		down := &cache.UnavailableError{}
		ms.all[1].node.Fail("acme", "credit-balance", "u1", down)
		ms.all[1].node.Fail("acme", "role", "admin", down)
		authorize := &tenantryv1.AuthorizeRequest{Tenant: "acme", Operation: "crm.leads.create", UserId: "u1"}
		res, err := ms.all[0].entitlement().Authorize(t.Context(), authorize)
		if err != nil || !res.GetAllowed() || res.GetCreditCost() != "3.10" {
			t.Fatal(res, err)
		}
		credits := &tenantryv1.CheckCreditsRequest{Tenant: "acme", Operation: "crm.leads.create", UserId: "u1"}
		check, err := ms.all[0].entitlement().CheckCredits(t.Context(), credits)
		if err != nil || !check.GetCanAfford() {
			t.Fatal(check, err)
		}
		own := cache.ReadOptions{MinVersion: 7, Position: time.Minute, Settled: time.Minute}
		other := cache.ReadOptions{MinVersion: 7}
		for i, ask := range []func() error{
			func() error {
				authorize.After = res.GetFreshness().GetToken()
				_, err := ms.all[0].entitlement().Authorize(t.Context(), authorize)
				return err
			},
			func() error {
				credits.After = check.GetFreshness().GetToken()
				_, err := ms.all[0].entitlement().CheckCredits(t.Context(), credits)
				return err
			},
		} {
			ms.all[1].node.Recalls()
			ms.all[2].node.Recalls()
			if err := ask(); err != nil {
				t.Fatal(err)
			}
			got := make(map[string]cache.ReadOptions)
			for _, m := range ms.all[1:] {
				for _, r := range m.node.Recalls() {
					got[m.peer.Name+" "+r.Kind] = r.Options
				}
			}
			want := map[string]cache.ReadOptions{"n2 credit-config": own, "n2 credit-balance": other, "n3 credit-balance": own}
			if i == 0 {
				want["n2 user-status"], want["n2 role"], want["n3 role"] = own, other, own
			}
			delete(got, "n3 user-status")
			if i == 0 { // the role that is absent has no version, and is read anew: which of the two stands last is chance
				delete(got, "n2 role")
				delete(want, "n2 role")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
	})
}
