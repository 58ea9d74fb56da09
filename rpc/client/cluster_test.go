package client_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tenantry/tenantry/rpc/client"
	"github.com/tenantry/tenantry/shard"
)

func TestCluster(t *testing.T) {
	node, url, stop := serve()
	defer stop()
	for i := range 1200 {
		node.Activate(shard.Description{Summary: shard.Summary{Name: fmt.Sprintf("t%04d", i), State: shard.Live}, Events: 7})
	}
	c := client.New(url, nil)
	got, err := c.Tenant(t.Context(), "t0001")
	if err != nil || got.GetEvents() != 7 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := c.Tenant(t.Context(), ".."); !errors.Is(err, client.ErrInvalid) {
		t.Error(err)
	}
	names := func(prefix string, most int) (names []string) {
		for s, err := range c.Tenants(t.Context(), prefix, "") {
			if err != nil {
				t.Fatal(err)
			}
			if names = append(names, s.GetTenant()); len(names) == most {
				break
			}
		}
		return names
	}
	if all := names("t", 0); len(all) != 1200 || !slices.IsSorted(all) {
		t.Errorf("%d tenants", len(all))
	}
	if some := names("t11", 0); len(some) != 100 {
		t.Errorf("%d tenants", len(some))
	}
	if some := names("", 3); !slices.Equal(some, []string{"t0000", "t0001", "t0002"}) {
		t.Error(some)
	}
	for _, err := range c.Tenants(t.Context(), "a b", "") {
		if !errors.Is(err, client.ErrInvalid) {
			t.Error(err)
		}
	}
	if nodes, err := c.Invalidate(t.Context(), "t0001", "role", "a"); err != nil || !slices.Equal(nodes, []string{"n1"}) {
		t.Error(nodes, err)
	}
	if _, err := c.Invalidate(t.Context(), "t0001", "none", "a"); !errors.Is(err, client.ErrUnknownKind) {
		t.Error(err)
	}
	if nodes, err := c.Drop(t.Context(), "t0001"); err != nil || !slices.Equal(nodes, []string{"n1"}) {
		t.Error(nodes, err)
	}
	if nodes, err := c.Drop(t.Context(), "t0001"); err != nil || nodes != nil {
		t.Error(nodes, err)
	}
	members, err := c.Members(t.Context())
	if err != nil || members.GetMembers()[0].GetActiveTenants() != 1199 {
		t.Errorf("%v, %v", members, err)
	}
}
