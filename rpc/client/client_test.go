package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/rpc/client"
	"github.com/tenantry/tenantry/rpc/rpctest"
	"github.com/tenantry/tenantry/shard"
)

// serve starts a node that has a few entries.
func serve() (node *rpctest.Node, url string, stop func()) {
	node = &rpctest.Node{Clock: time.Hour}
	node.Set("acme", "credit-config", "crm.leads.create", cache.Answer{Value: []byte(`{"cost":3.10}`), Position: 5})
	node.Set("acme", "credit-balance", "ann", cache.Answer{Value: []byte(`{"availableCredits":12}`)})
	s := httptest.NewServer(rpc.NewHandler(rpc.Config{Node: node, Readiness: node, Authenticate: rpc.Anonymous, Name: "n1"}))
	return node, s.URL, s.Close
}

func Example() {
	_, url, stop := serve() // usually http://127.0.0.1:7070
	defer stop()
	ctx := context.Background()

	c := client.New(url, nil)
	credits, err := c.CheckCredits(ctx, "acme", "crm.leads.create", "ann")
	if err != nil {
		panic(err)
	}
	fmt.Println(credits.Cost, credits.Available, credits.CanAfford, credits.Freshness.GetState())

	_, err = c.Get(ctx, "acme", "role", "nobody", client.MaxAge(5*time.Second))
	fmt.Println(errors.Is(err, client.ErrNotFound))
	// Output:
	// 3.10 12 true FRESH
	// true
}

func TestGetPassesItsOptions(t *testing.T) {
	node, url, stop := serve()
	defer stop()
	c := client.New(url, nil)
	first, err := c.Get(t.Context(), "acme", "credit-config", "crm.leads.create")
	if err != nil || string(first.Value) != `{"cost":3.10}` {
		t.Fatalf("got %s, %v", first.Value, err)
	}
	node.Reads()
	_, err = c.Get(t.Context(), "acme", "credit-config", "crm.leads.create",
		client.MaxAge(time.Second), client.MinVersion(2), client.After(first.Freshness))
	if err != nil {
		t.Fatal(err)
	}
	want := cache.ReadOptions{HasMaxAge: true, MaxAge: time.Second, MinVersion: 2, Position: 5, Settled: 5}
	if diff := cmp.Diff(want, node.Reads()[0].Options); diff != "" {
		t.Error(diff)
	}
}

func TestEntitlements(t *testing.T) {
	node, url, stop := serve()
	defer stop()
	node.Set("acme", "user-status", "ann", cache.Answer{Value: []byte(`{"status":"active","roles":["rep"]}`)})
	node.Set("acme", "role", "rep", cache.Answer{Value: []byte(`{"permissions":["crm.leads.*"]}`)})
	node.Set("acme", "config", "currency", cache.Answer{Value: []byte(`{"value":"EUR"}`)})
	c := client.New(url, nil)
	yes, err := c.Authorize(t.Context(), "acme", "crm.leads.create", "ann")
	if err != nil || !yes.Allowed || len(yes.Reasons) != 0 || yes.Cost != "3.10" || yes.Available != "12" {
		t.Errorf("got %+v, %v", yes, err)
	}
	no, err := c.Authorize(t.Context(), "acme", "crm.deals.close", "ann")
	if err != nil || no.Allowed || len(no.Reasons) != 2 || no.Freshness == nil {
		t.Errorf("got %+v, %v", no, err)
	}
	node.Fail("acme", "role", "rep", &cache.UnavailableError{Err: errors.New("x")})
	if _, err := c.Authorize(t.Context(), "acme", "crm.leads.create", "ann"); !isUnavailable(err) {
		t.Errorf("got %v", err)
	}
	if _, _, err := c.RolePermissions(t.Context(), "acme", "rep"); !isUnavailable(err) {
		t.Errorf("got %v", err)
	}
	status, err := c.UserStatus(t.Context(), "acme", "ann")
	if err != nil || status.Status != "active" || !cmp.Equal(status.Roles, []string{"rep"}) {
		t.Errorf("got %+v, %v", status, err)
	}
	config, err := c.Config(t.Context(), "acme", "currency")
	if err != nil || string(config.Value) != `"EUR"` {
		t.Errorf("got %s, %v", config.Value, err)
	}
	if _, err := c.Config(t.Context(), "acme", "none"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func isUnavailable(err error) bool {
	_, ok := errors.AsType[*client.UnavailableError](err)
	return ok
}

func TestErrorsAreTyped(t *testing.T) {
	node, url, stop := serve()
	defer stop()
	c := client.New(url, nil)
	node.Fail("t", "nope", "k", &shard.UnknownKindError{Kind: "nope"})
	node.Fail("t", "role", "full", shard.ErrTenantLimit)
	node.Fail("t", "role", "down", &cache.UnavailableError{RetryAfter: 7 * time.Second, Err: errors.New("x")})
	for _, test := range []struct {
		kind, key string
		want      error
	}{
		{"role", "none", client.ErrNotFound}, {"role", "", client.ErrInvalid},
		{"nope", "k", client.ErrUnknownKind}, {"role", "full", client.ErrLimit},
	} {
		_, err := c.Get(t.Context(), "t", test.kind, test.key)
		results, batchErr := c.BatchGet(t.Context(), "t", client.Item{Kind: test.kind, Key: test.key})
		if !errors.Is(err, test.want) || batchErr != nil || !errors.Is(results[0].Err, test.want) {
			t.Errorf("%v: got %v, %v, %v", test.want, err, batchErr, results)
		}
	}
	_, err := c.Get(t.Context(), "t", "role", "down")
	results, _ := c.BatchGet(t.Context(), "t", client.Item{Kind: "role", Key: "down"})
	for _, err := range []error{err, results[0].Err} {
		if u, ok := errors.AsType[*client.UnavailableError](err); !ok || u.RetryAfter != 7*time.Second {
			t.Errorf("got %v", err)
		}
	}
}

func TestBatchGetKeepsTheOrder(t *testing.T) {
	_, url, stop := serve()
	defer stop()
	results, err := client.New(url, nil).BatchGet(t.Context(), "acme",
		client.Item{Kind: "credit-balance", Key: "ann"}, client.Item{Kind: "role", Key: "x"}, client.Item{Kind: "credit-config", Key: "crm.leads.create"})
	if err != nil || len(results) != 3 {
		t.Fatal(results, err)
	}
	if string(results[0].Value) != `{"availableCredits":12}` || results[1].Err == nil || string(results[2].Value) != `{"cost":3.10}` {
		t.Errorf("got %v", results)
	}
	if results[0].Freshness.GetNode() != "n1" {
		t.Error("the node is missing")
	}
}

func TestWithoutANode(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	_, err = client.New("http://"+l.Addr().String(), nil).Get(t.Context(), "t", "role", "r")
	if u, ok := errors.AsType[*client.UnavailableError](err); !ok || u.RetryAfter <= 0 {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.New("http://"+l.Addr().String(), nil).Get(ctx, "t", "role", "r"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
